"""Fills the marked blocks of docs/results.md from the runs under results/.

A block begins with `<!-- made: RUN KIND -->` and ends with `<!-- end -->`; what stands between is replaced. RUN is a
folder of results/, KIND one of `KINDS`. What stands outside of blocks is written by hand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nmt_pbt.report import statistics, tables
from nmt_pbt.report.answer import answer
from nmt_pbt.report.comparisons import reference_method
from nmt_pbt.report.labels import duration, metric_label, score_text, value_label, value_text
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.statistics import Results, results_of
from nmt_pbt.report.trends import direction_counts, trends, typical

BLOCK = re.compile(r"(<!-- made: (\S+) (\S+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """Return a document with its blocks filled.

    Args:
        text: The document.
        results: The folder of runs.

    Returns:
        The document; what stands outside of blocks is as it was.
    """
    runs: dict[str, Run] = {}

    def fill(match: re.Match[str]) -> str:
        begin, name, kind, end = match.groups()
        if kind not in KINDS:
            raise SystemExit(f"docs/results.md: no block of kind '{kind}'; known: {', '.join(KINDS)}")
        if name not in runs:
            runs[name] = load_run(results / name)
        return f"{begin}\n{KINDS[kind](runs[name]).strip()}\n\n{end}"

    return BLOCK.sub(fill, text)


def _answer(run: Run) -> str:
    """The words on top of the report's page."""
    said = answer(results_of(run))
    lines = [f"**{said.headline}** {said.verdict}".strip(), "", *(f"- {sentence}" for sentence in said.findings)]
    return "\n".join([*lines, *(f"- To keep in mind: {sentence}" for sentence in said.cautions)])


def _summary(run: Run) -> str:
    table = tables.summary(results_of(run))
    return f"{tables.markdown(table)}\n{table.caption}{_signature(run)}"


def _signature(run: Run) -> str:
    found = [
        f" {metric_label(metric)}: `{signature}`."
        for metric in run.tested_metrics
        if f"signature_{metric}" in run.tests  # only translation has them
        for signature in dict.fromkeys(run.tests[f"signature_{metric}"].dropna())
    ]
    return "".join(found)


def _winners(run: Run) -> str:
    return tables.markdown(tables.winners(run))


def _comparisons(run: Run) -> str:
    """The reference method against each other one."""
    return _comparison_table(run, tables.comparisons)


def _others(run: Run) -> str:
    """The other methods two by two."""
    return _comparison_table(run, tables.other_comparisons)


def _comparison_table(run: Run, make: Callable[[Results], list[tables.Table]]) -> str:
    results = results_of(run)
    metric = results.main_metric
    if metric is None:
        return "Not tested yet."
    found = make(replace(results, comparisons={metric: results.comparisons[metric]}))
    if not found:
        return "There is nothing to compare yet."
    (table,) = found
    return f"{table.title}:\n\n{tables.markdown(table)}\n{table.caption}"


def _target(run: Run) -> str:
    """When each search had reached what the best method with fixed values had in the end, seed by seed."""
    baseline = statistics.best_baseline(run)
    if baseline is None:
        return "No method with fixed values was run."
    reached = statistics.budget_to_target(run)
    epoch, objective = run.pairs_per_epoch, run.objective
    budget = int(run.searches["budget_pairs"].max())
    seeds = list(dict.fromkeys(reached["seed"]))
    targets = dict(zip(reached["seed"], reached["target"], strict=True))
    asked = [f"seed {seed}: {metric_label(objective)} {score_text(targets[seed], objective)}" for seed in seeds]
    lines = [f"| method | {' | '.join(asked)} | reached |", f"| --- |{' ---: |' * len(seeds)} ---: |"]
    for method in dict.fromkeys(reached["method"]):
        mine = reached[reached["method"] == method].set_index("seed")["spent_pairs"]
        cells = [_epochs(mine[seed] / epoch) if seed in mine.index else "not searched" for seed in seeds]
        label = method_info(str(method)).label
        lines.append(f"| {label} | {' | '.join(cells)} | {mine.notna().sum()} of {len(mine)} |")
    told = (
        f"Epochs, of {budget / epoch:g}, after which a search had a model as good on dev as "
        f"{method_info(baseline).label} in the end with the same seed; a dash where it never had."
    )
    return "\n".join([*lines, "", told])


def _epochs(epochs: float) -> str:
    return "–" if math.isnan(epochs) else f"{epochs:g}"


def _trends(run: Run) -> str:
    """What became of each hyperparameter on the way to the winners, and to all members that were left."""
    method = reference_method(run)
    table = trends(run, method)
    if table.empty:
        return "No population was searched with."
    seeds = list(dict.fromkeys(table["seed"]))
    winners = [f"winner, seed {seed}" for seed in seeds]
    lines = [
        f"| hyperparameter | {' | '.join(winners)} | all members left at the end | their medians |",
        f"| --- |{' --- |' * len(winners)} --- | --- |",
    ]
    for name, rows in table.groupby("hyperparameter", sort=False):
        cells = []
        for seed in seeds:
            mine = rows[(rows["lineage"] == "winner") & (rows["seed"] == seed)]
            cells += [_change(row) for row in mine.to_dict("records")] or ["no winner"]
        left = rows[rows["lineage"] == "survivor"]
        counts = ", ".join(f"{count} {word}" for word, count in direction_counts(left).items())
        first, last = typical(left["first"]), typical(left["last"])
        medians = "–" if math.isnan(first) else f"{value_text(first)} → {value_text(last)}"
        lines.append(f"| {value_label(str(name))} | {' | '.join(cells)} | {counts} | {medians} |")
    told = (
        f"First and last values along lineages of {method_info(method).label}: to each winner, up to the evaluation "
        "that won, and to each member's last state. Members that descend from one ancestor share the beginning of "
        "their lineages: they are no independent witnesses."
    )
    return "\n".join([*lines, "", told])


