"""Best-so-far of every method, against what was spent or against wall-clock."""

from __future__ import annotations

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

_SHOWN_FROM = 0.4  # scores before this share of the axis may lie below the frame


def draw_best_so_far(ax: Axes, curves: pd.DataFrame, objective: str, direction: str, epoch: int | None = None) -> None:
    """Draw one stepped line a method, with a band from the least to the greatest of its searches.

    Args:
        ax: Where to draw.
        curves: `views.progress_curves`; its `x` is in epochs if `pairs_per_epoch` is given, else in seconds.
        objective: The metric's name.
        direction: `max` or `min`.
        epoch: Sentence pairs in one epoch; draws a second axis in sentence pairs on top.
    """
    unit, name = (1.0, "epochs of training, all trials together") if epoch else _clock(float(curves["x"].max()))
    right = float(curves["x"].max())
    lows, highs, handles = [], [], []
    for method in dict.fromkeys(curves["method"]):
        curve = curves[curves["method"] == method]
        style = method_info(method)
        x = [*(curve["x"] / unit), max(right, float(curve["x"].iloc[-1])) / unit] if epoch else [*(curve["x"] / unit)]
        bands = {side: [*curve[side], curve[side].iloc[-1]] if epoch else [*curve[side]] for side in _SIDES}
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
    if epoch:
        pairs = ax.secondary_xaxis("top", functions=(partial(np.multiply, epoch), partial(np.multiply, 1 / epoch)))
        pairs.set_xlabel("sentence pairs trained")
        pairs.xaxis.set_major_locator(MaxNLocator(5))
        pairs.xaxis.set_major_formatter(FuncFormatter(lambda count, _: _short(count)))
        pairs.spines["top"].set_visible(True)
        pairs.spines["top"].set_color(MUTED)


_SIDES = ("mean", "low", "high")


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
