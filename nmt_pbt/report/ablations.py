"""What the ablations say in words: was it the schedule, or the luck of the weights that were selected? And by hand."""

from __future__ import annotations

import math

import pandas as pd

from nmt_pbt.report.methods import base_method
from nmt_pbt.report.run import Run
from nmt_pbt.report.statistics import replay_methods
from nmt_pbt.report.words import say
from nmt_pbt.run.records import Guessed, Tested


def source_of(replay: str) -> str:
    """Return the method that found what a replay trains by: PBT, in the same run."""
    return f"pbt{replay.removeprefix(base_method(replay))}"


def replay_scores(run: Run) -> pd.DataFrame:
    """How good each model of a replay was when it had trained for as long as the winner that it replays.

    None of these is chosen for its score, as a winner is: their mean is what the schedule is worth with any weights.

    Returns:
        Columns: method, seed, member, score (the last evaluation up to the winner's age; NaN where the model failed
        before it).
    """
    known = replay_methods(run)
    ages = {(row["method"], row["seed"]): row["trained_pairs"] for row in run.winners.to_dict("records")}
    rows: dict[tuple[str, int, int], float] = {}
    scored: dict[tuple[str, int, int], float] = {}  # the age of the last score
    for point in run.evaluations[run.evaluations["method"].isin(known)].to_dict("records"):
        key = str(point["method"]), int(point["seed"]), int(point["member"])
        until = ages.get((source_of(key[0]), key[1]))
        if until is None:
            continue
        rows.setdefault(key, math.nan)
        if math.isnan(point["score"]):
            if scored.get(key, 0.0) < until:
                rows[key] = math.nan
        elif point["trained_pairs"] <= until:
            rows[key], scored[key] = float(point["score"]), float(point["trained_pairs"])
    return pd.DataFrame([(*key, score) for key, score in rows.items()], columns=["method", "seed", "member", "score"])


def replay_findings(run: Run) -> list[str]:
    """Say what PBT's schedule, and its final values alone, were worth from other initial weights."""
    scores, told = replay_scores(run), []
    sources = scores["method"].map(source_of)
    for source, mine in scores.groupby(sources, sort=False):
        found = [
            say(
                "replay_worth",
                source=source,
                final=base_method(str(method)) == "final-values",
                objective=run.objective,
                mean=float(finite.mean()),
                low=float(finite.min()),
                high=float(finite.max()),
                models=len(finite),
                failed=len(rows) - len(finite),
            )
            for method, rows in mine.groupby("method", sort=False)
            if len(finite := rows["score"].dropna())
        ]
        if found:
            winners = run.winners[(run.winners["method"] == source) & run.winners["seed"].isin(mine["seed"])]["score"]
            facts = {"source": source, "objective": run.objective, "mean": float(winners.mean())}
            told.append(". ".join([*found, say("replayed_winners", winners=len(winners), **facts)]) + ".")
    return told


def replay_cautions(run: Run) -> list[str]:
    """Say that a replay is no search: what it replays had to be found first."""
    methods = replay_methods(run)
    return [say("replays_cost_more", methods=methods)] if methods else []


def guess_cautions(run: Run) -> list[str]:
    """Say how many guesses by hand were made when the test score of an earlier one was known already."""
    tested: set[tuple[str, int]] = set()
    late: dict[str, int] = {}
    for record in run.records:
        if isinstance(record, Tested):
            tested.add((record.method, record.seed))
        elif isinstance(record, Guessed) and (record.method, record.seed) in tested:
            late[record.method] = late.get(record.method, 0) + 1
    return [say("late_guesses", method=method, count=count) for method, count in late.items()]
