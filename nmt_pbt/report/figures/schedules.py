"""A hyperparameter's value over training, along lineages."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nmt_pbt.report.figures.palette import FAINT
from nmt_pbt.report.figures.style import legend_above, places, scale_axis
from nmt_pbt.report.labels import value_label
from nmt_pbt.report.methods import method_info
from nmt_pbt.space.settings import Domain

_WINNERS: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_NAMED = len(_WINNERS)


def draw_schedule(ax: Axes, schedules: pd.DataFrame, hyperparameter: str, method: str, domain: Domain | None) -> None:
    """Draw the lineage of every last member thin, and of each search's winner bold.

    Args:
        ax: Where to draw.
        schedules: `figure_tables.member_schedules`.
        hyperparameter: Its column.
        method: Whose searches they are.
        domain: The hyperparameter's range.
    """
    style = method_info(method)
    values = schedules.assign(place=places(list(schedules[hyperparameter]), domain))
    seeds = list(dict.fromkeys(values["seed"]))
    faint = max(0.35, 0.9 / len(seeds))
    for (_, _, winner), lineage in values.groupby(["seed", "lineage", "winner"], sort=False):
        if not winner:
            ax.plot(*_stairs(lineage), color=FAINT, linewidth=0.9, alpha=faint, zorder=2)
    handles = [Line2D([], [], color=FAINT, linewidth=0.9, label="lineage of a member")]
    for number, seed in enumerate(seeds):
        lineage = values[(values["seed"] == seed) & values["winner"]]
        line: Any = _WINNERS[number] if len(seeds) <= _NAMED else "-"
        ax.plot(*_stairs(lineage), color=style.color, linewidth=2.2, linestyle=line, zorder=4)
        adopted = lineage[lineage["inherited"]]
        ax.plot(adopted["start"], adopted["place"], "o", color=style.color, markersize=4.5, zorder=5)
        if number == 0 or len(seeds) <= _NAMED:
            name = "winner" if len(seeds) == 1 else f"winner, seed {seed}" if len(seeds) <= _NAMED else "winners"
            handles.append(Line2D([], [], color=style.color, linewidth=2.2, linestyle=line, label=name))
    if values["inherited"].any():
        handles.append(
            Line2D([], [], color=style.color, marker="o", markersize=4.5, linestyle="", label="adopted here")
        )
    finite = values["place"].dropna()
    scale_axis(ax, "y", domain, float(finite.min()), float(finite.max()))
    ax.set_xlim(0, float(values["end"].max()))
    ax.set_xlabel("epochs these weights were trained")
    ax.set_ylabel(value_label(hyperparameter))
    legend_above(ax, handles, 3)


def _stairs(lineage: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Return the corners of the steps; a gap in training breaks the line."""
    x: list[float] = []
    y: list[float] = []
    for row in lineage.sort_values("start", kind="stable").to_dict("records"):
        if x and row["start"] > x[-1]:
            x.append(math.nan)
            y.append(math.nan)
        x += [row["start"], row["end"]]
        y += [row["place"], row["place"]]
    return x, y
