"""The report's tables: rows of text that also know how to be sorted, for the page, for Markdown and for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import pandas as pd

from nmt_pbt.report.comparisons import Comparison
from nmt_pbt.report.inference import STUDENTISED_FROM, Estimate
from nmt_pbt.report.labels import duration, estimate_text, metric_label, score_text, signed, value_label, value_text
from nmt_pbt.report.run import Run
from nmt_pbt.report.statistics import MethodSummary, Results
from nmt_pbt.report.verdicts import adjusted_for
from nmt_pbt.report.words import label, paragraphs


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is shown.
        sort: What rows are sorted by: a number, or the text itself.
    """

    text: str
    sort: float | str

    @property
    def number(self) -> bool:
        """Whether the cell is a number, to be aligned to the right."""
        return isinstance(self.sort, float)


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: For links, and the name of its CSV file where it has one.
        title: A few words.
        caption: How to read it.
        headings: One a column.
        rows: Cells, as many a row as there are headings.
        methods: The method of each row, to filter by; empty where rows are not about one method.
        seeds: The seed of each row, likewise.
    """

    name: str
    title: str
    caption: str
    headings: list[str]
    rows: list[list[Cell]]
    methods: list[str]
    seeds: list[int]


Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table.

    Attributes:
        heading: What stands above it.
        cell: Makes a row's cell.
    """

    heading: str
    cell: Callable[[Row], Cell]


def _table(
    name: str,
    words: tuple[str, ...],
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    methods: Iterable[str] = (),
    seeds: Iterable[int] = (),
) -> Table:
    title, caption = words
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Table(name, title, caption, [column.heading for column in columns], cells, [*methods], [*seeds])


def _table_of_searches(name: str, columns: Sequence[Column[Mapping[Any, Any]]], frame: pd.DataFrame) -> Table:
    """Lay out a table whose rows have a `method` and a `seed`."""
    return _table(name, paragraphs(f"{name}_table"), columns, frame.to_dict("records"), frame["method"], frame["seed"])


def summary(results: Results) -> Table:
    """One row a method: scores, what they cost, and how soon they were there."""
    run, rows, told = results.run, results.summaries, results.main_metric
    objective, baseline = run.objective, results.baseline if len(rows) > 1 else None

    def counted(row: MethodSummary) -> int:
        return row.tested if run.tested_metrics else row.scored

    searches, unequal = max(map(counted, rows)), len(set(map(counted, rows))) > 1
    columns = [Column[MethodSummary]("method", lambda row: _text(label(row.method)))]
    if unequal:
        columns.append(Column("searches", lambda row: _count(counted(row))))
    columns.append(Column(metric_label(objective), lambda row: _estimate(row.dev, objective)))
    columns += [
        Column(f"test {metric_label(metric)}", partial(_test_estimate, metric)) for metric in run.tested_metrics
    ]
    if told is not None and any(told in row.gap for row in rows):
        columns.append(
            Column(f"dev − test {metric_label(told)}", lambda row: _score(row.gap[str(told)], str(told), sign=True))
        )
    columns += [
        Column("mean best so far", lambda row: _score(row.area, objective)),
        Column("trials", _trials_made),
        Column(f"{run.unit}s", lambda row: _count(row.spent_pairs)),
        Column("wall-clock", lambda row: Cell(duration(row.wall), row.wall)),
    ]
    if baseline is not None:
        columns.append(Column(f"{run.unit.split()[-1]}s to reach the best of {label(baseline)}", _pairs_to_target))
    intervals = "the studentised bootstrap" if searches >= STUDENTISED_FROM else "Student's t"
    sets = list(dict.fromkeys(run.test_sets["test_set"]))
    facts = {"searches": searches, "unequal": unequal, "sets": sets, "decodes": run.decodes}
    facts["intervals"] = intervals if searches > 1 else ""
    return _table("summary", paragraphs("results_table", **facts), columns, rows, [row.method for row in rows])


def _test_estimate(metric: str, row: MethodSummary) -> Cell:
    return _estimate(row.test[metric], metric)


def _trials_made(row: MethodSummary) -> Cell:
    of = f" of {row.trials * row.searches:g}" if row.searches > 1 else ""
    return Cell(f"{round(row.trials, 1):g}" + (f" ({row.failures}{of} failed)" if row.failures else ""), row.trials)


