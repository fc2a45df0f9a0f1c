"""Test scores of the winners, and the differences between methods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nmt_pbt.report.figures.palette import INK, MUTED, PAPER
from nmt_pbt.report.labels import metric_label
from nmt_pbt.report.methods import method_info


def draw_scores(
    ax: Axes,
    tests: pd.DataFrame,
    summary: pd.DataFrame,
    metric: str,
    sentences: Mapping[tuple[str, int], tuple[float, float]],
) -> None:
    """Draw each winner's test score as a mark, one row a method.

    With several searches, their mean with its interval is drawn beside the marks; with one, the interval over test
    sentences.

    Args:
        ax: Where to draw.
        tests: `series.tests`.
        summary: `statistics.summary`.
        metric: `bleu` or `chrf`.
        sentences: `statistics.sentence_intervals`.
    """
    rows = [row for row in summary.to_dict("records") if row["method"] in set(tests["method"])]
    several = any(row["searches"] > 1 for row in rows)
    known = False
    for place, row in enumerate(rows):
        style = method_info(row["method"])
        mine = tests[tests["method"] == row["method"]]
        scores = [float(score) for score in mine[f"test_{metric}"]]
        if len(scores) > 1:
            ax.plot(scores, [place - 0.16] * len(scores), style.marker, color=style.color, markersize=5, alpha=0.65)
            ends = [row[f"test_{metric}_low"], row[f"test_{metric}_high"]]
        else:
            ends = list(sentences.get((row["method"], int(mine["seed"].iloc[0])), (math.nan, math.nan)))
            known = known or not math.isnan(ends[0])
        ax.plot(ends, [place + 0.12 * (len(scores) > 1)] * 2, color=style.color, linewidth=2.2, solid_capstyle="butt")
        mean = row[f"test_{metric}"]
        where = place + 0.12 * (len(scores) > 1)
        ax.plot(mean, where, style.marker, color=style.color, markeredgecolor=INK, markersize=7.5, zorder=4)
        right = max([value for value in (*ends, *scores, mean) if not math.isnan(value)])
        ax.annotate(f"{mean:.1f}", (right, where), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5)
    ax.margins(x=0.12)
    _rows(ax, [method_info(row["method"]).label for row in rows])
    ax.set_xlabel(f"test {metric_label(metric)}")
    handles = [Line2D([], [], color=MUTED, marker="o", markersize=5, linestyle="", label="one search")]
    if several:
        label = "mean, 95% interval over searches"
        handles.append(Line2D([], [], color=MUTED, marker="o", markeredgecolor=INK, linewidth=2.2, label=label))
    elif known:
        label = "95% interval over test sentences"
        handles.append(Line2D([], [], color=MUTED, linewidth=2.2, label=label))
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.2)


def draw_differences(ax: Axes, comparisons: pd.DataFrame) -> None:
    """Draw one method's difference from each other one, with both kinds of interval.

    Args:
        ax: Where to draw.
        comparisons: `statistics.comparisons` with one method as the reference.
    """
    rows = comparisons.to_dict("records")
    for place, row in enumerate(rows):
        style = method_info(row["method_b"])
        ax.plot(
            [row["sentences_low"], row["sentences_high"]],
            [place - 0.13] * 2,
            color=style.color,
            linewidth=5,
            alpha=0.35,
            solid_capstyle="butt",
        )
        ax.plot([row["low"], row["high"]], [place + 0.13] * 2, color=style.color, linewidth=2, solid_capstyle="butt")
        shown: dict[str, Any] = {
            "markerfacecolor": style.color if row["verdict"] in ("a", "b") else PAPER,
            "markeredgecolor": INK,
        }
        ax.plot(row["difference"], place, style.marker, **shown, markersize=7, zorder=4)
    ax.axvline(0, color=INK, linewidth=0.9)
    _rows(ax, [method_info(row["method_b"]).label for row in rows])
    reference = method_info(rows[0]["method_a"]).label
    ax.set_xlabel(f"test {metric_label(rows[0]['metric'])} of {reference} less that of the other")
    handles = []
    if any(not math.isnan(row["low"]) for row in rows):
        handles.append(Line2D([], [], color=MUTED, linewidth=2, label="over searches"))
    if any(not math.isnan(row["sentences_low"]) for row in rows):
        handles.append(Line2D([], [], color=MUTED, linewidth=5, alpha=0.35, label="over test sentences"))
    if handles:
        ax.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            title="95% interval",
            title_fontsize=8.5,
        )


def _rows(ax: Axes, labels: list[str]) -> None:
    """Label one row a method, the first on top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.45, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