def _change(row: Mapping[Any, Any]) -> str:
    first, last = value_text(row["first"]), value_text(row["last"])
    if not row["changes"]:
        return f"{first} throughout"
    return f"{first} → {last}" if first != last else f"{first}, others between"


def _one_model(run: Run) -> str:
    """Scores of each model of a run of `train`, with their signatures."""
    objective = run.objective
    metrics = run.tested_metrics
    headings = ["seed", f"{metric_label(objective)}, greedy", *(f"test {metric_label(metric)}" for metric in metrics)]
    lines = [f"| {' | '.join([*headings, 'epochs', 'working time'])} |", "| ---: |" + " ---: |" * (len(headings) + 1)]
    merged = run.winners.merge(run.tests, on=["method", "seed"], suffixes=("", "_test"))
    for row in merged.to_dict("records"):
        spent = run.time_spent[(run.time_spent["method"] == row["method"]) & (run.time_spent["seed"] == row["seed"])]
        cells = [str(row["seed"]), score_text(row["score"], objective)]
        cells += [score_text(row[f"test_{metric}"], metric) for metric in metrics]
        cells += [f"{row['trained_epochs']:g}", duration(float(spent["total"].sum()))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Test was decoded once, with beam search.{_signature(run)}"])


_SCORE = re.compile(r"(\S.*?) {2,}(\d+\.\d+) {2}(\S+)")


def _evaluation(run: Run) -> str:
    """What `nmt-pbt evaluate RUN` printed, kept beside the run: the lower-cased score needs the reference's text."""
    path = run.path / "evaluation.txt"
    if not path.exists():
        raise SystemExit(f"{path}: missing; make it: nmt-pbt evaluate {run.path} > {path}")
    title, *rest = path.read_text(encoding="utf-8").splitlines()
    lines = ["| metric | score | signature |", "| --- | ---: | --- |"]
    for line in rest:
        if found := _SCORE.fullmatch(line):
            signature = found[3].replace("|", "\\|")
            lines.append(f"| {found[1]} | {float(found[2]):.1f} | `{signature}` |")
    return "\n".join([f"{title}:", "", *lines])


def _spread(run: Run) -> str:
    """How good the models are that each search ends with, not its winner alone."""
    objective = run.objective
    heading = f"| method | models at the end | worst {metric_label(objective)} | median | best |"
    lines = [heading, "| --- | ---: | ---: | ---: | ---: |"]
    for method in dict.fromkeys(run.searches["method"]):
        scores: list[float] = []
        for seed in run.searches.loc[run.searches["method"] == method, "seed"]:
            mine = run.trials[(run.trials["method"] == method) & (run.trials["seed"] == seed)]
            if mine["member"].notna().any():
                mine = mine[mine["trial"].isin(run.ancestry.latest(str(method), int(seed)))]
            else:  # of Hyperband, those that no later trial goes on from
                mine = mine[~mine["trial"].isin(mine["parent"].dropna())]
            scores += [float(score) for score in mine["score"].dropna()]
        ordered = pd.Series(sorted(scores, reverse=run.direction == "min"))
        told = [score_text(float(ordered.quantile(share)), objective) for share in (0.0, 0.5, 1.0)]
        if run.direction == "min":
            told.reverse()
        lines.append(f"| {method_info(str(method)).label} | {len(ordered)} | {' | '.join(told)} |")
    return "\n".join(lines)


def _schedule(run: Run) -> str:
    """What the reference method's winners were trained with, step by step."""
    method, names = reference_method(run), run.hyperparameters
    lines = [
        f"| seed | from epoch | {' | '.join(map(value_label, names))} | |",
        f"| ---: | ---: |{' ---: |' * len(names)} --- |",
    ]
    for seed in run.winners.loc[run.winners["method"] == method, "seed"]:
        last: list[str] = []
        for step in run.ancestry.steps(method, int(seed)).to_dict("records"):
            values = [value_text(step[name]) for name in names]
            if values != last:
                adopted = "adopted" if step["inherited"] else ""
                lines.append(f"| {seed} | {step['start']:g} | {' | '.join(values)} | {adopted} |")
            last = values
    return "\n".join(lines)


KINDS: dict[str, Callable[[Run], str]] = {
    "answer": _answer,
    "summary": _summary,
    "winners": _winners,
    "comparisons": _comparisons,
    "others": _others,
    "target": _target,
    "trends": _trends,
    "one-model": _one_model,
    "evaluation": _evaluation,
    "spread": _spread,
    "schedule": _schedule,
}
"""What a block may hold."""
