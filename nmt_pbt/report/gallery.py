"""Which figures a run gets, and what is said of each: a caption to read, and an alternative text with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pandas as pd

from nmt_pbt.base.text import counted
from nmt_pbt.report import statistics, views
from nmt_pbt.report.drawing import Drawing, file_name
from nmt_pbt.report.evidence import rivals
from nmt_pbt.report.figures.ablations import draw_ablations
from nmt_pbt.report.figures.attention import attention_size, draw_attention
from nmt_pbt.report.figures.progress import draw_best_so_far
from nmt_pbt.report.figures.schedules import draw_schedule
from nmt_pbt.report.figures.scores import draw_differences, draw_scores
from nmt_pbt.report.figures.slices import draw_pair, draw_slice, has_choice, numeric_pairs
from nmt_pbt.report.figures.times import draw_time_spent
from nmt_pbt.report.labels import metric_label, score_text, signed, value_label, value_text, with_seed
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.population_drawings import population_drawings
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters


def drawings(run: Run, summary: pd.DataFrame, comparisons: dict[str, pd.DataFrame]) -> list[Drawing]:
    """Return the figures of a run, in the order of the page.

    Args:
        run: The run; it has at least one finite evaluation.
        summary: `statistics.summary` of it.
        comparisons: `statistics.comparisons` of the reference method with each other one, by test metric.

    Returns:
        What to draw. Nothing is drawn yet.
    """
    found = [*_progress(run), *_tests(run, summary, comparisons)]
    found += [
        *population_drawings(run),
        *_ablations(run),
        *_schedules(run),
        *_values(run),
        *_time(run),
        *_attention(run),
    ]
    return found


def _progress(run: Run) -> Iterator[Drawing]:
    objective, direction = str(run.searches["objective"].iloc[0]), statistics.direction(run)
    epoch = int(run.searches["pairs_per_epoch"].iloc[0])
    several = run.searches["seed"].nunique() > 1
    shown = rivals([str(method) for method in dict.fromkeys(run.best_so_far["method"])])
    best = run.best_so_far[run.best_so_far["method"].isin(shown)]
    band = " Lines are means over searches, bands reach from the worst to the best." if several else ""
    apart = (
        " PBT's ablations have a figure of their own, among the schedules."
        if len(shown) < run.best_so_far["method"].nunique()
        else ""
    )
    height = 3.5 if len(shown) <= 4 else 3.7
    for against, name, axis, unit in (
        ("spent_epochs", "best_so_far_budget", "what was spent", epoch if run.unit != "epoch" else None),
        ("seconds", "best_so_far_time", "wall-clock", None),
    ):
        curves = views.progress_curves(best, against, direction)
        last = curves.groupby("method", sort=False)["mean"].last()
        ends = ", ".join(
            f"{method_info(str(method)).label} {score_text(float(score), objective)}" for method, score in last.items()
        )
        more = (
            "All trials of a search count, so that methods are compared at equal cost."
            if against == "spent_epochs"
            else "Pauses of a run that was stopped and resumed do not count."
        )
        yield Drawing(
            "progress",
            name,
            f"Best so far against {axis}",
            f"Best {metric_label(objective)} of any model a search had seen, against {axis}. {more}{band} "
            f"Early scores below the frame are cut off.{apart}",
            f"Stepped lines, one a method, of the best {metric_label(objective)} so far against {axis}. "
            f"In the end: {ends}.",
            partial(draw_best_so_far, curves=curves, objective=objective, direction=direction, epoch=unit),
            height,
        )


def _tests(run: Run, summary: pd.DataFrame, comparisons: dict[str, pd.DataFrame]) -> Iterator[Drawing]:
    several = bool((summary["searches"] > 1).any())
    height = 1.1 + 0.45 * run.tests["method"].nunique()
    for metric in statistics.tested_metrics(run):
        label = metric_label(metric)
        decoded = ", decoded once with beam search" if run.decodes else ""
        scores = ", ".join(
            f"{method_info(row['method']).label} {score_text(row[f'test_{metric}'], metric)}"
            for row in summary.dropna(subset=f"test_{metric}").to_dict("records")
        )
        interval = (
            "Small marks are single searches; the large mark is their mean with its 95% interval."
            if several
            else "Bars are 95% intervals over resampled test sentences: about these models, not about the methods."
            if run.decodes
            else "One search each: about these models, not about the methods."
        )
        yield Drawing(
            "test",
            file_name("test", metric),
            f"Test {label}",
            f"{label} of each method's winner on the test split{decoded}. {interval}",
            f"One row a method with its test {label}: {scores}.",
            partial(
                draw_scores,
                tests=run.tests,
                summary=summary,
                metric=metric,
                sentences=statistics.sentence_intervals(run, metric),
            ),
            height,
        )
    over_sentences = " The one over test sentences is about these very models."
    for metric, table in comparisons.items():
        if table.empty:
            continue
        reference = method_info(str(table["method_a"].iloc[0])).label
        side = "right" if statistics.test_direction(run, metric) == "max" else "left"
        told = ", ".join(
            f"{signed(row['difference'], metric)} against {method_info(row['method_b']).label}"
            for row in table.to_dict("records")
        )
        yield Drawing(
            "test",
            file_name("difference", metric),
            f"Differences in test {metric_label(metric)}",
            f"{reference} less each other method: {side} of the line, {reference} is better. A full mark is a "
            "significant difference of methods, a hollow one is none. Each interval is by itself: one that leaves out "
            f"zero may be chance among so many.{over_sentences if run.decodes else ''}",
            f"Differences in test {metric_label(metric)} of {reference}: {told}.",
            partial(draw_differences, comparisons=table),
            0.9 + 0.5 * len(table),
        )


def _ablations(run: Run) -> Iterator[Drawing]:
    curves, objective = views.ablation_curves(run), str(run.searches["objective"].iloc[0])
    if curves.empty:
        return
    last = curves.groupby("method", sort=False)["mean"].last()
    told = ", ".join(
        f"{method_info(str(method)).label} {score_text(float(score), objective)}" for method, score in last.items()
    )
    yield Drawing(
        "schedules",
        "ablations",
        "Schedule, selection or luck?",
        "Best so far on the way to the winner, over the training of its weights, by PBT and its ablations: exploit "
        "only selects and changes no value, explore only changes values and selects nobody; replay trains other "
        "initial weights by the schedule found, final values by its last values alone, and of their models the mean is "
        "drawn, as none was chosen. Bands reach from the worst to the best.",
        f"Learning curves; {metric_label(objective)} in the end: {told}.",
        partial(draw_ablations, curves=curves, objective=objective),
        3.6,
    )


def _schedules(run: Run) -> Iterator[Drawing]:
    for method in statistics.population_methods(run):
        schedules, label = views.member_schedules(run, method), method_info(method).label
        explained = False
        for name in hyperparameters(run.records):
            if not views.schedules_vary(schedules, name):
                continue
            won = schedules[schedules["winner"]]
            told = "; ".join(
                f"seed {seed}: {', '.join(value_text(value) for value in _changes(rows[name]))}"
                for seed, rows in won.groupby("seed", sort=False)
            )
            long = (
                "The value over training, along the lineage of each member that was alive at the end, and of the "
                "winner. A dot is where the weights passed to another member."
            )
            yield Drawing(
                "schedules",
                file_name("schedule", method, name),
                f"{label}: {value_label(name)}",
                f"As before, of {value_label(name)}." if explained else long,
                f"Steps of {value_label(name)} along the winner's lineage: {told}.",
                partial(
                    draw_schedule,
                    schedules=schedules,
                    hyperparameter=name,
                    method=method,
                    domain=run.space.get(name),
                ),
                aside=method != statistics.reference_method(run),
            )
            explained = True


def _changes(values: pd.Series[float]) -> list[object]:
    """Return a schedule's values without repeats in a row."""
    found: list[object] = []
    for value in values:
        if not found or value != found[-1]:
            found.append(value)
    return found


