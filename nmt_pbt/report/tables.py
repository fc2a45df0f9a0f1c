"""The report's tables: rows of text that also know how to be sorted, for the page, for Markdown and for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nmt_pbt.report import statistics
from nmt_pbt.report.answer import main_metric
from nmt_pbt.report.evidence import adjusted_for
from nmt_pbt.report.inference import STUDENTISED_FROM
from nmt_pbt.report.labels import listed, metric_label, score_text, signed, value_label, value_text
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters


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


def results(run: Run, summary: pd.DataFrame) -> Table:
    """One row a method: scores, what they cost, and how soon they were there."""
    objective, metrics = str(run.searches["objective"].iloc[0]), statistics.tested_metrics(run)
    baseline = statistics.best_baseline(run) if len(summary) > 1 else None
    counted_by = "tested" if metrics else "scored"
    unequal = summary[counted_by].nunique() > 1
    headings = ["method", *(["searches"] if unequal else []), metric_label(objective)]
    headings += [f"test {metric_label(metric)}" for metric in metrics]
    told = main_metric(run)
    gap = f"gap_{told}" if f"gap_{told}" in summary else None
    if gap is not None:
        headings.append(f"dev − test {metric_label(str(told))}")
    headings += ["mean best so far", "trials", f"{run.unit}s", "wall-clock"]
    if baseline is not None:
        headings.append(f"{run.unit.split()[-1]}s to reach the best of {method_info(baseline).label}")
    rows = []
    for row in summary.to_dict("records"):
        cells = [
            _text(method_info(row["method"]).label),
            *([_count(row[counted_by])] if unequal else []),
            _mean(row, "dev", objective),
        ]
        cells += [_mean(row, f"test_{metric}", metric) for metric in metrics]
        if gap is not None:
            cells.append(_score(row[gap], str(told), sign=True))
        failed = round(row["failed"] * row["searches"])
        of = f" of {row['trials'] * row['searches']:g}" if row["searches"] > 1 else ""
        trials = f"{round(row['trials'], 1):g}" + (f" ({failed}{of} failed)" if failed else "")
        cells += [
            _score(row["area"], objective),
            Cell(trials, float(row["trials"])),
            _count(row["spent_pairs"]),
            Cell(duration(row["wall"]), float(row["wall"])),
        ]
        if baseline is not None:
            never = math.isnan(row["to_target"])
            reached = f" ({row['reached']} of {row['searches']})" if row["searches"] > 1 else ""
            text = "not reached" if never else f"{row['to_target']:,.0f}{reached}"
            cells.append(Cell(text, math.inf if never else float(row["to_target"])))
        rows.append(cells)
    caption = (
        f"{_intervals(int(summary[counted_by].max()), unequal)}"
        f"{_how_tested(run)}{_which_test(run)} The gap between dev and test is only comparable between methods: the "
        "two splits differ in difficulty. "
        "Mean best so far is the area under the curve, divided by the budget."
    )
    methods = [str(method) for method in summary["method"]]
    return Table("summary", "Results by method", caption, headings, rows, methods, [])


def _which_test(run: Run) -> str:
    """Say which of several test sets the scores are of; nothing where there is one."""
    sets = list(dict.fromkeys(run.test_sets["test_set"]))
    return f" Test is {sets[0]}, by which methods are compared; there is also {listed(sets[1:])}." if sets else ""


def test_sets(run: Run) -> list[Table]:
    """One table a metric, with a row for each test set and a column for each method; none where there is one set."""
    sets = list(dict.fromkeys(run.test_sets["test_set"]))
    methods = list(dict.fromkeys(run.test_sets["method"]))
    found = []
    for metric in statistics.tested_metrics(run) if sets else []:
        scores = run.test_sets.groupby(["test_set", "method"])[f"test_{metric}"].mean()
        rows = [
            [_text(name), *(_score(float(scores.get((name, method), math.nan)), metric) for method in methods)]
            for name in sets
        ]
        headings = ["test set", *(method_info(method).label for method in methods)]
        means = "; means over searches" if _repeated(run) else ""
        caption = f"Each winner translated every test set once{means}. All else about test is about {sets[0]}."
        title = f"All test sets, {metric_label(metric)}"
        found.append(Table(f"test_sets_{metric}", title, caption, headings, rows, [], []))
    return found


def _repeated(run: Run) -> bool:
    return bool(run.test_sets["seed"].nunique() > 1)


def _intervals(searches: int, unequal: bool) -> str:
    """Say what the intervals over searches are; nothing where there is one search each."""
    if searches < 2:
        return ""
    kind = "the studentised bootstrap" if searches >= STUDENTISED_FROM else "Student's t"
    over = "the searches of each" if unequal else f"{searches} searches each"
    return f"Means over {over}, with 95% intervals by {kind}. "


def winners(run: Run) -> Table:
    """One row a search: its winner's scores and values."""
    objective, metrics = str(run.searches["objective"].iloc[0]), statistics.tested_metrics(run)
    names = hyperparameters(run.records)
    tested = {(row["method"], row["seed"]): row for row in run.tests.to_dict("records")}
    headings = ["method", "seed", metric_label(objective), *(f"test {metric_label(metric)}" for metric in metrics)]
    headings += ["trial", "epochs of training", *map(value_label, names)]
    rows, methods, seeds = [], [], []
    for row in run.winners.to_dict("records"):
        test = tested.get((row["method"], row["seed"]), {})
        cells = [_text(method_info(row["method"]).label), _count(row["seed"]), _score(row["score"], objective)]
        cells += [_score(float(test.get(f"test_{metric}", math.nan)), metric) for metric in metrics]
        cells += [_text(str(row["trial"])), Cell(f"{row['trained_epochs']:g}", float(row["trained_epochs"]))]
        rows.append([*cells, *(_value(row[name]) for name in names)])
        methods.append(str(row["method"]))
        seeds.append(int(row["seed"]))
    caption = (
        "The best state on dev of each search, and the values in force when it was saved. Weights of a population may "
        "have been trained with other values before: see the schedules."
    )
    return Table("winners", "Winners", caption, headings, rows, methods, seeds)