def _pairs_to_target(row: MethodSummary) -> Cell:
    if math.isnan(row.to_target):
        return Cell("not reached", math.inf)
    reached = f" ({row.reached} of {row.searches})" if row.searches > 1 else ""
    return Cell(f"{row.to_target:,.0f}{reached}", row.to_target)


def test_sets(run: Run) -> list[Table]:
    """One table a metric, with a row for each test set and a column for each method; none where there is one set."""
    sets = [str(name) for name in dict.fromkeys(run.test_sets["test_set"])]
    methods = [str(method) for method in dict.fromkeys(run.test_sets["method"])]
    several, found = bool(run.test_sets["seed"].nunique() > 1), []
    for metric in run.tested_metrics if sets else []:
        scores = run.test_sets.groupby(["test_set", "method"])[f"test_{metric}"].mean()

        def score(name: str, method: str, metric: str = metric, scores: pd.Series[float] = scores) -> Cell:
            return _score(float(scores.get((name, method), math.nan)), metric)

        columns = [
            Column[str]("test set", _text),
            *(Column[str](label(method), partial(score, method=method)) for method in methods),
        ]
        words = paragraphs("test_sets_table", metric=metric, several=several, first=sets[0])
        found.append(_table(f"test_sets_{metric}", words, columns, sets))
    return found


def winners(run: Run) -> Table:
    """One row a search: its winner's scores and values."""
    tested = {(row["method"], row["seed"]): row for row in run.tests.to_dict("records")}

    def test(row: Mapping[Any, Any], metric: str) -> Cell:
        found = tested.get((row["method"], row["seed"]), {})
        return _score(float(found.get(f"test_{metric}", math.nan)), metric)

    columns = [
        *_search_columns(),
        Column(metric_label(run.objective), lambda row: _score(row["score"], run.objective)),
        *(Column(f"test {metric_label(metric)}", partial(test, metric=metric)) for metric in run.tested_metrics),
        Column("trial", lambda row: _text(str(row["trial"]))),
        Column("epochs of training", lambda row: Cell(f"{row['trained_epochs']:g}", float(row["trained_epochs"]))),
        *_value_columns(run),
    ]
    return _table_of_searches("winners", columns, run.winners)


def trials(run: Run) -> Table:
    """One row a trial."""
    columns = [*_search_columns(), Column("trial", lambda row: _text(str(row["trial"])))]
    if run.trials["member"].notna().any():
        columns += [
            Column("member", lambda row: _value(row["member"])),
            Column("parent", lambda row: _text(str(row["parent"] or ""))),
            Column("adopted", lambda row: _text("yes" if row["inherited"] else "")),
        ]
    columns += [
        Column("status", lambda row: _text(row["status"] + (f": {row['reason']}" if row["reason"] else ""))),
        Column(f"last {metric_label(run.objective)}", lambda row: _score(row["score"], run.objective)),
        Column(f"best {metric_label(run.objective)}", lambda row: _score(row["best"], run.objective)),
        *_value_columns(run),
    ]
    return _table_of_searches("trials", columns, run.trials)


def _search_columns() -> list[Column[Mapping[Any, Any]]]:
    return [
        Column("method", lambda row: _text(label(row["method"]))),
        Column("seed", lambda row: _count(row["seed"])),
    ]


def _value_columns(run: Run) -> list[Column[Mapping[Any, Any]]]:
    return [Column(value_label(name), partial(_value_of, name)) for name in run.hyperparameters]


def _value_of(name: str, row: Mapping[Any, Any]) -> Cell:
    return _value(row[name])


def comparisons(results: Results) -> list[Table]:
    """One table a metric of the reference against each other method.

    What is about searches is left out where there is one search each.
    """
    found: list[Table] = []
    for metric in results.comparisons:
        asked = results.against(metric)
        if asked:
            facts = {"reference": results.reference, "metric": metric, "facts": _compared(asked), "again": bool(found)}
            words = paragraphs("comparisons_table", **facts)
            found.append(_table(f"comparisons_{metric}", words, _comparison_columns(results, asked), asked))
    return found


def other_comparisons(results: Results) -> list[Table]:
    """One table a metric of the methods beside the reference, two by two."""
    found: list[Table] = []
    for metric, pairs in results.comparisons.items():
        others = [pair for pair in pairs if pair.method_a != results.reference]
        if others:
            facts = {"reference": results.reference, "metric": metric, "facts": _compared(others)}
            alone = len(others) == len(pairs)
            words = paragraphs("other_comparisons_table", **facts, alone=alone, pairs=len(pairs))
            found.append(_table(f"comparisons_{metric}_others", words, _comparison_columns(results, others), others))
    return found


