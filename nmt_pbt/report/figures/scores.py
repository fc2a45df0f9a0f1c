"""Test scores of the winners, and the differences between methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nmt_pbt.report.comparisons import Comparison
from nmt_pbt.report.figures.palette import INK, MUTED, PAPER
from nmt_pbt.report.figures.style import legend_above
from nmt_pbt.report.labels import metric_label
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.statistics import MethodSummary


def draw_scores(
    ax: Axes,
    tests: pd.DataFrame,
    rows: Sequence[MethodSummary],
    metric: str,
    sentences: Mapping[tuple[str, int], tuple[float, float]],
) -> None:
    """Draw each winner's test score as a mark, one row a method.

    With several searches, their mean with its interval is drawn beside the marks; with one, the interval over test
    sentences.

    Args:
        ax: Where to draw.
        tests: `series.tests`.
        rows: Summaries of the methods that were tested.
        metric: `bleu` or `chrf`.
        sentences: `comparisons.sentence_intervals`.
    """
    known = False
    for place, row in enumerate(rows):
        style, estimate = method_info(row.method), row.test[metric]
        mine = tests[tests["method"] == row.method]
        scores = [float(score) for score in mine[f"test_{metric}"]]
        if len(scores) > 1:
            ax.plot(scores, [place - 0.16] * len(scores), style.marker, color=style.color, markersize=5, alpha=0.65)
            ends = [estimate.low, estimate.high]
        else:
            ends = list(sentences.get((row.method, int(mine["seed"].iloc[0])), (math.nan, math.nan)))
            known = known or not math.isnan(ends[0])
        where = place + 0.12 * (len(scores) > 1)
        ax.plot(ends, [where] * 2, color=style.color, linewidth=2.2, solid_capstyle="butt")
        ax.plot(estimate.mean, where, style.marker, color=style.color, markeredgecolor=INK, markersize=7.5, zorder=4)
        right = max([value for value in (*ends, *scores, estimate.mean) if not math.isnan(value)])
        at: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": 8.5}
        ax.annotate(f"{estimate.mean:.1f}", (right, where), **at)
    ax.margins(x=0.12)
    _rows(ax, [method_info(row.method).label for row in rows])
    ax.set_xlabel(f"test {metric_label(metric)}")
    handles = [Line2D([], [], color=MUTED, marker="o", markersize=5, linestyle="", label="one search")]
    if any(row.searches > 1 for row in rows):
        label = "mean, 95% interval over searches"
        handles.append(Line2D([], [], color=MUTED, marker="o", markeredgecolor=INK, linewidth=2.2, label=label))
    elif known:
        label = "95% interval over test sentences"
        handles.append(Line2D([], [], color=MUTED, linewidth=2.2, label=label))
    legend_above(ax, handles, 2)


def draw_differences(ax: Axes, pairs: Sequence[Comparison]) -> None:
    """Draw one method's difference from each other one, with both kinds of interval.

    Args:
        ax: Where to draw.
        pairs: Comparisons of one method with each other one.
    """
    over_searches: dict[str, Any] = {"linewidth": 2, "solid_capstyle": "butt"}
    over_sentences: dict[str, Any] = {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "butt"}
    for place, pair in enumerate(pairs):
        style = method_info(pair.method_b)
        ax.plot([pair.sentences_low, pair.sentences_high], [place - 0.13] * 2, color=style.color, **over_sentences)
        ax.plot([pair.low, pair.high], [place + 0.13] * 2, color=style.color, **over_searches)
        face: dict[str, Any] = {"markerfacecolor": style.color if pair.better else PAPER, "markeredgecolor": INK}
        ax.plot(pair.difference, place, style.marker, **face, markersize=7, zorder=4)
    ax.axvline(0, color=INK, linewidth=0.9)
    _rows(ax, [method_info(pair.method_b).label for pair in pairs])
    ax.set_xlabel(
        f"test {metric_label(pairs[0].metric)} of {method_info(pairs[0].method_a).label} less that of the other"
    )
    handles = []
    if any(not math.isnan(pair.low) for pair in pairs):
        handles.append(Line2D([], [], color=MUTED, linewidth=2, label="over searches"))
    if any(not math.isnan(pair.sentences_low) for pair in pairs):
        handles.append(Line2D([], [], color=MUTED, linewidth=5, alpha=0.35, label="over test sentences"))
    if handles:
        legend_above(ax, handles, 2, columnspacing=2.0, title="95% interval", title_fontsize=8.5)


def _rows(ax: Axes, labels: list[str]) -> None:
    """Label one row a method, the first on top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.45, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
