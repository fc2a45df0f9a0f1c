"""Fills the marked blocks of docs/results.md from the runs under results/.

A block begins with `<!-- made: RUN KIND -->` and ends with `<!-- end -->`; what stands between is replaced. RUN is a
folder of results/, KIND one of `KINDS`. What stands outside of blocks is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nmt_pbt.report import statistics, tables
from nmt_pbt.report.answer import answer, main_metric, reference_method, score_text, value_text
from nmt_pbt.report.figures.style import method_style, metric_label, value_label
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.series import hyperparameters

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
        run = runs.setdefault(name, load_run(results / name))
        return f"{begin}\n{KINDS[kind](run).strip()}\n\n{end}"

    return BLOCK.sub(fill, text)


def _pairs(run: Run) -> pd.DataFrame:
    metric = main_metric(run)
    return statistics.comparisons(run, metric) if metric is not None else pd.DataFrame()


def _answer(run: Run) -> str:
    """The words on top of the report's page."""
    pairs = _pairs(run)
    against = pairs if pairs.empty else statistics.against(pairs, reference_method(run))
    said = answer(run, statistics.summary(run), against)
    lines = [f"**{said.headline}**\n", *(f"- {sentence}" for sentence in said.findings)]
    return "\n".join([*lines, *(f"- To keep in mind: {sentence}" for sentence in said.cautions)])


def _summary(run: Run) -> str:
    table = tables.results(run, statistics.summary(run))
    return f"{tables.markdown(table)}\n{table.caption}{_signature(run)}"


def _signature(run: Run) -> str:
    found = [
        f" {metric_label(metric)}: `{signature}`."
        for metric in statistics.tested_metrics(run)
        for signature in dict.fromkeys(run.tests[f"signature_{metric}"].dropna())
    ]
    return "".join(found)


def _winners(run: Run) -> str:
    return tables.markdown(tables.winners(run))


def _comparisons(run: Run) -> str:
    metric = main_metric(run)
    if metric is None:
        return "Not tested yet."
    (table,) = tables.comparisons({metric: _pairs(run)})
    return f"{table.title}:\n\n{tables.markdown(table)}\n{table.caption}"


def _spread(run: Run) -> str:
    """How good the models are that each search ends with, not its winner alone."""
    objective = str(run.searches["objective"].iloc[0])
    heading = f"| method | models at the end | worst {metric_label(objective)} | median | best |"
    lines = [heading, "| --- | ---: | ---: | ---: | ---: |"]
    populations = statistics.population_methods(run)
    for method in dict.fromkeys(run.searches["method"]):
        scores: list[float] = []
        for seed in run.searches.loc[run.searches["method"] == method, "seed"]:
            mine = run.trials[(run.trials["method"] == method) & (run.trials["seed"] == seed)]
            if method in populations:
                mine = mine[mine["trial"].isin(run.ancestry.latest(str(method), int(seed)))]
            scores += [float(score) for score in mine["score"].dropna()]
        ordered = pd.Series(sorted(scores, reverse=statistics.direction(run) == "min"))
        told = [score_text(float(ordered.quantile(share)), objective) for share in (0.0, 0.5, 1.0)]
        if statistics.direction(run) == "min":
            told.reverse()
        lines.append(f"| {method_style(str(method)).label} | {len(ordered)} | {' | '.join(told)} |")
    return "\n".join(lines)


def _schedule(run: Run) -> str:
    """What the reference method's winners were trained with, step by step."""
    method, names = reference_method(run), hyperparameters(run.records)
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
    "spread": _spread,
    "schedule": _schedule,
}
"""What a block may hold."""