def comparisons(pairs: Mapping[str, pd.DataFrame], reference: str) -> list[Table]:
    """One table a metric of the reference against each other method.

    What is about searches is left out where there is one search each.

    Args:
        pairs: `statistics.comparisons` by test metric.
        reference: The method that the question is about.
    """
    found: list[Table] = []
    for metric, table in pairs.items():
        asked = statistics.against(table, reference)
        if asked.empty:
            continue
        title = f"{_asked(reference)}, test {metric_label(metric)}"
        caption = f"As above, in {metric_label(metric)}." if found else _comparison_caption(asked)
        found.append(_comparisons(f"comparisons_{metric}", title, caption, asked, metric, _several(pairs)))
    return found


def other_comparisons(pairs: Mapping[str, pd.DataFrame], reference: str) -> list[Table]:
    """One table a metric of the methods beside the reference, two by two.

    Args:
        pairs: `statistics.comparisons` by test metric.
        reference: The method that the question is about.
    """
    found: list[Table] = []
    for metric, table in pairs.items():
        others = table[table["method_a"] != reference]
        if others.empty:
            continue
        alone = len(others) == len(table)
        caption = (
            f"{_comparison_caption(others) if alone else f'Read as “{_asked(reference)}”.'} Nobody asked about these "
            f"beforehand, so that nothing is claimed: p-values and searches needed are adjusted for all {len(table)} "
            "pairs of methods, and a small p-value is a hint for another run."
        )
        title = f"The other methods two by two, test {metric_label(metric)}"
        found.append(_comparisons(f"comparisons_{metric}_others", title, caption, others, metric, _several(pairs)))
    return found


def _asked(reference: str) -> str:
    return f"{method_info(reference).label} against each other method"


def _how_tested(run: Run) -> str:
    if run.decodes:
        return (
            "Dev is what the search saw and chose by, decoded greedily; test was decoded once, by each winner, with "
            "beam search."
        )
    return "Dev is what the search saw and chose by; each winner was evaluated once on test."


def _several(pairs: Mapping[str, pd.DataFrame]) -> bool:
    return any(bool((table["searches"] > 1).any()) for table in pairs.values())


def _comparisons(name: str, title: str, caption: str, pairs: pd.DataFrame, metric: str, several: bool) -> Table:
    rows, unequal = [], pairs["searches"].nunique() > 1
    sentences = bool(pairs["p_sentences"].notna().any())
    for row in pairs.to_dict("records"):
        names = (method_info(row["method_a"]).label, method_info(row["method_b"]).label)
        cells = [_text(" − ".join(names)), _score(row["difference"], metric, sign=True)]
        if unequal:
            cells.append(_count(row["searches"]))
        if several:
            cells += [_range(row["low"], row["high"], metric), _p(row["p_searches"])]
        if sentences:
            cells += [_range(row["sentences_low"], row["sentences_high"], metric), _p(row["p_sentences"])]
        if several:
            cells.append(Cell(_missing(row["probability"], ".2f"), float(row["probability"])))
            cells.append(Cell(str(row["needed"] or "–"), float(row["needed"] or math.nan)))
        verdicts = {**_VERDICTS, "a": f"{names[0]} is better", "b": f"{names[1]} is better"}
        rows.append([*cells, _text(verdicts[row["verdict"]])])
    return Table(name, title, caption, _comparison_headings(metric, several, unequal, sentences), rows, [], [])


