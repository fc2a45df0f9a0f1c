"""The figures of what populations did: learning curves, family trees, diversity."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nmt_pbt.base.text import counted
from nmt_pbt.report import statistics, views
from nmt_pbt.report.diagnoses import greedy_searches, relative_spreads
from nmt_pbt.report.drawing import Drawing, file_name
from nmt_pbt.report.figures.diversity import draw_diversity
from nmt_pbt.report.figures.population import draw_family_tree, draw_learning_curves
from nmt_pbt.report.labels import search_name
from nmt_pbt.report.run import Run


def population_drawings(run: Run) -> Iterator[Drawing]:
    """Yield the figures of a run's populations, in the order of the page."""
    for number, (method, seed) in enumerate(_populations(run)):
        yield from _population(run, method, seed, aside=number > 0)
    yield from _diversity(run)


def _populations(run: Run) -> list[tuple[str, int]]:
    """Return the searches whose models have curves of their own; of the ablations only the first, of PBT all."""
    reference = statistics.reference_method(run)
    pairs = []
    for method in [*statistics.population_methods(run), *statistics.replay_methods(run)]:
        seeds = [int(seed) for seed in run.winners.loc[run.winners["method"] == method, "seed"]]
        pairs += [(method, seed) for seed in (seeds if method == reference else seeds[:1])]
    return pairs


def _population(run: Run, method: str, seed: int, aside: bool) -> Iterator[Drawing]:
    which, objective = search_name(run, method, seed), str(run.searches["objective"].iloc[0])
    curves, exploits = views.member_curves(run, method, seed), views.exploits(run, method, seed)
    members = curves["member"].nunique()
    yield Drawing(
        "population",
        file_name("learning_curves", method, f"seed{seed}"),
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
        file_name("family_tree", method, f"seed{seed}"),
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
        last = mine.iloc[-1]
        alarms = "; ".join(
            f"{row['alarms']} in generation {row['generation']}" for row in mine.to_dict("records") if row["alarms"]
        )
        yield Drawing(
            "population",
            file_name("diversity", method, f"seed{seed}"),
            f"Diversity and ancestry: {search_name(run, method, seed)}",
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
