"""Best-so-far of every method against what was spent or wall-clock, and of PBT's ablations over training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nmt_pbt.report.figures.palette import MUTED
from nmt_pbt.report.figures.style import frame_scores
from nmt_pbt.report.labels import metric_label
from nmt_pbt.report.methods import method_info

_SHOWN_FROM, _ABLATIONS_SHOWN_FROM = 0.4, 0.3  # scores before this share of the axis may lie below the frame
_SIDES = ("mean", "low", "high")


@dataclass(frozen=True)
class UnitAxis:
    """A second axis over the epochs, in the unit in which a task counts.

    Attributes:
        unit: The unit's name in the singular, for instance `sentence pair`.
        per_epoch: How many of it one epoch has.
    """

    unit: str
    per_epoch: int


def draw_best_so_far(
    ax: Axes, curves: pd.DataFrame, objective: str, in_epochs: bool, second: UnitAxis | None = None
) -> None:
    """Draw one stepped line a method, with a band from the least to the greatest of its searches.

    Args:
        ax: Where to draw.
        curves: `figure_tables.progress_curves`.
        objective: The metric's name.
        in_epochs: Their `x` is in epochs; false: in seconds.
        second: Draws a second axis on top, for curves in epochs.
    """
    unit, name = (1.0, "epochs of training, all trials together") if in_epochs else _clock(float(curves["x"].max()))
    right = float(curves["x"].max())
    lows, highs, handles = [], [], []
    for method in dict.fromkeys(curves["method"]):
        curve = curves[curves["method"] == method]
        style = method_info(method)
        x = [*(curve["x"] / unit)]
        bands = {side: [*curve[side]] for side in _SIDES}
        if in_epochs:  # all searches have one budget: each line goes on to its end
            x.append(max(right, float(curve["x"].iloc[-1])) / unit)
            bands = {side: [*band, band[-1]] for side, band in bands.items()}
        label = f"{style.label} {curve['mean'].iloc[-1]:.2f}"
        look: dict[str, Any] = {"color": style.color, "linestyle": style.line}
        ax.step(x, bands["mean"], where="post", **look)
        ax.plot(x[-1], bands["mean"][-1], style.marker, color=style.color, markersize=5, clip_on=False)
        handles.append(Line2D([], [], **look, marker=style.marker, markersize=5, label=label))
        if int(curve["searches"].iloc[0]) > 1:
            ax.fill_between(x, bands["low"], bands["high"], step="post", color=style.color, alpha=0.14, linewidth=0)
        late = curve[curve["x"] >= _SHOWN_FROM * right]
        shown = late if len(late) else curve
        lows.append(float(shown["low"].min()))
        highs.append(float(shown["high"].max()))
    frame_scores(ax, min(lows), max(highs))
    ax.set_xlim(0, right / unit * 1.01 or 1.0)
    ax.set_xlabel(name)
    ax.set_ylabel(f"best {metric_label(objective)}")
    ax.legend(
        handles=handles,
        handlelength=2.8,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2 if len(handles) <= 4 else 3,
        columnspacing=1.0,
    )
    if second is not None:
        factor = second.per_epoch
        units = ax.secondary_xaxis("top", functions=(partial(np.multiply, factor), partial(np.multiply, 1 / factor)))
        units.set_xlabel(f"{second.unit}s trained")
        units.xaxis.set_major_locator(MaxNLocator(5))
        units.xaxis.set_major_formatter(FuncFormatter(lambda count, _: _short(count)))
        units.spines["top"].set_visible(True)
        units.spines["top"].set_color(MUTED)


def draw_ablations(ax: Axes, curves: pd.DataFrame, objective: str) -> None:
    """Draw one learning curve a method over its weights' training, with a band from the least to the greatest.

    Args:
        ax: Where to draw.
        curves: `figure_tables.ablation_curves`.
        objective: The metric's name.
    """
    handles, right = [], float(curves["epochs"].max())
    for method in dict.fromkeys(curves["method"]):
        curve, style = curves[curves["method"] == method], method_info(method)
        look: dict[str, Any] = {
            "color": style.color,
            "linestyle": style.line,
            "marker": style.marker,
            "markersize": 4.5,
        }
        ax.plot(curve["epochs"], curve["mean"], **look, zorder=3)
        if (curve["low"] < curve["high"]).any():
            ax.fill_between(
                curve["epochs"], curve["low"], curve["high"], color=style.color, alpha=0.14, linewidth=0, zorder=2
            )
        handles.append(Line2D([], [], **look, label=f"{style.label} {curve['mean'].iloc[-1]:.2f}"))
    late = curves[curves["epochs"] >= _ABLATIONS_SHOWN_FROM * right]
    frame_scores(ax, float(late["low"].min()), float(late["high"].max()))
    ax.set_xlim(0, right * 1.02)
    ax.set_xlabel("epochs these weights were trained")
    ax.set_ylabel(metric_label(objective))
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, handlelength=3)


def _clock(seconds: float) -> tuple[float, str]:
    """Return the unit of time that suits an axis, and the axis's name."""
    for unit, name in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return unit, f"wall-clock in {name}"
    return 1.0, "wall-clock in seconds"


def _short(count: float) -> str:
    """Return a count in thousands or millions."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(count) >= unit:
            return f"{count / unit:g}{letter}"
    return f"{count:g}"
