"""The run's result in words: what came out, what may be concluded from it, and what has to be kept in mind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nmt_pbt.base.text import counted
from nmt_pbt.report import statistics
from nmt_pbt.report.ablations import guess_cautions, replay_cautions, replay_findings
from nmt_pbt.report.diagnoses import diagnosis_cautions, diagnosis_findings, diagnosis_summary
from nmt_pbt.report.evidence import comparison_findings, rivals, verdict
from nmt_pbt.report.labels import listed, metric_label, score_text, value_label, value_text
from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters
from nmt_pbt.report.statistics import reference_method
from nmt_pbt.report.trends import schedule_findings, schedule_trends
from nmt_pbt.report.views import bound, rows_of
from nmt_pbt.run.journal import Evaluated

_SPENT = 0.995  # share of the budget from which it counts as spent


@dataclass(frozen=True)
class Answer:
    """What a report says first.

    Attributes:
        headline: The scores.
        verdict: What may be concluded from them, in a sentence; empty where nothing is compared.
        findings: How sure that is, and what else was found, one sentence or two each.
        details: What is behind the findings, search by search; empty where there is one search each.
        cautions: What weakens it: unequal budgets, failures, values at the end of their range.
    """

    headline: str
    verdict: str
    findings: list[str]
    details: list[str]
    cautions: list[str]


def main_metric(run: Run) -> str | None:
    """Return the test metric that is told first: the objective's where the test split was scored with it, else BLEU."""
    metrics = statistics.tested_metrics(run)
    objective = str(run.searches["objective"].iloc[0]).removeprefix("val_")
    return objective if objective in metrics else metrics[0] if metrics else None


def answer(run: Run, summary: pd.DataFrame, comparisons: pd.DataFrame) -> Answer:
    """Say what a run shows.

    Args:
        run: The run.
        summary: `statistics.summary` of it.
        comparisons: `statistics.comparisons` of the reference method with each other one; empty where nothing was
            tested.

    Returns:
        The answer, in sentences.
    """
    rows: list[dict[Any, Any]] = comparisons.to_dict("records")
    findings = [*comparison_findings(rows), *_speed(run, summary), *replay_findings(run)]
    each, greed = schedule_findings(run), diagnosis_findings(run)
    details: list[str] = []
    if len(each) > 1:
        findings += [*schedule_trends(run), *diagnosis_summary(run)]
        details = [*each, *greed]
    else:
        findings += [*each, *greed]
    return Answer(_headline(run, summary), verdict(rows), findings, details, _cautions(run, summary))


def _headline(run: Run, summary: pd.DataFrame) -> str:
    metric, objective = main_metric(run), str(run.searches["objective"].iloc[0])
    column = f"test_{metric}" if metric else "dev"
    upward = (statistics.test_direction(run, metric) if metric else statistics.direction(run)) == "max"
    rows = summary.dropna(subset=column).sort_values(column, ascending=not upward, kind="stable").to_dict("records")
    if not rows:
        return "No model has been evaluated yet."
    told = rivals([row["method"] for row in rows])
    scores = [
        f"{method_info(row['method']).label} {_with_interval(row, column, metric or objective)}"
        for row in rows
        if row["method"] in told
    ]
    counts = {int(row["tested" if metric else "scored"]) for row in rows if row["method"] in told}
    searches = max(counts)
    what = f"test {metric_label(metric)}" if metric else f"best {metric_label(objective)} so far, not yet tested"
    if searches > 1:
        what = f"mean {what} over {'' if len(counts) == 1 else 'up to '}{searches} searches each, with 95% intervals"
    return f"{', '.join(scores)}: {what}, {_budget(run)}."


def _with_interval(row: Mapping[Any, Any], column: str, metric: str) -> str:
    """Return a mean and its interval: `34.1 ± 0.4` where that is as long on either side, else `34.1 (33.6 to 34.9)`."""
    mean, low, high = (row[name] for name in (column, f"{column}_low", f"{column}_high"))
    text = score_text(mean, metric)
    if math.isnan(low):
        return text
    if math.isclose(high - mean, mean - low, rel_tol=1e-6, abs_tol=1e-9):
        return f"{text} ± {score_text(high - mean, metric)}"
    return f"{text} ({score_text(low, metric)} to {score_text(high, metric)})"


def _budget(run: Run) -> str:
    budgets = set(run.searches["budget_pairs"])
    budget, epoch = int(run.searches["budget_pairs"].iloc[0]), int(run.searches["pairs_per_epoch"].iloc[0])
    size = f"{run.amount(budget)} a search"
    if len(budgets) > 1:
        by_hand = run.searches[[base_method(str(method)) == "manual" for method in run.searches["method"]]]
        others = run.searches.drop(by_hand.index)
        if others["budget_pairs"].nunique() != 1 or len(by_hand) != 1:
            return "at unequal budgets"
        usual, guessed = int(others["budget_pairs"].iloc[0]), int(by_hand["budget_pairs"].iloc[0])
        label = method_info(str(by_hand["method"].iloc[0])).label
        return (
            f"at an equal budget of {run.amount(usual)} a search, "
            f"but for {label}, whose guesses took {counted(guessed / epoch, 'epoch')}"
        )
    if (run.searches["spent_pairs"] < _SPENT * run.searches["budget_pairs"]).any():
        return f"at a budget of {size}, which not every search has spent"
    return f"at an equal budget of {size}" if run.searches["method"].nunique() > 1 else f"at a budget of {size}"


