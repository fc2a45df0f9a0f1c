"""Comparisons of the reference method with the others in words: what may be concluded from them, and what may not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nmt_pbt.base.text import counted
from nmt_pbt.report.labels import listed, metric_label, signed
from nmt_pbt.report.methods import base_method, method_info

Row = Mapping[Any, Any]
"""A row of `statistics.comparisons` whose method_a is the reference."""


def rivals(methods: Sequence[str]) -> list[str]:
    """Return PBT and the methods that are no ablations of it; all methods where there is no other, or no PBT."""
    found = [method for method in methods if not method_info(method).ablation]
    return found if len(found) > 1 and any(base_method(method) == "pbt" for method in found) else list(methods)


def verdict(rows: Sequence[Row]) -> str:
    """Say in one sentence whether the reference differs from its rivals.

    Args:
        rows: The comparisons of the reference method with each other one.
    """
    rows = [row for row in rows if row["searches"]]
    if not rows:
        return ""
    reference = _name(rows[0], "method_a")
    known = rivals([rows[0]["method_a"], *(row["method_b"] for row in rows)])
    compared, rows = len(rows), [row for row in rows if row["method_b"] in known]
    if all(row["searches"] == 1 for row in rows):
        return (
            "One search each compares models and proves nothing about methods: with another seed the order may turn "
            "round. Repeat the searches, with --seeds 5 or more, to learn about methods."
        )
    better, worse, open_ = (
        [_name(row, "method_b") for row in rows if _side(row) == side] for side in ("a", "b", "open")
    )
    if not better and not worse:
        if len(open_) == 1:
            others = open_[0]
        else:
            others = "any other method" if len(open_) == compared else f"any of {listed(open_)}"
        counts = {int(row["searches"]) for row in rows}
        made = f"{counts.pop()} searches each" if len(counts) == 1 else "the searches made"
        return f"No difference between {reference} and {others} is significant: {made} do not show one."
    parts = [
        f"significantly better than {listed(better)}" if better else "",
        f"significantly worse than {listed(worse)}" if worse else "",
        f"not told apart from {listed(open_)}" if open_ else "",
    ]
    return f"{reference} is {listed(list(filter(None, parts)))}."


def _side(row: Row) -> str:
    return str(row["verdict"]) if row["verdict"] in ("a", "b") else "open"


def comparison_findings(rows: Sequence[Row]) -> list[str]:
    """Give the differences of the reference from its rivals and from its ablations, and say how to read them.

    Args:
        rows: The comparisons of the reference method with each other one.
    """
    rows = [row for row in rows if row["searches"]]
    if not rows:
        return []
    reference, metric = _name(rows[0], "method_a"), metric_label(rows[0]["metric"])
    several = any(row["searches"] > 1 for row in rows)
    told = []
    for family in ("rivals", "ablations"):
        mine = [row for row in rows if row["family"] == family]
        if mine:
            against = "its ablations" if family == "ablations" else "other methods"
            if len(mine) == 1:
                against = _name(mine[0], "method_b")
            texts = [_over_searches(row) if row["searches"] > 1 else _over_sentences(row, several) for row in mine]
            names = [f"{_name(row, 'method_b')} " if len(mine) > 1 else "" for row in mine]
            items = "; ".join(f"{name}{text}" for name, text in zip(names, texts, strict=True))
            told.append(f"{reference} against {against}, test {metric}: {items}.")
    how = _how_over_searches(rows) if several else _how_over_sentences(rows)
    told[-1] = f"{told[-1]} {how}"
    return told


def _over_searches(row: Row) -> str:
    text = f"{_points(row, 'difference')} ({_points(row, 'low')} to {_points(row, 'high')}"
    if _same(row):
        return f"{_points(row, 'difference')}, the same in every search"
    if _wants_more(row):
        needed = f"{row['needed']:,}" if row["needed"] else "more than 1,000"
        return f"{text}; {needed} needed)"
    if _side(row) != "open":
        return f"{text}), significant ({p_text(row['p_searches'])})"
    return f"{text}), beyond chance over searches but not over test sentences ({p_text(row['p_sentences'])})"


def _same(row: Row) -> bool:
    return bool(row["wins"] == row["losses"] == 0)


def _wants_more(row: Row) -> bool:
    """Return whether more searches might show the difference."""
    return not _same(row) and _side(row) == "open" and not row["p_searches"] < 0.05


def _over_sentences(row: Row, beside_several: bool) -> str:
    difference = _points(row, "difference") + (" of one search each" if beside_several else "")
    if math.isnan(row["p_sentences"]):
        return f"{difference}, whether that is chance was not tested"
    over = " over test sentences" if beside_several else ""
    text = f"{difference} ({_points(row, 'sentences_low')} to {_points(row, 'sentences_high')}{over}), "
    told = "not told apart" if row["verdict"] == "open" else "beyond chance"
    return f"{text}{told} ({p_text(row['p_sentences'])})"


def _how_over_searches(rows: Sequence[Row]) -> str:
    rows = [row for row in rows if row["searches"] > 1]
    searches = {int(row["searches"]) for row in rows}
    means = f"Means of {searches.pop()} searches each" if len(searches) == 1 else "Means over the searches made of both"
    needed = (
        " Needed are the searches of each method that would show the difference 4 times in 5, were it as it looks: a "
        "rough guess from few searches."
        if any(map(_wants_more, rows))
        else ""
    )
    intervals = "the 95% interval of each difference by itself" if len(rows) > 1 else "the 95% interval"
    return f"{means}, with {intervals}{_adjusted(rows)}.{needed}"


def _how_over_sentences(rows: Sequence[Row]) -> str:
    if all(math.isnan(row["p_sentences"]) for row in rows):
        return "These are models, one of each method."
    return f"These are models, one of each method, with 95% intervals over test sentences{_adjusted(rows)}."


def _adjusted(rows: Sequence[Row]) -> str:
    """Say for how many comparisons p-values are adjusted, by family; a single comparison needs no adjustment."""
    text = adjusted_for([row["family"] for row in rows])
    return f"; significance is adjusted for {text}" if text else ""


def adjusted_for(families: Sequence[str]) -> str:
    """Return for how many comparisons p-values are adjusted, in words; empty where they are not.

    Args:
        families: Of each comparison, as `statistics.comparisons` names them.
    """
    counts = Counter(families)
    if len(counts) == 1:
        return counted(len(families), "comparison") if len(families) > 1 else ""
    if max(counts.values()) == 1:
        return ""
    with_rivals, ablations = counted(counts["rivals"], "comparison"), counts["ablations"]
    return f"{with_rivals} with rivals, and by themselves for {ablations} with ablations"


def p_text(p: float) -> str:
    """Return a p-value as text; all of them are adjusted for the number of comparisons."""
    if p < 0.001:
        return "adjusted p < 0.001"
    digits = 4 if round(p, 3) == 0.05 else 3 if p < 0.1 else 2  # 0.0496 is significant, 0.050 would not look it
    return f"adjusted p = {p:.{digits}f}"


def _name(row: Row, side: str) -> str:
    return method_info(row[side]).label


def _points(row: Row, column: str) -> str:
    return signed(row[column], row["metric"])
