"""Where the wall-clock went."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from nmt_pbt.report.figures.palette import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILLION
from nmt_pbt.report.figures.style import legend_above
from nmt_pbt.report.methods import method_info

_PARTS = {
    "train": (BLUE, ""),
    "evaluate": (ORANGE, "///"),
    "test": (GREEN, "\\\\\\"),
    "load": (PURPLE, "..."),
    "save": (SKY, "xxx"),
    "decide": (VERMILLION, "|||"),
    "idle": (GREY, ""),
}


def draw_time_spent(ax: Axes, times: pd.DataFrame) -> None:
    """Draw one bar a method, its working time itemised; the mean where there are several searches.

    Args:
        ax: Where to draw.
        times: `series.time_spent`.
    """
    means = times.groupby("method", sort=False)[[*_PARTS, "total"]].mean()
    unit, name = (3600.0, "hours") if means["total"].max() >= 7200 else (60.0, "minutes")
    if means["total"].max() < 120:
        unit, name = 1.0, "seconds"
    places = range(len(means))
    left = [0.0] * len(means)
    for part, (color, hatch) in _PARTS.items():
        widths = [float(seconds) / unit for seconds in means[part]]
        if sum(widths) > 0.002 * float(means["total"].sum()) / unit:
            ax.barh(
                places, widths, left=left, height=0.6, color=color, label=part, hatch=hatch, edgecolor="white", lw=0.4
            )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, (total, train) in enumerate(zip(means["total"], means["train"], strict=True)):
        share = f"{100 * train / total:.0f}% training" if total else ""
        ax.annotate(
            share, (left[place], place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    ax.set_yticks(places, [method_info(str(method)).label for method in means.index])
    ax.set_ylim(len(means) - 0.45, -0.55)
    ax.set_xlim(0, max(left) * 1.28 or 1.0)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"working time in {name}, all workers of a search")
    handles, _ = ax.get_legend_handles_labels()
    legend_above(ax, handles, 6, columnspacing=1.0, handlelength=1.4)
