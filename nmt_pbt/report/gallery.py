"""Which figures a run gets, with what is said of each; nothing is drawn yet."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from nmt_pbt.report import figure_tables
from nmt_pbt.report.comparisons import sentence_intervals
from nmt_pbt.report.diagnoses import greedy_searches, relative_spreads
from nmt_pbt.report.figures.attention import attention_size, draw_attention
from nmt_pbt.report.figures.population import draw_diversity, draw_family_tree, draw_learning_curves
from nmt_pbt.report.figures.progress import UnitAxis, draw_ablations, draw_best_so_far
from nmt_pbt.report.figures.schedules import draw_schedule
from nmt_pbt.report.figures.scores import draw_differences, draw_scores
from nmt_pbt.report.figures.slices import draw_pair, draw_slice, has_choice, numeric_pairs
from nmt_pbt.report.figures.times import draw_time_spent
from nmt_pbt.report.labels import score_text, search_name, signed, value_text, with_seed
from nmt_pbt.report.run import Run, metric_direction
from nmt_pbt.report.statistics import Results, population_methods, replay_methods
from nmt_pbt.report.verdicts import rivals
from nmt_pbt.report.words import label, paragraphs


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


def file_name(*parts: object) -> str:
    """Return the name of a figure's files, made of the names of what it shows."""
    return re.sub(r"[^a-z0-9_]+", "-", "_".join(str(part) for part in parts).lower())


def _drawing(
    section: str,
    name: str,
    words: tuple[str, ...],
    draw: Callable[[Axes], None],
    height: float = 3.1,
    width: float = 4.6,
    aside: bool = False,
) -> Drawing:
    title, caption, alt = words
    return Drawing(section, name, title, caption, alt, draw, height, width, aside)


def drawings(results: Results) -> list[Drawing]:
    """Return the figures of a run, in the order of the page.

    Args:
        results: All that was computed of the run; it has at least one finite evaluation.

    Returns:
        What to draw. Nothing is drawn yet.
    """
    run = results.run
    return [
        *_progress(run),
        *_tests(results),
        *_populations(run, results.reference),
        *_diversity(run),
        *_ablations(run),
        *_schedules(run, results.reference),
        *_values(run),
        *_time(run),
        *_attention(run),
    ]


def _progress(run: Run) -> Iterator[Drawing]:
    shown = rivals([str(method) for method in dict.fromkeys(run.best_so_far["method"])])
    best = run.best_so_far[run.best_so_far["method"].isin(shown)]
    facts = {
        "objective": run.objective,
        "bands": run.searches["seed"].nunique() > 1,
        "apart": len(shown) < run.best_so_far["method"].nunique(),
    }
    for against, name, axis in (
        ("spent_epochs", "best_so_far_budget", "what was spent"),
        ("seconds", "best_so_far_time", "wall-clock"),
    ):
        curves, spent = figure_tables.progress_curves(best, against, run.direction), against == "spent_epochs"
        last = curves.groupby("method", sort=False)["mean"].last()
        yield _drawing(
            "progress",
            name,
            paragraphs("best_so_far", axis=axis, spent=spent, ends=_scores(last.items(), run.objective), **facts),
            partial(
                draw_best_so_far,
                curves=curves,
                objective=run.objective,
                in_epochs=spent,
                second=UnitAxis(run.unit, run.pairs_per_epoch) if spent and run.unit != "epoch" else None,
            ),
            3.5 if len(shown) <= 4 else 3.7,
        )


def _scores(scores: Iterable[tuple[object, float]], metric: str) -> str:
    """Return methods with their scores, as text."""
    return ", ".join(f"{label(str(method))} {score_text(float(score), metric)}" for method, score in scores)


