"""What became of hyperparameters on the way to the winners: does dropout rise, does the batch grow?"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from nmt_pbt.base.text import counted
from nmt_pbt.report import statistics
from nmt_pbt.report.labels import listed, value_label, value_text, with_seed
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters

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
            for name in hyperparameters(run.records):
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
    if method not in statistics.population_methods(run):
        return pd.DataFrame(columns=_COLUMNS)
    table = trends(run, method)
    return table[table["lineage"] == "winner"]


def schedule_trends(run: Run) -> list[str]:
    """Say in one sentence what became of each hyperparameter on the way to the winners of the reference method."""
    method = statistics.reference_method(run)
    table = _to_winners(run, method)
    parts = []
    for name, rows in table.groupby("hyperparameter", sort=False):
        counts = direction_counts(rows)
        told = listed([f"{word} in {count}" if len(counts) > 1 else word for word, count in counts.items()])
        first, last = typical(rows["first"]), typical(rows["last"])
        medians = "" if math.isnan(first) else f" (medians {value_text(first)} → {value_text(last)})"
        parts.append(f"{value_label(str(name))} {told}{medians}")
    if not parts:
        return []
    winners = counted(int(table["seed"].nunique()), "winner")
    return [
        f"From the first to the last values on the way to the {winners} of {method_info(method).label}: "
        f"{'; '.join(parts)}."
    ]


def schedule_findings(run: Run) -> list[str]:
    """Say what schedule the winner of each of the reference method's searches was trained with."""
    method, told = statistics.reference_method(run), []
    for seed, rows in _to_winners(run, method).groupby("seed", sort=False):
        changes = []
        for row in rows.to_dict("records"):
            start, end = value_text(row["first"]), value_text(row["last"])
            text = f"{value_label(row['hyperparameter'])} {start}"
            if row["changes"]:
                text += f" → {end}" if start != end else " at both ends, with a detour"
            changes.append(text)
        adopted = int(run.ancestry.chain(method, int(str(seed)))["inherited"].sum())
        times = {0: "never adopted", 1: "adopted once"}.get(adopted, f"adopted {adopted} times")
        name = f"{method_info(method).label}{with_seed(run, int(str(seed)))}"
        told.append(f"Schedule of the winner of {name}: {', '.join(changes)}; its weights were {times}.")
    return told


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
