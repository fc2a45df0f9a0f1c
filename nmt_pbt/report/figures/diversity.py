"""How greedy the selection of a population was, over its generations."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nmt_pbt.report.figures.palette import BLUE, FAINT, INK, ORANGE, VERMILLION

_DIVERSITY: dict[str, Any] = {"color": BLUE, "linewidth": 2.2, "marker": "o", "markersize": 4.5}
_ANCESTOR: dict[str, Any] = {"color": VERMILLION, "linestyle": (0, (5, 2)), "marker": "s", "markersize": 4.5}
_EXPLOITS: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (1.2, 1.2)), "marker": "^", "markersize": 4.5}


def draw_diversity(ax: Axes, diagnoses: pd.DataFrame, spreads: pd.DataFrame) -> None:
    """Draw what is left of the values' diversity, and how much of the population one ancestor holds.

    Args:
        ax: Where to draw.
        diagnoses: Rows of `Run.diagnoses` of one search.
        spreads: `diagnoses.relative_spreads` of them.
    """
    for _, curve in spreads.groupby("hyperparameter", sort=False):
        ax.plot(curve["generation"], curve["share"], color=FAINT, linewidth=0.9, zorder=2)
    ax.plot(diagnoses["generation"], diagnoses["diversity"], **_DIVERSITY, zorder=4)
    ax.plot(diagnoses["generation"], diagnoses["largest"], **_ANCESTOR, zorder=3)
    ax.plot(diagnoses["generation"].iloc[1:], diagnoses["exploits"].iloc[1:], **_EXPLOITS, zorder=3)
    handles = [
        Line2D([], [], **_DIVERSITY, label="diversity of values"),
        Line2D([], [], color=FAINT, linewidth=0.9, label="of one hyperparameter"),
        Line2D([], [], **_ANCESTOR, label="held by one ancestor"),
        Line2D([], [], **_EXPLOITS, label="adopt"),
    ]
    alarms = diagnoses[diagnoses["alarms"] != ""]
    for row in alarms.to_dict("records"):
        ax.axvline(row["generation"], color=INK, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
    if len(alarms):
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (3, 3)), label="alarm"))
    # A hyperparameter whose values happened to lie close together at first may reach any height.
    highest = max(1.0, float(diagnoses["diversity"].max()), min(1.5, float(spreads["share"].max())))
    ax.set_ylim(0, 1.06 * highest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("generation")
    ax.set_ylabel("share")
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2)
