"""Comparisons of the reference method with the others in words: what may be concluded from them, and what may not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from nmt_pbt.base.text import counted
from nmt_pbt.report.comparisons import Comparison
from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.words import label, say


def rivals(methods: Sequence[str]) -> list[str]:
    """Return PBT and the methods that are no ablations of it; all methods where there is no other, or no PBT."""
    found = [method for method in methods if not method_info(method).ablation]
    return found if len(found) > 1 and any(base_method(method) == "pbt" for method in found) else list(methods)


def verdict(rows: Sequence[Comparison]) -> str:
    """Say in one sentence whether the reference differs from its rivals.

    Args:
        rows: The comparisons of the reference method with each other one.
    """
    made = [row for row in rows if row.searches]
    if not made:
        return ""
    known = rivals([made[0].method_a, *(row.method_b for row in made)])
    rows = [row for row in made if row.method_b in known]
    if all(row.searches == 1 for row in rows):
        return say("models_prove_nothing")
    reference = label(made[0].method_a)
    better, worse, open_ = ([label(row.method_b) for row in rows if row.better == side] for side in ("a", "b", None))
    if better or worse:
        return say("differences", reference=reference, better=better, worse=worse, open=open_)
    return say(
        "no_difference", reference=reference, others=open_, all=len(open_) == len(made), searches=_searches_each(rows)
    )


def comparison_findings(rows: Sequence[Comparison]) -> list[str]:
    """Give the differences of the reference from its rivals and from its ablations, and say how to read them.

    Args:
        rows: The comparisons of the reference method with each other one.
    """
    rows = [row for row in rows if row.searches]
    families = [[row for row in rows if row.family == family] for family in ("rivals", "ablations")]
    families = [mine for mine in families if mine]
    several = any(row.searches > 1 for row in rows)
    told = []
    for mine in families:
        alone = len(mine) == 1
        others = "its ablations" if mine[0].family == "ablations" else "other methods"
        items = [
            _difference(row, several) if alone else f"{label(row.method_b)} {_difference(row, several)}" for row in mine
        ]
        told.append(
            say(
                "against",
                reference=label(mine[0].method_a),
                others=label(mine[0].method_b) if alone else others,
                metric=mine[0].metric,
                items=items,
                how=_how_to_read(rows, several) if mine is families[-1] else "",
            )
        )
    return told


def _difference(row: Comparison, several: bool) -> str:
    if row.searches > 1:
        return say("over_searches", row=row, same=_same(row), wants_more=_wants_more(row))
    return say("over_sentences", row=row, tested=not math.isnan(row.p_sentences), beside_several=several)


def _same(row: Comparison) -> bool:
    return row.wins == row.losses == 0


def _wants_more(row: Comparison) -> bool:
    """Return whether more searches might show the difference."""
    return not _same(row) and row.better is None and not row.p_searches < 0.05


def _how_to_read(rows: Sequence[Comparison], several: bool) -> str:
    if not several:
        tested = not all(math.isnan(row.p_sentences) for row in rows)
        return say("how_over_sentences", tested=tested, adjusted=adjusted_for(rows))
    repeated = [row for row in rows if row.searches > 1]
    return say(
        "how_over_searches",
        searches=_searches_each(repeated),
        several_rows=len(repeated) > 1,
        adjusted=adjusted_for(repeated),
        wants_more=any(map(_wants_more, repeated)),
    )


def _searches_each(rows: Sequence[Comparison]) -> int | None:
    """Return over how many searches all comparisons are; None where they differ."""
    searches = {row.searches for row in rows}
    return searches.pop() if len(searches) == 1 else None


def adjusted_for(rows: Sequence[Comparison]) -> str:
    """Return for how many comparisons p-values are adjusted, in words; empty where they are not."""
    counts = Counter(row.family for row in rows)
    if len(counts) == 1:
        return counted(len(rows), "comparison") if len(rows) > 1 else ""
    if max(counts.values()) == 1:
        return ""
    return say("adjusted_for", rivals=counts["rivals"], ablations=counts["ablations"])
