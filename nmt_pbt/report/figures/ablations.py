"""How the way to PBT's winner compares with its ablations."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nmt_pbt.report.figures.style import frame_scores
from nmt_pbt.report.labels import metric_label
from nmt_pbt.report.methods import method_info

_SHOWN_FROM = 0.3  # scores before this share of training may lie below the frame


def draw_ablations(ax: Axes, curves: pd.DataFrame, objective: str) -> None:
    """Draw one learning curve a method over its weights' training, with a band from the least to the greatest.

    Args:
        ax: Where to draw.
        curves: `views.ablation_curves`.
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
    late = curves[curves["epochs"] >= _SHOWN_FROM * right]
    frame_scores(ax, float(late["low"].min()), float(late["high"].max()))
    ax.set_xlim(0, right * 1.02)
    ax.set_xlabel("epochs these weights were trained")
    ax.set_ylabel(metric_label(objective))
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, handlelength=3)