def _tests(results: Results) -> Iterator[Drawing]:
    run, several = results.run, any(row.searches > 1 for row in results.summaries)
    rows = [row for row in results.summaries if row.tested]
    for metric in run.tested_metrics:
        scores = _scores(((row.method, row.test[metric].mean) for row in rows), metric)
        yield _drawing(
            "test",
            file_name("test", metric),
            paragraphs("test_scores", metric=metric, several=several, scores=scores, decodes=run.decodes),
            partial(draw_scores, tests=run.tests, rows=rows, metric=metric, sentences=sentence_intervals(run, metric)),
            1.1 + 0.45 * len(rows),
        )
    for metric in results.comparisons:
        if pairs := results.against(metric):
            told = ", ".join(f"{signed(pair.difference, metric)} against {label(pair.method_b)}" for pair in pairs)
            side = "right" if metric_direction(run, metric) == "max" else "left"
            facts = {"reference": results.reference, "side": side, "decodes": run.decodes}
            yield _drawing(
                "test",
                file_name("difference", metric),
                paragraphs("differences", metric=metric, differences=told, **facts),
                partial(draw_differences, pairs=pairs),
                0.9 + 0.5 * len(pairs),
            )


def _populations(run: Run, reference: str) -> Iterator[Drawing]:
    """Yield the figures of searches whose models have curves of their own; of all but PBT those of the first seed."""
    searches: list[tuple[str, int]] = []
    for method in [*population_methods(run), *replay_methods(run)]:
        seeds = [int(seed) for seed in run.winners.loc[run.winners["method"] == method, "seed"]]
        searches += [(method, seed) for seed in (seeds if method == reference else seeds[:1])]
    for number, (method, seed) in enumerate(searches):
        yield from _population(run, method, seed, aside=number > 0)


def _population(run: Run, method: str, seed: int, aside: bool) -> Iterator[Drawing]:
    which = search_name(run, method, seed)
    curves, exploits = figure_tables.member_curves(run, method, seed), figure_tables.exploits(run, method, seed)
    members = curves["member"].nunique()
    yield _drawing(
        "population",
        file_name("learning_curves", method, f"seed{seed}"),
        paragraphs("learning_curves", search=which, members=members, exploits=len(exploits)),
        partial(draw_learning_curves, curves=curves, exploits=exploits, objective=run.objective),
        3.4,
        aside=aside,
    )
    if method in replay_methods(run):
        return  # nobody adopts
    tree = figure_tables.family_tree(run, method, seed)
    adoptions = int(tree["inherited"].sum())
    if not adoptions:
        return  # every line would be straight
    counts = {
        "members": members,
        "generations": int(tree["generation"].nunique()),
        "adoptions": adoptions,
        "chain": int(tree["winner"].sum()),
    }
    yield _drawing(
        "population",
        file_name("family_tree", method, f"seed{seed}"),
        paragraphs("family_tree", search=which, **counts),
        partial(draw_family_tree, tree=tree),
        max(3.4, min(8.0, 1.2 + 0.22 * members)),
        aside=aside,
    )


def _diversity(run: Run) -> Iterator[Drawing]:
    for number, (method, seed) in enumerate(greedy_searches(run)):
        mine = run.diagnoses[(run.diagnoses["method"] == method) & (run.diagnoses["seed"] == seed)]
        if len(mine) < 2:
            continue  # nothing has changed yet
        rows = mine.to_dict("records")
        alarms = [f"{row['alarms']} in generation {row['generation']}" for row in rows if row["alarms"]]
        facts = {"search": search_name(run, method, seed), "left": rows[-1]["diversity"], "alarms": alarms}
        yield _drawing(
            "population",
            file_name("diversity", method, f"seed{seed}"),
            paragraphs("diversity", largest=rows[-1]["largest"], **facts),
            partial(draw_diversity, diagnoses=mine, spreads=relative_spreads(mine)),
            3.3,
            aside=number > 0,
        )


def _ablations(run: Run) -> Iterator[Drawing]:
    curves = figure_tables.ablation_curves(run)
    if not curves.empty:
        last = curves.groupby("method", sort=False)["mean"].last()
        yield _drawing(
            "schedules",
            "ablations",
            paragraphs("ablations", objective=run.objective, ends=_scores(last.items(), run.objective)),
            partial(draw_ablations, curves=curves, objective=run.objective),
            3.6,
        )