def _comparison_headings(metric: str, several: bool, unequal: bool, sentences: bool) -> list[str]:
    searches = ["95% over searches", "p over searches"] if several else []
    searches = ["searches", *searches] if unequal else searches
    outlook = ["probability to win", "searches needed"] if several else []
    over_sentences = ["95% over test sentences", "p over test sentences"] if sentences else []
    return ["difference", metric_label(metric), *searches, *over_sentences, *outlook, "verdict"]


def _comparison_caption(pairs: pd.DataFrame) -> str:
    searches = int(pairs["searches"].max())
    adjusted = adjusted_for(list(pairs["family"]))
    alone = f"P-values are adjusted for {adjusted} (Holm), intervals" if adjusted else "Intervals"
    of_models = (
        "Over test sentences: paired bootstrap and approximate randomisation of the winners' translations, which is "
        "about these models, not about the methods. "
        if pairs["p_sentences"].notna().any()
        else ""
    )
    sentences = f"{of_models}{alone} are each on their own."
    if searches < 2:
        return sentences
    unequal = pairs["searches"].nunique() > 1
    each, pairs_of = ("searches", "") if unequal else (f"{searches} searches", f", {searches} times {searches}")
    assumed = (
        "; from so few it rests on their differences being normally distributed" if searches < STUDENTISED_FROM else ""
    )
    return (
        f"Over {each}: paired t-test of seeds, which is what a statement about methods needs{assumed}. "
        f"{sentences} A method is called better only where both p-values are below 0.05. Probability to win is the "
        f"share of pairs of searches{pairs_of}, in which the first method wins. Searches needed are those of each "
        "method that would show the difference with 80% chance, were it as it looks: a rough guess from few searches."
    )


_VERDICTS = {"models": "only these models differ", "open": "not enough evidence", "hint": "a hint"}


def trials(run: Run) -> Table:
    """One row a trial."""
    objective, names = str(run.searches["objective"].iloc[0]), hyperparameters(run.records)
    populated = bool(run.trials["member"].notna().any())
    headings = ["method", "seed", "trial", *(["member", "parent", "adopted"] if populated else []), "status"]
    headings += [f"last {metric_label(objective)}", f"best {metric_label(objective)}", *map(value_label, names)]
    rows, methods, seeds = [], [], []
    for row in run.trials.to_dict("records"):
        cells = [_text(method_info(row["method"]).label), _count(row["seed"]), _text(str(row["trial"]))]
        if populated:
            cells += [_value(row["member"]), _text(str(row["parent"] or "")), _text("yes" if row["inherited"] else "")]
        cells.append(_text(row["status"] + (f": {row['reason']}" if row["reason"] else "")))
        cells += [_score(row["score"], objective), _score(row["best"], objective)]
        rows.append([*cells, *(_value(row[name]) for name in names)])
        methods.append(str(row["method"]))
        seeds.append(int(row["seed"]))
    caption = "For a population, one trial is one member for one interval; it goes on from its parent's state."
    return Table("trials", "Trials", caption, headings, rows, methods, seeds)


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


def duration(seconds: float) -> str:
    """Return a length of time as text: `48 s`, `12 min` or `3 h 05 min`; a dash where there is none yet."""
    if math.isnan(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


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


def _mean(row: Mapping[Any, Any], name: str, metric: str) -> Cell:
    text = score_text(row[name], metric)
    if not math.isnan(row[f"{name}_low"]):
        text += f" ({score_text(row[f'{name}_low'], metric)} to {score_text(row[f'{name}_high'], metric)})"
    return Cell(text, float(row[name]))


def _range(low: float, high: float, metric: str) -> Cell:
    return Cell("–" if math.isnan(low) else f"{signed(low, metric)} to {signed(high, metric)}", float(low))


def _p(p: float) -> Cell:
    return Cell("–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}", float(p))


def _missing(number: float, form: str) -> str:
    return "–" if math.isnan(number) else format(number, form)
