"""The run's result in words: what came out, what may be concluded from it, and what has to be kept in mind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nmt_pbt.counting import counted
from nmt_pbt.report import statistics
from nmt_pbt.report.controls import guess_cautions, replay_cautions, replay_findings
from nmt_pbt.report.diagnoses import diagnosis_cautions, diagnosis_findings
from nmt_pbt.report.figures.style import base_method, method_style, metric_label, value_label
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters
from nmt_pbt.report.views import bound, rows_of
from nmt_pbt.report.words import score_text, signed, value_text

_SPENT = 0.995  # share of the budget from which it counts as spent


@dataclass(frozen=True)
class Answer:
    """What a report says first.

    Attributes:
        headline: The scores.
        findings: What may be concluded about the methods, one sentence or two each.
        cautions: What weakens it: unequal budgets, failures, values at the end of their range.
    """

    headline: str
    findings: list[str]
    cautions: list[str]


def reference_method(run: Run) -> str:
    """Return the method that others are compared with: the first `pbt` where there is one, else the first method."""
    methods = [str(method) for method in dict.fromkeys(run.searches["method"])]
    return next((method for method in methods if base_method(method) == "pbt"), methods[0])


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
    findings = []
    if not comparisons.empty:
        findings += _comparisons(comparisons.to_dict("records"))
    findings += _speed(run, summary)
    findings += [*_schedules(run), *diagnosis_findings(run), *replay_findings(run)]
    return Answer(_headline(run, summary), findings, _cautions(run, summary))


def _headline(run: Run, summary: pd.DataFrame) -> str:
    metric, objective = main_metric(run), str(run.searches["objective"].iloc[0])
    column = f"test_{metric}" if metric else "dev"
    upward = metric is not None or statistics.direction(run) == "max"
    rows = summary.dropna(subset=column).sort_values(column, ascending=not upward, kind="stable").to_dict("records")
    if not rows:
        return "No model has been evaluated yet."
    scores = []
    for row in rows:
        scores.append(f"{method_style(row['method']).label} {_with_interval(row, column, metric or objective)}")
    searches = int(max(row["searches"] for row in rows))
    what = f"test {metric_label(metric)}" if metric else f"best {metric_label(objective)} so far, not yet tested"
    if searches > 1:
        what = f"mean {what} over {searches} searches each, with 95% intervals"
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
    budgets = set(run.searches["budget"])
    budget, epoch = int(run.searches["budget"].iloc[0]), int(run.searches["epoch"].iloc[0])
    size = f"{counted(budget, 'sentence pair')} ({counted(budget / epoch, 'epoch')}) a search"
    if len(budgets) > 1:
        by_hand = run.searches[[base_method(str(method)) == "manual" for method in run.searches["method"]]]
        others = run.searches.drop(by_hand.index)
        if others["budget"].nunique() != 1 or len(by_hand) != 1:
            return "at unequal budgets"
        usual, guessed = int(others["budget"].iloc[0]), int(by_hand["budget"].iloc[0])
        label = method_style(str(by_hand["method"].iloc[0])).label
        return (
            f"at an equal budget of {counted(usual, 'sentence pair')} ({counted(usual / epoch, 'epoch')}) a search, "
            f"but for {label}, whose guesses took {counted(guessed / epoch, 'epoch')}"
        )
    if (run.searches["spent"] < _SPENT * run.searches["budget"]).any():
        return f"at a budget of {size}, which not every search has spent"
    return f"at an equal budget of {size}" if run.searches["method"].nunique() > 1 else f"at a budget of {size}"


def _comparisons(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    rows = [row for row in rows if row["searches"]]
    single = [row for row in rows if row["searches"] == 1]
    shown = [row for row in rows if row["searches"] > 1 and row["verdict"] in ("a", "b")]
    open_ = [row for row in rows if row["searches"] > 1 and row["verdict"] not in ("a", "b")]
    sentences = [*map(_one_search, single), *map(_significant, shown)]
    if open_:
        searches = {int(row["searches"]) for row in open_}
        each = f"{searches.pop()} searches" if len(searches) == 1 else "the searches made"
        sentences.append(
            f"Not significant over {each} each, the evidence is not enough: {method_style(open_[0]['method_a']).label} "
            f"against {'; '.join(map(_open, open_))}. Points of test {metric_label(open_[0]['metric'])}, with 95% "
            "intervals over searches, and how many searches each would show the difference, were it as it looks."
        )
    if single and len(single) == len(rows):
        sentences.append(
            "This compares models, one of each method. One search each proves nothing about the methods: with another "
            "seed the order may turn round. Repeat the searches, with --seeds 3 or more, to learn about them."
        )
    return sentences


def _one_search(row: Mapping[Any, Any]) -> str:
    a, b = (method_style(row[name]).label for name in ("method_a", "method_b"))
    difference, name = abs(row["difference"]), metric_label(row["metric"])
    if math.isnan(row["p_sentences"]):
        return f"{a}'s model and {b}'s differ by {difference:.1f} {name}; whether that is chance was not tested."
    low, high = row["sentences_low"], row["sentences_high"]
    ends = (-high, -low) if row["verdict"] == "models" and row["difference"] < 0 else (low, high)
    test = f"95% over test sentences {' to '.join(map(signed, ends))}, {_p(row['p_sentences'])}"
    if row["verdict"] == "open":
        return (
            f"{a}'s model and {b}'s are not told apart by this test split: {signed(row['difference'])} {name} ({test})."
        )
    better, worse = (a, b) if row["difference"] > 0 else (b, a)
    return f"{better}'s model is better than {worse}'s by {difference:.1f} {name} ({test})."


def _significant(row: Mapping[Any, Any]) -> str:
    names = [method_style(row[name]).label for name in ("method_a", "method_b")]
    wins = [row["wins"], row["losses"]]
    ends = [row["low"], row["high"]]
    if row["verdict"] == "b":
        names, wins, ends = names[::-1], wins[::-1], [-row["high"], -row["low"]]
    return (
        f"{names[0]} is better than {names[1]} by {abs(row['difference']):.1f} {metric_label(row['metric'])} over "
        f"{row['searches']} searches each: the difference is significant (95% over searches "
        f"{' to '.join(map(signed, ends))}, {_p(row['p_searches'])}; {names[0]} wins in {wins[0]} of "
        f"{row['searches']} seeds)."
    )


def _open(row: Mapping[Any, Any]) -> str:
    needed = f"{row['needed']} needed" if row["needed"] else "more than 1,000 needed"
    spread = f"{signed(row['low'])} to {signed(row['high'])}"
    return f"{method_style(row['method_b']).label} {signed(row['difference'])} ({spread}; {needed})"


def _p(p: float) -> str:
    """Return a p-value as text; all of them are adjusted for the number of comparisons."""
    return "adjusted p < 0.001" if p < 0.001 else f"adjusted p = {p:.3f}" if p < 0.1 else f"adjusted p = {p:.2f}"


def _speed(run: Run, summary: pd.DataFrame) -> list[str]:
    """Say when the reference method had reached what the best baseline reached in the end."""
    reference, baseline = reference_method(run), statistics.best_baseline(run)
    rows = {row["method"]: row for row in summary.to_dict("records")}
    if baseline is None or reference == baseline or reference not in rows:
        return []
    row, budget = rows[reference], float(run.searches["budget"].iloc[0])
    ours, theirs = method_style(reference).label, method_style(baseline).label
    searches, reached = int(row["searches"]), int(row["reached"])
    if not reached:
        return [f"On dev, {ours} never reached the final score of the best baseline, {theirs}."]
    share = 100 * row["to_target"] / budget
    when = f"after {share:.0f}% of the budget"
    if searches > 1:
        when = f"in {reached} of {searches} searches, on average {when}"
    return [f"On dev, {ours} reached the final score of the best baseline, {theirs}, {when}."]


def _schedules(run: Run) -> list[str]:
    """Say what schedule the winner of each of the reference method's searches was trained with."""
    reference = reference_method(run)
    if reference not in statistics.population_methods(run):
        return []
    told = []
    for row in run.winners[run.winners["method"] == reference].to_dict("records"):
        chain = run.ancestry.chain(reference, int(row["seed"]))
        changes = []
        for name in hyperparameters(run.records):
            first, last = chain[name].iloc[0], chain[name].iloc[-1]
            if pd.isna(first):
                continue  # only another method set it
            start, end = value_text(first), value_text(last)
            text = f"{value_label(name)} {start}"
            if chain[name].nunique() > 1:
                text += f" → {end}" if start != end else " at both ends, with a detour"
            changes.append(text)
        adopted = int(chain["inherited"].sum())
        seed = f", seed {row['seed']}" if run.searches["seed"].nunique() > 1 else ""
        times = {0: "never adopted", 1: "adopted once"}.get(adopted, f"adopted {adopted} times")
        name = method_style(reference).label
        told.append(f"Schedule of {name}'s winner{seed}: {', '.join(changes)}; its weights were {times}.")
    return told