def _schedules(run: Run, reference: str) -> Iterator[Drawing]:
    for method in population_methods(run):
        schedules = figure_tables.member_schedules(run, method)
        vary = [name for name in run.hyperparameters if figure_tables.schedules_vary(schedules, name)]
        rates = figure_tables.rates_set_in_training(run, method)
        for name in vary:
            won = schedules[schedules["winner"]].groupby("seed", sort=False)[name]
            winners = {seed: [value for value, _ in itertools.groupby(values)] for seed, values in won}
            facts: dict[str, Any] = {"method": method, "hyperparameter": name}
            yield _drawing(
                "schedules",
                file_name("schedule", method, name),
                paragraphs("schedule", again=name != vary[0], winners=winners, rates=rates, **facts),
                partial(draw_schedule, schedules=schedules, domain=run.space.get(name), **facts),
                aside=method != reference,
            )


def _values(run: Run) -> Iterator[Drawing]:
    points = figure_tables.value_points(run)
    # Replays search nothing: their values are PBT's, over and over.
    searched = points[~points["method"].isin(replay_methods(run))]
    points = searched if len(searched) else points
    # what has one value only, as everything in a run of `train`, has nothing to show
    names = [name for name in run.hyperparameters if name in run.space and has_choice(run.space[name])]
    facts: dict[str, Any] = {"objective": run.objective, "direction": run.direction}
    for name in names:
        won = points[points["winner"]].to_dict("records")
        winners = ", ".join(f"{label(row['method'])} {value_text(row[name])}" for row in won)
        again = name != names[0]
        yield _drawing(
            "values",
            file_name("values", name),
            paragraphs("values", hyperparameter=name, objective=run.objective, again=again, winners=winners),
            partial(draw_slice, points=points, hyperparameter=name, domain=run.space.get(name), **facts),
            3.3,
        )
    for pair in numeric_pairs({name: run.space[name] for name in names}):
        yield _drawing(
            "values",
            file_name("pair", *pair),
            paragraphs("value_pair", names=pair, models=len(points), objective=run.objective),
            partial(draw_pair, points=points, names=pair, space=run.space, **facts),
            3.3,
            aside=True,
        )


def _time(run: Run) -> Iterator[Drawing]:
    means = run.time_spent.groupby("method", sort=False)["total"].mean()
    minutes = ", ".join(f"{label(str(method))} {total / 60:.1f} minutes" for method, total in means.items())
    draw = partial(draw_time_spent, times=run.time_spent)
    yield _drawing("time", "time_spent", paragraphs("time_spent", minutes=minutes), draw, 1.1 + 0.45 * len(means))


def _attention(run: Run) -> Iterator[Drawing]:
    """The attention of the winner that is best on dev, in the sample sentences it is kept for."""
    found = run.tests.merge(run.winners[["method", "seed", "score"]], on=["method", "seed"])
    if found.empty:
        return
    best = found.sort_values("score", ascending=run.direction == "min", kind="stable").iloc[0]
    method, seed = str(best["method"]), int(best["seed"])
    facts = {"method": method, "seed": with_seed(run, seed)}
    for number, sentence in enumerate(run.attention(method, seed)):
        if not sentence.target:
            continue
        width, height = attention_size(sentence.source, sentence.target)
        looked = [
            f"{target} at {sentence.source[int(row.argmax())]}"
            for target, row in zip(sentence.target, sentence.weights, strict=True)
        ]
        yield _drawing(
            "attention",
            file_name("attention", sentence.line),
            paragraphs("attention", line=sentence.line, again=number > 0, looked=looked, **facts),
            partial(
                draw_attention,
                source_subwords=sentence.source,
                target_subwords=sentence.target,
                matrix=sentence.weights,
            ),
            height,
            width,
        )
