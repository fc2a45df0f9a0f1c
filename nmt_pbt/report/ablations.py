"""What the ablations say in words: was it the schedule, or the luck of the weights that were selected? And by hand."""

from __future__ import annotations

import math

import pandas as pd

from nmt_pbt.base.text import counted
from nmt_pbt.report.labels import listed, metric_label, score_text
from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.statistics import replay_methods
from nmt_pbt.run.journal import Guessed, Tested


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
    scores = replay_scores(run)
    if scores.empty:
        return []  # a schedule from elsewhere, or nothing evaluated yet
    told = []
    for source in dict.fromkeys(map(source_of, replay_methods(run))):
        mine = scores[[source_of(method) == source for method in scores["method"]]]
        found = [_worth(run, str(method), rows["score"]) for method, rows in mine.groupby("method", sort=False)]
        found = [text for text in found if text]
        if found:
            told.append(f"{'. '.join(found)}. {_winners(run, source, set(mine['seed']))}.")
    return told


def _worth(run: Run, method: str, scores: pd.Series[float]) -> str:
    finite = scores.dropna()
    if finite.empty:
        return ""
    objective, label = str(run.searches["objective"].iloc[0]), method_info(source_of(method)).label
    what = "schedule" if base_method(method) == "replay" else "final values"
    held = "" if base_method(method) == "replay" else ", held throughout,"
    spread = f" ({score_text(finite.min(), objective)} to {score_text(finite.max(), objective)})"
    spread = spread if len(finite) > 1 else ""
    failed = f"; {len(scores) - len(finite)} of {len(scores)} failed" if len(finite) < len(scores) else ""
    return (
        f"The {what} of {label}{held} gave {metric_label(objective)} {score_text(float(finite.mean()), objective)} on "
        f"average in {counted(len(finite), 'model')} trained from other initial weights for as long{spread}{failed}"
    )


def _winners(run: Run, source: str, seeds: set[int]) -> str:
    mine = run.winners[(run.winners["method"] == source) & run.winners["seed"].isin(seeds)]["score"]
    several, objective = len(mine) > 1, str(run.searches["objective"].iloc[0])
    winners = f"The {'winners' if several else 'winner'} of {method_info(source).label}"
    mean = "a mean of " if several else ""
    return f"{winners}, chosen by that score, had {mean}{score_text(float(mine.mean()), objective)}"


def replay_cautions(run: Run) -> list[str]:
    """Say that a replay is no search: what it replays had to be found first."""
    methods = replay_methods(run)
    if not methods:
        return []
    labels = [method_info(method).label for method in methods]
    names = listed(labels)
    verb = "train" if len(labels) > 1 else "trains"
    return [f"{names} {verb} by what PBT had found: what that search cost comes on top of the budget told."]


def guess_cautions(run: Run) -> list[str]:
    """Say how many guesses by hand were made when the test score of an earlier one was known already."""
    tested: set[tuple[str, int]] = set()
    late: dict[str, int] = {}
    for record in run.records:
        if isinstance(record, Tested):
            tested.add((record.method, record.seed))
        elif isinstance(record, Guessed) and (record.method, record.seed) in tested:
            late[record.method] = late.get(record.method, 0) + 1
    return [
        f"{counted(count, 'guess', 'guesses')} of {method_info(method).label} came after its winner had "
        "been tested: the test split may have steered whoever guessed."
        for method, count in late.items()
    ]
