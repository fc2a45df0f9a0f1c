"""What a population did: its learning curves, its family tree, and how greedy its selection was."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nmt_pbt.report.figures.palette import BLUE, FAINT, INK, MUTED, ORANGE, VERMILLION
from nmt_pbt.report.figures.style import frame_scores, legend_above
from nmt_pbt.report.labels import metric_label

_EXPLOIT: dict[str, Any] = {"color": VERMILLION, "linewidth": 0.8, "linestyle": (0, (1.5, 1.5))}
_DIVERSITY: dict[str, Any] = {"color": BLUE, "linewidth": 2.2, "marker": "o", "markersize": 4.5}
_ANCESTOR: dict[str, Any] = {"color": VERMILLION, "linestyle": (0, (5, 2)), "marker": "s", "markersize": 4.5}
_EXPLOITS: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (1.2, 1.2)), "marker": "^", "markersize": 4.5}


def draw_learning_curves(ax: Axes, curves: pd.DataFrame, exploits: pd.DataFrame, objective: str) -> None:
    """Draw every trial's curve thin, the winner's lineage bold, and each exploit from the state left to the one taken.

    Args:
        ax: Where to draw.
        curves: `figure_tables.member_curves`.
        exploits: `figure_tables.exploits`.
        objective: The metric's name.
    """
    for _, curve in curves.groupby("trial", sort=False):
        ax.plot(curve["epochs"], curve["score"], color=FAINT, linewidth=0.9, marker=".", markersize=3.5, zorder=2)
    for _, curve in curves[curves["winner"]].groupby("trial", sort=False):
        ax.plot(curve["epochs"], curve["score"], color=BLUE, linewidth=2.2, zorder=4, solid_capstyle="round")
    finite = curves["score"].dropna()
    frame_scores(ax, float(finite.min()), float(finite.max()))
    floor = ax.get_ylim()[0]
    for row in exploits.to_dict("records"):
        failed = bool(np.isnan(row["left_score"]))
        left = floor if failed else row["left_score"]
        ends = [row["left_epochs"], row["epochs"]], [left, row["score"]]
        ax.plot(*ends, **_EXPLOIT, zorder=3)
        ax.plot(ends[0][0], left, color=VERMILLION, marker="x", markersize=5.5, zorder=5, clip_on=False)
    won = curves[curves["winner"]]
    handles = [Line2D([], [], color=FAINT, marker=".", markersize=3.5, linewidth=0.9, label="member")]
    if len(won):
        last = won.sort_values("epochs", kind="stable").iloc[-1]
        ax.plot(last["epochs"], last["score"], color=BLUE, marker="*", markersize=11, zorder=6)
        handles.append(Line2D([], [], color=BLUE, linewidth=2.2, marker="*", markersize=9, label="way to the winner"))
    if len(exploits):
        handles.append(Line2D([], [], **_EXPLOIT, marker="x", markersize=5.5, label="gives up its state"))
    ax.set_xlim(0, float(curves["epochs"].max()) * 1.04)
    ax.set_xlabel("epochs these weights were trained")
    ax.set_ylabel(metric_label(objective))
    legend_above(ax, handles, 3)


def draw_family_tree(ax: Axes, tree: pd.DataFrame) -> None:
    """Draw a mark for each trial, member against generation, joined to its parent.

    Args:
        ax: Where to draw.
        tree: `figure_tables.family_tree`.
    """
    members, generations = tree["member"].nunique(), tree["generation"].nunique()
    size = min(7.5, 150 / max(members, 1), 110 / max(generations, 1))
    for row in tree.dropna(subset="parent_member").to_dict("records"):
        start = float(row["parent_generation"]), float(row["parent_member"])
        end = float(row["generation"]), float(row["member"])
        if row["inherited"]:
            ax.add_patch(_arrow(start, end, VERMILLION, 0.9, size, zorder=2))
        else:
            ax.plot(*zip(start, end, strict=True), color=FAINT, linewidth=1.0, zorder=1)
        if row["winner"]:
            ax.plot(*zip(start, end, strict=True), color=BLUE, linewidth=3.2, alpha=0.75, zorder=2.5)
    failed = tree["rank"].isna()
    ax.plot(tree.loc[failed, "generation"], tree.loc[failed, "member"], "x", color=INK, markersize=size, zorder=4)
    good = tree[~failed]
    shades = mpl.colormaps["cividis"]
    marks = ax.scatter(
        good["generation"],
        good["member"],
        c=1 - good["rank"],
        cmap=shades,
        vmin=0,
        vmax=1,
        s=size**2,
        edgecolors=MUTED,
        linewidths=0.6,
        zorder=4,
    )
    last = tree[tree["winner"]]
    if len(last):
        ax.plot(
            last["generation"].iloc[-1],
            last["member"].iloc[-1],
            marker="*",
            color=BLUE,
            markeredgecolor="white",
            markersize=2 * size,
            zorder=5,
        )
    bar = ax.figure.colorbar(marks, ax=ax, ticks=[0, 1], fraction=0.035, pad=0.02)
    bar.ax.set_yticklabels(["worst", "best"])
    bar.set_label("rank in its generation", labelpad=-22)
    bar.outline.set_visible(False)
    handles = [
        Line2D([], [], color=BLUE, linewidth=3.2, alpha=0.75, marker="*", markersize=8, label="way to the winner"),
        Line2D([], [], color=VERMILLION, linewidth=0.9, label="adopts a state"),
    ]
    if failed.any():
        handles.append(Line2D([], [], color=INK, marker="x", linestyle="", label="failed"))
    legend_above(ax, handles, len(handles))
    ax.grid(visible=False)
    # With one generation, or one member, the axis would be a fraction of a step long.
    ax.set_xlim(float(tree["generation"].min()) - 0.5, float(tree["generation"].max()) + 0.5)
    ax.set_ylim(float(tree["member"].max()) + 0.5, float(tree["member"].min()) - 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("generation")
    ax.set_ylabel("member")


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
    legend_above(ax, handles, 3)


def _arrow(
    start: tuple[float, float], end: tuple[float, float], color: str, width: float, size: float, zorder: float
) -> FancyArrowPatch:
    return FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=7,
        color=color,
        linewidth=width,
        shrinkA=size / 2,
        shrinkB=size / 2,
        zorder=zorder,
    )