def _values(run: Run) -> Iterator[Drawing]:
    points = views.value_points(run)
    # Replays search nothing: their values are PBT's, over and over.
    searched = points[~points["method"].isin(statistics.replay_methods(run))]
    points = searched if len(searched) else points
    objective, direction = str(run.searches["objective"].iloc[0]), statistics.direction(run)
    # what has one value only, as everything in a run of `train`, has nothing to show
    names = [name for name in hyperparameters(run.records) if name in run.space and has_choice(run.space[name])]
    won = points[points["winner"]]
    long = (
        "One mark for each model trained to the end of its search: its value and its best score; for a population, the "
        "members alive at the end with the values then in force. Rings are winners, squares those whose value lies at "
        "an end of its range; dashed lines are the ends, carets models far outside the frame."
    )
    for name in names:
        told = ", ".join(
            f"{method_info(row['method']).label} {value_text(row[name])}" for row in won.to_dict("records")
        )
        yield Drawing(
            "values",
            file_name("values", name),
            value_label(name).capitalize(),
            f"As before, of {value_label(name)}." if name != names[0] else long,
            f"{value_label(name).capitalize()} against {metric_label(objective)}. Winners: {told}.",
            partial(
                draw_slice,
                points=points,
                hyperparameter=name,
                domain=run.space.get(name),
                objective=objective,
                direction=direction,
            ),
            3.3,
        )
    for pair in numeric_pairs({name: run.space[name] for name in names}):
        words = f"{value_label(pair[0])} and {value_label(pair[1])}"
        yield Drawing(
            "values",
            file_name("pair", *pair),
            words.capitalize(),
            "Two values of each model, shaded by its score; winners are ringed.",
            f"{counted(len(points), 'model')} over {words}, shaded by {metric_label(objective)}.",
            partial(draw_pair, points=points, names=pair, space=run.space, objective=objective, direction=direction),
            3.3,
            aside=True,
        )


