"""Which figures a run gets, and what is said of each: a caption to read, and an alternative text with its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from nmt_pbt.counting import counted
from nmt_pbt.report import statistics, views
from nmt_pbt.report.diagnoses import greedy_searches, relative_spreads
from nmt_pbt.report.evidence import rivals
from nmt_pbt.report.figures.attention import attention_size, draw_attention
from nmt_pbt.report.figures.controls import draw_controls
from nmt_pbt.report.figures.diversity import draw_diversity
from nmt_pbt.report.figures.population import draw_family_tree, draw_founders, draw_learning_curves
from nmt_pbt.report.figures.progress import draw_best_so_far
from nmt_pbt.report.figures.schedules import draw_schedule
from nmt_pbt.report.figures.scores import draw_differences, draw_scores
from nmt_pbt.report.figures.slices import draw_pair, draw_slice, has_choice, numeric_pairs
from nmt_pbt.report.figures.style import method_style, metric_label, value_label
from nmt_pbt.report.figures.times import draw_time_spent
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import hyperparameters
from nmt_pbt.report.words import score_text, value_text


@dataclass(frozen=True)
class Drawing:
    """One figure to be made.

    Attributes:
        section: Where on the page: `progress`, `test`, `population`, `schedules`, `values`, `time` or `attention`.
        name: Of its files.
        title: A few words.
        caption: How to read it.
        alt: What it shows, for those who do not see it.
        draw: Draws it on an Axes.
        height: In inches.
        width: In inches.
        aside: One of many of its kind, folded away on the page.
    """

    section: str
    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Axes], None]
    height: float = 3.1
    width: float = 4.6
    aside: bool = False


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
    for number, (method, seed) in enumerate(_populations(run)):
        found += _population(run, method, seed, aside=number > 0)
    found += [
        *_diversity(run),
        *_founders(run),
        *_controls(run),
        *_schedules(run),
        *_values(run),
        *_time(run),
        *_attention(run),
    ]
    return found


def _populations(run: Run) -> list[tuple[str, int]]:
    """Return the searches whose models have curves of their own; of the controls only the first, of PBT all."""
    reference = statistics.reference_method(run)
    pairs = []
    for method in [*statistics.population_methods(run), *statistics.replay_methods(run)]:
        seeds = [int(seed) for seed in run.winners.loc[run.winners["method"] == method, "seed"]]
        pairs += [(method, seed) for seed in (seeds if method == reference else seeds[:1])]
    return pairs


def _file(*parts: object) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", "_".join(str(part) for part in parts).lower())


def _progress(run: Run) -> Iterator[Drawing]:
    objective, direction = str(run.searches["objective"].iloc[0]), statistics.direction(run)
    epoch = int(run.searches["epoch"].iloc[0])
    several = run.searches["seed"].nunique() > 1
    shown = rivals([str(method) for method in dict.fromkeys(run.best_so_far["method"])])
    best = run.best_so_far[run.best_so_far["method"].isin(shown)]
    band = " Lines are means over searches, bands reach from the worst to the best." if several else ""
    apart = (
        " PBT's controls have a figure of their own, among the schedules."
        if len(shown) < run.best_so_far["method"].nunique()
        else ""
    )
    height = 3.5 if len(shown) <= 4 else 3.7
    for against, name, axis, unit in (
        ("spent_epochs", "best_so_far_budget", "what was spent", epoch),
        ("seconds", "best_so_far_time", "wall-clock", None),
    ):
        curves = views.progress_curves(best, against, direction)
        last = curves.groupby("method", sort=False)["mean"].last()
        ends = ", ".join(
            f"{method_style(str(method)).label} {score_text(float(score), objective)}" for method, score in last.items()
        )
        more = (
            "All trials of a search count, so that methods are compared at equal cost."
            if unit
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
        scores = ", ".join(
            f"{method_style(row['method']).label} {score_text(row[f'test_{metric}'], metric)}"
            for row in summary.dropna(subset=f"test_{metric}").to_dict("records")
        )
        interval = (
            "Small marks are single searches; the large mark is their mean with its 95% interval."
            if several
            else "Bars are 95% intervals over resampled test sentences: about these models, not about the methods."
        )
        yield Drawing(
            "test",
            _file("test", metric),
            f"Test {label}",
            f"{label} of each method's winner on the test split, decoded once with beam search. {interval}",
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
    for metric, table in comparisons.items():
        if table.empty:
            continue
        reference = method_style(str(table["method_a"].iloc[0])).label
        told = ", ".join(
            f"{row['difference']:+.1f} against {method_style(row['method_b']).label}"
            for row in table.to_dict("records")
        )
        yield Drawing(
            "test",
            _file("difference", metric),
            f"Differences in test {metric_label(metric)}",
            f"{reference} less each other method: right of the line, {reference} is better. A full mark is a "
            "significant difference of methods, a hollow one is none. Each interval is by itself: one that leaves out "
            "zero may be chance among so many. The one over test sentences is about these very models.",
            f"Differences in test {metric_label(metric)} of {reference}: {told}.",
            partial(draw_differences, comparisons=table),
            0.9 + 0.5 * len(table),
        )


def _population(run: Run, method: str, seed: int, aside: bool) -> Iterator[Drawing]:
    label, objective = method_style(method).label, str(run.searches["objective"].iloc[0])
    curves, exploits = views.member_curves(run, method, seed), views.exploits(run, method, seed)
    members = curves["member"].nunique()
    which = f"{label}, seed {seed}" if run.searches["seed"].nunique() > 1 else label
    yield Drawing(
        "population",
        _file("learning_curves", method, f"seed{seed}"),
        f"Learning curves: {which}",
        "Scores of every member. A cross is a state that its member gave up, dotted to the state "
        "it took over instead; a cross on the axis is one that failed. The star is the winner, the bold line the way "
        "that its weights came.",
        f"Learning curves of {counted(members, 'member')} with {counted(len(exploits), 'exploit')}; the lineage of the "
        "winner is bold.",
        partial(draw_learning_curves, curves=curves, exploits=exploits, objective=objective),
        3.4,
        aside=aside,
    )
    if method in statistics.replay_methods(run):
        return  # nobody adopts
    tree = views.family_tree(run, method, seed)
    if not tree["inherited"].any():
        return  # every line would be straight
    chain, generations = int(tree["winner"].sum()), int(tree["generation"].nunique())
    yield Drawing(
        "population",
        _file("family_tree", method, f"seed{seed}"),
        f"Family tree: {which}",
        "One mark for each member and generation, shaded by its rank in that generation. Arrows run from the member "
        "whose state was adopted to the one that adopted it.",
        f"Family tree of {counted(members, 'member')} over {counted(generations, 'generation')} with "
        f"{counted(int(tree['inherited'].sum()), 'adoption')}; {counted(chain, 'trial')} on the way to the winner.",
        partial(draw_family_tree, tree=tree),
        max(3.4, min(8.0, 1.2 + 0.22 * members)),
        aside=aside,
    )


def _diversity(run: Run) -> Iterator[Drawing]:
    for number, (method, seed) in enumerate(greedy_searches(run)):
        mine = run.diagnoses[(run.diagnoses["method"] == method) & (run.diagnoses["seed"] == seed)]
        if len(mine) < 2:
            continue  # nothing has changed yet
        label, last = method_style(method).label, mine.iloc[-1]
        which = f"{label}, seed {seed}" if run.searches["seed"].nunique() > 1 else label
        alarms = "; ".join(
            f"{row['alarms']} in generation {row['generation']}" for row in mine.to_dict("records") if row["alarms"]
        )
        yield Drawing(
            "population",
            _file("diversity", method, f"seed{seed}"),
            f"Diversity and ancestry: {which}",
            "How far the members' values lie apart, as a share of the first generation's; the share of the population "
            "that descends from its most frequent first ancestor; and the share that adopted another's state. A "
            "selection is greedy when the first falls, or the second rises, long before the end. Thin lines may be "
            "cut off.",
            f"In the last generation {100 * last['diversity']:.0f}% of the diversity is left, and one ancestor holds "
            f"{100 * last['largest']:.0f}% of the population. Alarms: {alarms or 'none'}.",
            partial(draw_diversity, diagnoses=mine, spreads=relative_spreads(mine)),
            3.3,
            aside=number > 0,
        )


def _founders(run: Run) -> Iterator[Drawing]:
    tables = []
    for method in statistics.population_methods(run):
        found = [
            run.ancestry.founders(method, int(seed))
            for seed in run.searches.loc[run.searches["method"] == method, "seed"]
        ]
        means = pd.concat(found).groupby("generation", as_index=False)["founders"].mean()
        tables.append(means.assign(method=method))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["generation"])
    if table["generation"].nunique() < 2:
        return  # nobody could be left behind yet
    told = ", ".join(
        f"{method_style(str(method)).label} {value_text(float(rows['founders'].iloc[-1]))}"
        for method, rows in table.groupby("method", sort=False)
    )
    yield Drawing(
        "population",
        "founders",
        "First ancestors left",
        "How many of the models that a population began with still have descendants in it. A fall to 1 at once is a "
        "greedy search: it has bet everything on one model.",
        f"First ancestors left in the last generation: {told}.",
        partial(draw_founders, founders=table),
    )


def _controls(run: Run) -> Iterator[Drawing]:
    curves, objective = views.control_curves(run), str(run.searches["objective"].iloc[0])
    if curves.empty:
        return
    last = curves.groupby("method", sort=False)["mean"].last()
    told = ", ".join(
        f"{method_style(str(method)).label} {score_text(float(score), objective)}" for method, score in last.items()
    )
    yield Drawing(
        "schedules",
        "controls",
        "Schedule, selection or luck?",
        "Best so far on the way to the winner, over the training of its weights, by PBT and its controls: exploit only "
        "selects and changes no value, explore only changes values and selects nobody; replay trains other initial "
        "weights by the schedule found, final values by its last values alone, and of their models the mean is drawn, "
        "as none was chosen. Bands reach from the worst to the best.",
        f"Learning curves; {metric_label(objective)} in the end: {told}.",
        partial(draw_controls, curves=curves, objective=objective),
        3.6,
    )


def _schedules(run: Run) -> Iterator[Drawing]:
    for method in statistics.population_methods(run):
        schedules, label = views.member_schedules(run, method), method_style(method).label
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
                _file("schedule", method, name),
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
            f"{method_style(row['method']).label} {value_text(row[name])}" for row in won.to_dict("records")
        )
        yield Drawing(
            "values",
            _file("values", name),
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
            _file("pair", *pair),
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
        f"{method_style(str(method)).label} {row['total'] / 60:.1f} minutes" for method, row in means.iterrows()
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
    which = f"the winner of {method_style(method).label}"
    which += f" with seed {seed}" if run.searches["seed"].nunique() > 1 else ""
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
            _file("attention", sentence.line),
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
