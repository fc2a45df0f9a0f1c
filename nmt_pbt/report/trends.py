"""What became of hyperparameters on the way to the winners: does dropout rise, does the batch grow?"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from nmt_pbt.report.comparisons import reference_method
from nmt_pbt.report.labels import with_seed
from nmt_pbt.report.run import Run
from nmt_pbt.report.statistics import population_methods
from nmt_pbt.report.words import say

_COLUMNS = ["seed", "lineage", "trial", "hyperparameter", "first", "last", "changes"]


def trends(run: Run, method: str) -> pd.DataFrame:
    """First and last values along lineages of a method's populations: to each winner, and to each member's last state.

    Args:
        run: The run.
        method: Whose searches.

    Returns:
        Columns: seed, lineage (`winner` or `survivor`), trial (the last of it), hyperparameter, first, last (values; of
        the winner's lineage those in force up to the winning evaluation), changes (how often the value changed).
        Hyperparameters that the method did not set are left out.
    """
    rows: list[dict[str, Any]] = []
    for search in run.searches[run.searches["method"] == method].to_dict("records"):
        seed = int(search["seed"])
        alive = run.ancestry.latest(method, seed)
        lines = [("survivor", trial, run.ancestry.chain(method, seed, trial)) for trial in alive]
        if ((run.winners["method"] == method) & (run.winners["seed"] == seed)).any():
            chain = run.ancestry.chain(method, seed)
            lines.insert(0, ("winner", str(chain["trial"].iloc[-1]), chain))
        for kind, trial, chain in lines:
            for name in run.hyperparameters:
                if chain[name].isna().any():
                    continue  # only another method set it
                values = chain[name].tolist()
                rows.append(
                    {
                        **{"seed": seed, "lineage": kind, "trial": trial, "hyperparameter": name},
                        **{"first": values[0], "last": values[-1]},
                        "changes": sum(before != after for before, after in itertools.pairwise(values)),
                    }
                )
    return pd.DataFrame(rows, columns=_COLUMNS)


def direction_counts(rows: pd.DataFrame) -> dict[str, int]:
    """Count how many of some `trends` of one hyperparameter rose, fell, came back or never changed.

    Returns:
        Counts by `rose`, `fell`, `changed` (a choice without an order), `came back` and `stayed`, without zeros.
    """
    found: dict[str, int] = {}
    for row in rows.to_dict("records"):
        first, last = row["first"], row["last"]
        if first == last:
            word = "came back" if row["changes"] else "stayed"
        elif _is_number(first) and _is_number(last):
            word = "rose" if last > first else "fell"
        else:
            word = "changed"
        found[word] = found.get(word, 0) + 1
    order = ("rose", "fell", "changed", "came back", "stayed")
    return {word: found[word] for word in order if word in found}


def typical(values: pd.Series[Any]) -> float:
    """Return the median of values; NaN where they are not numbers."""
    numbers = [float(value) for value in values if _is_number(value)]
    return float(pd.Series(numbers).median()) if len(numbers) == len(values) and numbers else math.nan


def _to_winners(run: Run, method: str) -> pd.DataFrame:
    """Return the `trends` to the winners of a method; none where it has no population."""
    if method not in population_methods(run):
        return pd.DataFrame(columns=_COLUMNS)
    table = trends(run, method)
    return table[table["lineage"] == "winner"]


def schedule_trends(run: Run) -> list[str]:
    """Say in one sentence what became of each hyperparameter on the way to the winners of the reference method."""
    method = reference_method(run)
    table = _to_winners(run, method)
    parts = [
        say(
            "trend",
            hyperparameter=name,
            counts=direction_counts(rows),
            medians=[value for value in (typical(rows["first"]), typical(rows["last"])) if not math.isnan(value)],
        )
        for name, rows in table.groupby("hyperparameter", sort=False)
    ]
    winners = int(table["seed"].nunique())
    return [say("schedule_trends", method=method, winners=winners, parts=parts)] if parts else []


def schedule_findings(run: Run) -> list[str]:
    """Say what schedule the winner of each of the reference method's searches was trained with."""
    method = reference_method(run)
    return [
        say(
            "schedule",
            method=method,
            seed=with_seed(run, int(str(seed))),
            changes=[say("change", row=row) for row in rows.to_dict("records")],
            adopted=int(run.ancestry.chain(method, int(str(seed)))["inherited"].sum()),
        )
        for seed, rows in _to_winners(run, method).groupby("seed", sort=False)
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