def _cautions(run: Run, summary: pd.DataFrame) -> list[str]:
    cautions = []
    for search in run.searches.to_dict("records"):
        name = _search_name(run, search)
        share = search["spent"] / search["budget"]
        if not search["finished"]:
            cautions.append(f"{name} is not finished: {100 * share:.0f}% of its budget is spent.")
        elif share < _SPENT:
            cautions.append(f"{name} spent only {100 * share:.0f}% of its budget: {search['reason']}.")
        elif share > 1 / _SPENT:
            cautions.append(f"{name} spent {100 * share:.0f}% of its budget.")
    for row in summary.to_dict("records"):
        failed = round(row["failed"] * row["searches"])
        if failed:
            label, count = method_style(row["method"]).label, round(row["trials"] * row["searches"])
            cautions.append(
                f"{failed} of {counted(count, 'trial')} of {label} failed; see the table of trials for why."
            )
    ends: dict[tuple[str, str, str], list[str]] = {}
    for row in run.winners[~run.winners["method"].isin(statistics.replay_methods(run))].to_dict("records"):
        for name in hyperparameters(run.records):
            if end := bound(row[name], run.space.get(name)):
                ends.setdefault((value_label(name), end, value_text(row[name])), []).append(_search_name(run, row))
    for (name, end, value), searches in ends.items():
        cautions.append(
            f"The winning {name} is at the {end} end of its range, {value}, in {_listed(searches)}: "
            "a better value may lie outside."
        )
    return [*cautions, *diagnosis_cautions(run), *replay_cautions(run), *guess_cautions(run)]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{'; '.join(names[:-1])} and {names[-1]}"


def _search_name(run: Run, row: Mapping[Any, Any]) -> str:
    label = method_style(row["method"]).label
    several = len(rows_of(run.searches, row["method"], row["seed"])) < int(
        (run.searches["method"] == row["method"]).sum()
    )
    return f"{label}, seed {row['seed']}" if several else label
