"""The run's result in words: what came out, what may be concluded from it, and what has to be kept in mind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nmt_pbt.report import statistics
from nmt_pbt.report.ablations import guess_cautions, replay_cautions, replay_findings
from nmt_pbt.report.diagnoses import diagnosis_cautions, diagnosis_findings, diagnosis_summary
from nmt_pbt.report.figure_tables import bound
from nmt_pbt.report.labels import estimate_text, value_text
from nmt_pbt.report.methods import base_method
from nmt_pbt.report.run import Run, metric_direction
from nmt_pbt.report.statistics import MethodSummary, Results
from nmt_pbt.report.trends import schedule_findings, schedule_trends
from nmt_pbt.report.verdicts import comparison_findings, rivals, verdict
from nmt_pbt.report.words import label, say, search_names
from nmt_pbt.run.records import Evaluated

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


def answer(results: Results) -> Answer:
    """Say what a run shows.

    Args:
        results: All that was computed of it.

    Returns:
        The answer, in sentences.
    """
    run, compared = results.run, results.against(results.main_metric)
    findings = [*comparison_findings(compared), *_speed(results), *replay_findings(run)]
    each, greed = schedule_findings(run), diagnosis_findings(run)
    details: list[str] = []
    if len(each) > 1:
        findings += [*schedule_trends(run), *diagnosis_summary(run)]
        details = [*each, *greed]
    else:
        findings += [*each, *greed]
    return Answer(_headline(results), verdict(compared), findings, details, _cautions(results))


def _headline(results: Results) -> str:
    run, metric = results.run, results.main_metric

    def score(row: MethodSummary) -> float:
        return row.test[metric].mean if metric is not None else row.dev.mean

    rows = [row for row in results.summaries if score(row) == score(row)]  # those that are no NaN
    if not rows:
        return "No model has been evaluated yet."
    rows.sort(key=score, reverse=(run.direction if metric is None else metric_direction(run, metric)) == "max")
    told = rivals([row.method for row in rows])
    rows = [row for row in rows if row.method in told]
    estimates = [row.test[metric] if metric is not None else row.dev for row in rows]
    counts = {row.tested if metric is not None else row.scored for row in rows}
    return say(
        "headline",
        scores=[
            f"{label(row.method)} {estimate_text(estimate, metric or run.objective, short=True)}"
            for row, estimate in zip(rows, estimates, strict=True)
        ],
        metric=metric,
        objective=run.objective,
        searches=max(counts),
        equal=len(counts) == 1,
        budget=_budget(run),
    )


def _budget(run: Run) -> str:
    searches, budgets = run.searches, run.searches["budget_pairs"]
    if budgets.nunique() > 1:
        guesses = searches["method"].map(base_method) == "manual"
        if budgets[~guesses].nunique() != 1 or guesses.sum() != 1:
            return "at unequal budgets"
        amount = run.amount(int(budgets[~guesses].iloc[0]))
        method, guessed = str(searches["method"][guesses].iloc[0]), int(budgets[guesses].iloc[0])
        return say("budget_but_for_guesses", amount=amount, method=method, guessed_epochs=guessed / run.pairs_per_epoch)
    spent = not (searches["spent_pairs"] < _SPENT * budgets).any()
    return say("budget", amount=run.amount(int(budgets.iloc[0])), equal=len(run.methods) > 1, spent=spent)


def _speed(results: Results) -> list[str]:
    """Say when the reference method had reached what the best baseline reached in the end."""
    reference, baseline, run = results.reference, results.baseline, results.run
    row = next((row for row in results.summaries if row.method == reference), None)
    if baseline is None or reference == baseline or row is None:
        return []
    if not row.reached:
        return [say("never_reached", reference=reference, baseline=baseline)]
    share = row.to_target / float(run.searches["budget_pairs"].iloc[0])
    facts = {"searches": row.searches, "reached": row.reached}
    return [say("reached", reference=reference, baseline=baseline, share=share, **facts)]


def _cautions(results: Results) -> list[str]:
    run = results.run
    return [
        *unspent_budgets(run),
        *(
            say("failures", method=row.method, failed=row.failures, trials=round(row.trials * row.searches))
            for row in results.summaries
            if row.failures
        ),
        *_values_at_an_end(run),
        *_same_models(run),
        *diagnosis_cautions(run),
        *replay_cautions(run),
        *guess_cautions(run),
    ]


def unspent_budgets(run: Run) -> Iterator[str]:
    """Say which searches are not finished, or have spent less or more than their budget, and why less."""
    short: dict[str, list[dict[Any, Any]]] = {}  # searches that ended early, by the reason
    searches_of = run.searches["method"].value_counts()
    for search in run.searches.to_dict("records"):
        method, share = str(search["method"]), search["spent_pairs"] / search["budget_pairs"]
        name = f"{label(method)}, seed {search['seed']}" if searches_of[method] > 1 else label(method)
        if not search["finished"]:
            yield say("unfinished", search=name, share=share)
        elif share < _SPENT:
            short.setdefault(str(search["reason"]), []).append({**search, "name": name, "share": share})
        elif share > 1 / _SPENT:
            yield say("spent_more", search=name, share=share)
    for reason, rows in short.items():
        names = [rows[0]["name"]] if len(rows) == 1 else search_names(run, rows)
        shares = [row["share"] for row in rows]
        yield say("spent_less", searches=names, several=len(rows) > 1, shares=shares, reason=reason)


def _values_at_an_end(run: Run) -> Iterator[str]:
    """Say which winners' values lie at an end of their range."""
    ends: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    for row in run.winners[~run.winners["method"].isin(statistics.replay_methods(run))].to_dict("records"):
        for name in run.hyperparameters:
            if end := bound(row[name], run.space.get(name)):
                ends.setdefault((name, end), []).append(row)
    for (name, end), rows in ends.items():
        values = list(dict.fromkeys(value_text(row[name]) for row in rows))
        yield say("at_an_end", hyperparameter=name, end=end, values=values, searches=search_names(run, rows))


def _same_models(run: Run) -> Iterator[str]:
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
    for names, its in seeds.items():
        yield say("same_models", seeds=its, methods=names)
