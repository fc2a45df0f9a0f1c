"""Values of hyperparameters against score."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from nmt_pbt.report.figures.palette import MUTED, VERMILLION
from nmt_pbt.report.figures.style import RING, frame_scores, legend_above, places, scale_axis
from nmt_pbt.report.labels import metric_label, value_label
from nmt_pbt.report.methods import method_info
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain

_CUT = 0.25  # share of the models, from the worst, that may lie outside the frame
_APART = 6.0  # points between the places of two methods beside one choice
_AT_END: dict[str, Any] = {**RING, "marker": "s", "markersize": 14, "markeredgecolor": VERMILLION}


def draw_slice(
    ax: Axes, points: pd.DataFrame, hyperparameter: str, domain: Domain | None, objective: str, direction: str
) -> None:
    """Draw one mark a model, its value against its score; winners ringed, those at an end of the range squared.

    Args:
        ax: Where to draw.
        points: `figure_tables.value_points`.
        hyperparameter: Its column.
        domain: Its range; the ends are drawn as lines.
        objective: The metric's name.
        direction: `max` or `min`.
    """
    shown = points.assign(place=places(list(points[hyperparameter]), domain)).dropna(subset="place")
    low, high = _frame(shown["score"], direction)
    frame_scores(ax, low, high)
    bottom, top = ax.get_ylim()
    methods = list(dict.fromkeys(shown["method"]))
    for number, method in enumerate(methods):
        mine, style = shown[shown["method"] == method], method_info(method)
        # Marks at a few choices would lie on top of each other: each method has its own place beside the choice.
        aside = _APART * (number - (len(methods) - 1) / 2) if isinstance(domain, ChoiceDomain) else 0.0
        at: dict[str, Any] = {"transform": offset_copy(ax.transData, ax.get_figure(root=True), x=aside, units="points")}
        inside = mine[mine["score"].between(bottom, top)]
        look: dict[str, Any] = {"color": style.color, "markersize": 5, "alpha": 0.75, "zorder": 3}
        ax.plot(inside["place"], inside["score"], style.marker, **look, **at)
        outside = mine[~mine["score"].between(bottom, top)]
        edge = bottom if direction == "max" else top
        beyond = 7 if direction == "max" else 6  # a caret pointing out of the frame
        if len(outside):
            carets: dict[str, Any] = {"marker": beyond, "linestyle": "", "color": style.color, "clip_on": False}
            ax.plot(outside["place"], [edge] * len(outside), **carets, **at)
        won = mine[mine["winner"]]
        ax.plot(won["place"], won["score"], **RING, zorder=4, **at)
        flagged = mine[mine[f"{hyperparameter}_bound"] != ""]
        ax.plot(flagged["place"], flagged["score"], **_AT_END, zorder=5, **at)
    if isinstance(domain, NumberDomain):
        for end in (domain.min, domain.max):
            ax.axvline(end, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    if len(shown):
        scale_axis(ax, "x", domain, float(shown["place"].min()), float(shown["place"].max()))
    ax.set_xlabel(value_label(hyperparameter))
    ax.set_ylabel(metric_label(objective))
    flagged_any = bool((shown[f"{hyperparameter}_bound"] != "").any())
    _legend(ax, list(dict.fromkeys(points["method"])), flagged=flagged_any)


def _legend(ax: Axes, methods: list[str], flagged: bool) -> None:
    """Put a legend of methods above an Axes."""
    handles = []
    for method in methods:
        style = method_info(method)
        handles.append(
            Line2D([], [], color=style.color, marker=style.marker, linestyle="", markersize=5, label=style.label)
        )
    handles.append(Line2D([], [], **{**RING, "markersize": 9}, label="winner"))
    if flagged:
        handles.append(Line2D([], [], **{**_AT_END, "markersize": 9}, label="winner at an end"))
    columns = len(handles) if len(handles) <= 5 and not flagged else 4
    legend_above(ax, handles, columns, columnspacing=1.0, handletextpad=0.2, handlelength=1.6)


def draw_pair(
    ax: Axes, points: pd.DataFrame, names: tuple[str, str], space: dict[str, Domain], objective: str, direction: str
) -> None:
    """Draw one mark a model over two hyperparameters, its shade telling its score.

    Args:
        ax: Where to draw.
        points: `figure_tables.value_points`.
        names: The hyperparameters on the horizontal and on the vertical axis.
        space: Their ranges.
        objective: The metric's name.
        direction: `max` or `min`.
    """
    horizontal, vertical = names
    shown = points.assign(
        x=places(list(points[horizontal]), space.get(horizontal)), y=places(list(points[vertical]), space.get(vertical))
    ).dropna(subset=["x", "y"])
    low, high = _frame(shown["score"], direction)
    shades = mpl.colormaps["cividis" if direction == "max" else "cividis_r"]
    scale = mpl.cm.ScalarMappable(Normalize(low, high), shades)
    for method in dict.fromkeys(shown["method"]):
        mine = shown[shown["method"] == method].sort_values("score", ascending=direction == "max")
        look: dict[str, Any] = {"marker": method_info(method).marker, "s": 34, "edgecolors": MUTED, "linewidths": 0.6}
        ax.scatter(mine["x"], mine["y"], c=scale.to_rgba(mine["score"].to_numpy()), **look, zorder=3)
        won = mine[mine["winner"]]
        ax.plot(won["x"], won["y"], **RING, zorder=4)
    for which, name in (("x", horizontal), ("y", vertical)):
        if len(shown):
            scale_axis(ax, which, space.get(name), float(shown[which].min()), float(shown[which].max()))
    beyond = "min" if shown["score"].min() < low else "max" if shown["score"].max() > high else "neither"
    bar = ax.figure.colorbar(scale, ax=ax, fraction=0.035, pad=0.02, extend=beyond)
    bar.set_label(metric_label(objective))
    bar.outline.set_visible(False)
    ax.set_xlabel(value_label(horizontal))
    ax.set_ylabel(value_label(vertical))
    _legend(ax, list(dict.fromkeys(points["method"])), flagged=False)


def has_choice(domain: Domain) -> bool:
    """Return whether a domain has more than one value."""
    return len(domain.choices) > 1 if isinstance(domain, ChoiceDomain) else domain.min < domain.max


def numeric_pairs(space: dict[str, Domain]) -> list[tuple[str, str]]:
    """Return all pairs of hyperparameters that have an order to be drawn along."""
    names = [
        name
        for name, domain in space.items()
        if not isinstance(domain, ChoiceDomain) or all(isinstance(value, (int, float)) for value in domain.choices)
    ]
    return [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]


def _frame(scores: pd.Series[float], direction: str) -> tuple[float, float]:
    """Return the range of scores to show: far outliers among the worst must not squash the rest."""
    if scores.empty:
        return np.nan, np.nan
    best, worst = float(scores.max()), float(scores.min())
    if direction == "min":
        best, worst = worst, best
    quartile = float(scores.quantile(_CUT if direction == "max" else 1 - _CUT))
    limit = best + 2.5 * (quartile - best)
    worst = max(worst, limit) if direction == "max" else min(worst, limit)
    return min(best, worst), max(best, worst)