def _speed(run: Run, summary: pd.DataFrame) -> list[str]:
    """Say when the reference method had reached what the best baseline reached in the end."""
    reference, baseline = reference_method(run), statistics.best_baseline(run)
    rows = {row["method"]: row for row in summary.to_dict("records")}
    if baseline is None or reference == baseline or reference not in rows:
        return []
    row, budget = rows[reference], float(run.searches["budget_pairs"].iloc[0])
    ours, theirs = method_info(reference).label, method_info(baseline).label
    searches, reached = int(row["searches"]), int(row["reached"])
    if not reached:
        return [f"On dev, {ours} never reached the final score of the best baseline, {theirs}."]
    share = 100 * row["to_target"] / budget
    when = f"after {share:.0f}% of the budget"
    if searches > 1:
        when = f"in {reached} of {searches} searches, {'in these ' if reached < searches else ''}on average {when}"
    return [f"On dev, {ours} reached the final score of the best baseline, {theirs}, {when}."]


def _cautions(run: Run, summary: pd.DataFrame) -> list[str]:
    cautions = []
    for search in run.searches.to_dict("records"):
        name = _search_name(run, search)
        share = search["spent_pairs"] / search["budget_pairs"]
        if not search["finished"]:
            cautions.append(f"{name} is not finished: {100 * share:.0f}% of its budget is spent.")
        elif share < _SPENT:
            cautions.append(f"{name} spent only {100 * share:.0f}% of its budget: {search['reason']}.")
        elif share > 1 / _SPENT:
            cautions.append(f"{name} spent {100 * share:.0f}% of its budget.")
    for row in summary.to_dict("records"):
        failed = round(row["failed"] * row["searches"])
        if failed:
            label, count = method_info(row["method"]).label, round(row["trials"] * row["searches"])
            cautions.append(
                f"{failed} of {counted(count, 'trial')} of {label} failed; see the table of trials for why."
            )
    ends: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    for row in run.winners[~run.winners["method"].isin(statistics.replay_methods(run))].to_dict("records"):
        for name in hyperparameters(run.records):
            if end := bound(row[name], run.space.get(name)):
                ends.setdefault((name, end), []).append(row)
    for (name, end), rows in ends.items():
        values = listed(list(dict.fromkeys(value_text(row[name]) for row in rows)))
        cautions.append(
            f"The winning {value_label(name)} is at the {end} end of its range, {values}, in "
            f"{_searches_listed(run, rows)}: a better value may lie outside."
        )
    cautions += _same_models(run)
    return [*cautions, *diagnosis_cautions(run), *replay_cautions(run), *guess_cautions(run)]


def _same_models(run: Run) -> list[str]:
    """Say which methods' winners are the same model, bit for bit (equal hashes of their states)."""
    states = {
        (record.method, record.seed, record.trial, record.interval_index): record.state
        for record in run.records
        if isinstance(record, Evaluated)
    }
    alike: dict[tuple[str, int], list[str]] = {}  # methods by the state and the seed of their winners
    for row in run.winners.to_dict("records"):
        state = states[row["method"], row["seed"], row["trial"], row["interval_index"]]
        if state is not None:
            alike.setdefault((state, int(row["seed"])), []).append(str(row["method"]))
    seeds: dict[tuple[str, ...], list[str]] = {}
    for (_, seed), methods in alike.items():
        if len(methods) > 1:
            seeds.setdefault(tuple(methods), []).append(str(seed))
    return [
        f"With {'seed' if len(its) == 1 else 'seeds'} {listed(its)} the winners of "
        f"{listed([method_info(method).label for method in methods])} are the same model, bit for bit: there these "
        "methods do not differ."
        for methods, its in seeds.items()
    ]


def _searches_listed(run: Run, rows: Sequence[Mapping[Any, Any]]) -> str:
    """Return the names of searches, those of one method together: `PBT, Random (seeds 0 and 2)`."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(str(row["seed"]))
    names = []
    for method, seeds in found.items():
        label = method_info(method).label
        of = int((run.searches["method"] == method).sum())
        which = f" ({'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)})" if len(seeds) < of else ""
        names.append(f"{label}{which}")
    return listed(names)


def _search_name(run: Run, row: Mapping[Any, Any]) -> str:
    label = method_info(row["method"]).label
    several = len(rows_of(run.searches, row["method"], row["seed"])) < int(
        (run.searches["method"] == row["method"]).sum()
    )
    return f"{label}, seed {row['seed']}" if several else label