def _compared(pairs: Sequence[Comparison]) -> dict[str, Any]:
    """Return what a caption says of how methods were compared."""
    searches = {pair.searches for pair in pairs}
    return {
        "searches": max(searches),
        "unequal": len(searches) > 1,
        "assumed_normal": max(searches) < STUDENTISED_FROM,
        "adjusted": adjusted_for(pairs),
        "sentences": _over_sentences(pairs),
    }


def _over_sentences(pairs: Sequence[Comparison]) -> bool:
    return any(not math.isnan(pair.p_sentences) for pair in pairs)


def _comparison_columns(results: Results, pairs: Sequence[Comparison]) -> list[Column[Comparison]]:
    metric = pairs[0].metric
    several = any(pair.searches > 1 for table in results.comparisons.values() for pair in table)
    columns = [
        Column[Comparison]("difference", lambda pair: _text(f"{label(pair.method_a)} − {label(pair.method_b)}")),
        Column(metric_label(metric), lambda pair: _score(pair.difference, metric, sign=True)),
    ]
    if len({pair.searches for pair in pairs}) > 1:
        columns.append(Column("searches", lambda pair: _count(pair.searches)))
    if several:
        columns += [
            Column("95% over searches", lambda pair: _range(pair.low, pair.high, metric)),
            Column("p over searches", lambda pair: _p(pair.p_searches)),
        ]
    if _over_sentences(pairs):
        columns += [
            Column("95% over test sentences", lambda pair: _range(pair.sentences_low, pair.sentences_high, metric)),
            Column("p over test sentences", lambda pair: _p(pair.p_sentences)),
        ]
    if several:
        columns += [
            Column("probability to win", lambda pair: Cell(_missing(pair.probability, ".2f"), pair.probability)),
            Column("searches needed", lambda pair: Cell(str(pair.needed or "–"), float(pair.needed or math.nan))),
        ]
    return [*columns, Column("verdict", lambda pair: _text(_verdict(pair)))]


def _verdict(pair: Comparison) -> str:
    if pair.better is not None:
        return f"{label(pair.method_a if pair.better == 'a' else pair.method_b)} is better"
    return {"models": "only these models differ", "hint": "a hint"}.get(pair.verdict, "not enough evidence")


def markdown(table: Table) -> str:
    """Return a table as GitHub-flavoured Markdown."""
    rules = ["---:" if all(row[place].number for row in table.rows) else "---" for place in range(len(table.headings))]
    lines = [table.headings, rules, *([cell.text for cell in row] for row in table.rows)]
    return "".join(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |\n" for line in lines)


_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
        **{"–": "--", "−": "$-$", "→": r"$\rightarrow$"},
    }
)


def latex(table: Table) -> str:
    """Return a table as a LaTeX `tabular`, with the rules of the booktabs package."""
    alignment = "".join(
        "r" if all(row[place].number for row in table.rows) else "l" for place in range(len(table.headings))
    )
    lines = [_latex_row(table.headings), r"\midrule", *(_latex_row(cell.text for cell in row) for row in table.rows)]
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{alignment}}}\n{body}\n\\end{{tabular}}\n"


def _latex_row(texts: Iterable[str]) -> str:
    return f"{' & '.join(text.translate(_LATEX) for text in texts)} \\\\"


def _text(text: str) -> Cell:
    return Cell(text, text)


def _count(number: float) -> Cell:
    return Cell(f"{number:,.0f}", float(number))


def _value(value: object) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(value_text(value), float(value))
    return _text(value_text(value))


def _score(score: float, metric: str, sign: bool = False) -> Cell:
    return Cell(signed(score, metric) if sign else score_text(score, metric), float(score))


def _estimate(estimate: Estimate, metric: str) -> Cell:
    return Cell(estimate_text(estimate, metric), estimate.mean)


def _range(low: float, high: float, metric: str) -> Cell:
    return Cell("–" if math.isnan(low) else f"{signed(low, metric)} to {signed(high, metric)}", float(low))


def _p(p: float) -> Cell:
    return Cell("–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}", float(p))


def _missing(number: float, form: str) -> str:
    return "–" if math.isnan(number) else format(number, form)
