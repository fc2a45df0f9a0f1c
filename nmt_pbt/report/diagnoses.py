"""How greedy the populations of a run were: their diagnoses as a table, and in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nmt_pbt.report import statistics
from nmt_pbt.report.labels import with_seed
from nmt_pbt.report.methods import base_method
from nmt_pbt.report.run import Run
from nmt_pbt.report.words import say, search_names

_MEANING = {
    "one ancestor": "all members descend from one of the models the population began with: everything was bet on it. "
    "More members, longer intervals, a smaller search.pbt.fraction or search.pbt.frequencies would be less greedy",
    "little diversity": "the members' values lie closer together than a third of what they began with, so that there "
    "is little left to select among. Larger steps or search.pbt.resample_probability would spread them",
    "low learning rates": "all learning rates are in the lowest fifth of their range. Small rates pay at once and may "
    "cost later; longer intervals or search.pbt.frequencies would show it, and so does a replay with final-values",
}


def diagnosis_findings(run: Run) -> list[str]:
    """Say of each search by the reference method how diverse, and of how few ancestors, its population was."""
    return [
        say(
            "greed",
            method=method,
            seed=with_seed(run, int(str(seed))),
            kept=rows["diversity"].iloc[-1],
            halfway=rows["largest"].iloc[len(rows) // 2],
            end=rows["largest"].iloc[-1],
            exploits=rows["exploits"].iloc[1:].mean(),
        )
        for (method, seed), rows in _of_pbt(run).groupby(["method", "seed"], sort=False)
        if len(rows) > 1
    ]


def diagnosis_summary(run: Run) -> list[str]:
    """Say how diverse, and of how few ancestors, the populations of the reference method were, all seeds together."""
    told = []
    for method, rows in _of_pbt(run).groupby("method", sort=False):
        searches = [search for _, search in rows.groupby("seed", sort=False) if len(search) > 1]
        if searches:
            kept = [float(search["diversity"].iloc[-1]) for search in searches]
            halfway = [float(search["largest"].iloc[len(search) // 2]) for search in searches]
            end = [float(search["largest"].iloc[-1]) for search in searches]
            told.append(say("greed_of_all", method=method, kept=kept, halfway=halfway, end=end))
    return told


def diagnosis_cautions(run: Run) -> list[str]:
    """Say what collapsed early in which searches, why that matters, and what would help."""
    found: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    for row in _of_pbt(run).to_dict("records"):
        for alarm in filter(None, str(row["alarms"]).split("; ")):
            found.setdefault((alarm, row["method"]), []).append(row)
    return [
        say(
            "greedy",
            searches=search_names(run, rows)[0],
            generations=sorted({int(row["generation"]) for row in rows}),
            meaning=_MEANING.get(alarm, alarm),
        )
        for (alarm, _), rows in found.items()
    ]


def _of_pbt(run: Run) -> pd.DataFrame:
    """Return the diagnoses of PBT alone: what an ablation leaves out, it is not blamed for."""
    return run.diagnoses[run.diagnoses["method"].map(base_method) == "pbt"]


def spreads(table: pd.DataFrame) -> list[str]:
    """Return the hyperparameters whose spread a table of diagnoses tells."""
    return [name.removesuffix("_spread") for name in table.columns if name.endswith("_spread")]


def relative_spreads(table: pd.DataFrame) -> pd.DataFrame:
    """Return the spreads of one search's hyperparameters as shares of the first generation's.

    Args:
        table: Rows of `Run.diagnoses` of one search.

    Returns:
        Columns generation, hyperparameter, share. A hyperparameter whose values were all equal at first is left out.
    """
    rows: list[dict[str, Any]] = []
    for name in spreads(table):
        column = table[f"{name}_spread"].dropna()
        if len(column) and column.iloc[0] > 0:
            generations = table.loc[column.index, "generation"]
            rows += [
                {"generation": int(generation), "hyperparameter": name, "share": float(value / column.iloc[0])}
                for generation, value in zip(generations, column, strict=True)
            ]
    return pd.DataFrame(rows, columns=["generation", "hyperparameter", "share"])


def greedy_searches(run: Run) -> list[tuple[str, int]]:
    """Return the searches that were diagnosed, by method and seed; of the ablations only the first."""
    found: list[tuple[str, int]] = []
    for method in statistics.population_methods(run):
        seeds = list(dict.fromkeys(run.diagnoses.loc[run.diagnoses["method"] == method, "seed"]))
        found += [(method, int(seed)) for seed in (seeds if base_method(method) == "pbt" else seeds[:1])]
    return found