def _time(run: Run) -> Iterator[Drawing]:
    means = run.time_spent.groupby("method", sort=False)[["train", "total"]].mean()
    told = ", ".join(
        f"{method_info(str(method)).label} {row['total'] / 60:.1f} minutes" for method, row in means.iterrows()
    )
    yield Drawing(
        "time",
        "time_spent",
        "Where the time went",
        "Working time of one search, summed over its workers: more than wall-clock where there are several.",
        f"Stacked bars of working time: {told}.",
        partial(draw_time_spent, times=run.time_spent),
        1.1 + 0.45 * len(means),
    )


def _attention(run: Run) -> Iterator[Drawing]:
    """The attention of the winner that is best on dev, in the sample sentences it is kept for."""
    found = run.tests.merge(run.winners[["method", "seed", "score"]], on=["method", "seed"])
    if found.empty:
        return
    best = found.sort_values("score", ascending=statistics.direction(run) == "min", kind="stable").iloc[0]
    method, seed = str(best["method"]), int(best["seed"])
    which = f"the winner of {method_info(method).label}{with_seed(run, seed)}"
    for number, sentence in enumerate(run.attention(method, seed)):
        if not sentence.target:
            continue
        width, height = attention_size(sentence.source, sentence.target)
        looked = [
            f"{target} at {sentence.source[int(row.argmax())]}"
            for target, row in zip(sentence.target, sentence.weights, strict=True)
        ]
        yield Drawing(
            "attention",
            file_name("attention", sentence.line),
            f"Test sentence {sentence.line + 1}",
            f"Where {which}, best of all on dev, looked while it wrote each subword of its translation (rows, from top "
            "to bottom): the darker, the more."
            if number == 0
            else "As before.",
            f"Attention over test sentence {sentence.line + 1}. Looked at most: {', '.join(looked)}.",
            partial(
                draw_attention,
                source_subwords=sentence.source,
                target_subwords=sentence.target,
                matrix=sentence.weights,
            ),
            height,
            width,
        )
