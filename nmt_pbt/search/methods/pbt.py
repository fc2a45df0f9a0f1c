"""Population Based Training (Jaderberg et al. 2017), and its variants from later papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Count, NotNegative, Section
from nmt_pbt.base.text import counted
from nmt_pbt.base.types import Value
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan, keras_tuner_objective
from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.member import check_population, last_decision
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.search.population.starts import initial_values
from nmt_pbt.search.population.strategies import EXPLOITS, EXPLORES, exploit_named, explore_named
from nmt_pbt.search.segments import Segment
from nmt_pbt.space.space import Space

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class PBTSettings(Section):
    """Population Based Training (Jaderberg et al. 2017)."""

    earlier_values: ClassVar[Mapping[str, object]] = {
        "population": None,
        "sobol_start": False,
        "evaluators": 0.0,
        "longest_evaluation": None,
    }

    synchronous: bool = True
    """All members finish a generation before any of them adopts another; false lets free workers go on at once, for
    workers of uneven speed, at the price of lineages of uneven length"""
    exploit: Annotated[str, EXPLOITS] = "truncation"
    """Who adopts whom"""
    fraction: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    """Share of the population that is at the bottom, and at the top: for `truncation` and `backtrack`"""
    significance: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Largest p-value that counts as a difference: for `ttest` and evaluators (one-sided), and `bootstrap`
    (two-sided)"""
    evaluations: Annotated[int, Field(ge=2, le=10)] = 5
    """Last evaluations that are compared: for `ttest`"""
    explore: Annotated[str, EXPLORES] = "perturb"
    """How adopted values move"""
    frequencies: list[Count] = []
    """Sub-populations, each deciding within itself after so many intervals, for instance [1, 4], with migration between
    them: against greed (Doulazmi et al. 2025). Empty: one population that decides after every interval"""
    evaluators: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    """Share of the population that finds out how fast others improve, against greed (FIRE PBT, Dalibard & Jaderberg
    2021); of the others one half selects by scores, and the other by improvement rates. 0: all select by scores"""
    longest_evaluation: Count | None = None
    """Intervals after which an evaluator has to be better, by `significance`, or is given another member to evaluate;
    null: 10"""
    burn_in: NotNegative = 0.0
    """Epochs of training before a member may adopt or be adopted from"""
    factor: Annotated[float, Field(gt=1.0, le=1000.0)] = 1.25
    """A step on a log scale multiplies or divides by this"""
    fraction_of_range: Annotated[float, Field(gt=0.0, le=1.0)] = 0.15
    """A step on a linear scale adds or subtracts this share of the range"""
    resample_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Chance that explore draws a value afresh instead of a step"""
    frozen: list[str] = []
    """Hyperparameters of the space that explore leaves alone"""
    initial: list[dict[str, Value]] = []
    """Values to start the first members with; what is left out is drawn from the space"""
    sobol_start: bool = False
    """Members' first values are spread evenly over the space, as points of a scrambled Sobol sequence; false: each is
    drawn by itself, as random search draws its own"""
    population: Annotated[int, Field(ge=2, le=100_000)] | None = None
    """Members; more of them train for fewer epochs each, within the same budget. null: as many as search.population"""


def members(plan: SearchPlan, section: PBTSettings) -> int:
    """Return how many members the population has."""
    return section.population or plan.settings.population


def member_epochs(plan: SearchPlan, section: PBTSettings) -> float:
    """Return the epochs that each member trains, so that all of them take the budget."""
    if section.population in (None, plan.settings.population):
        return plan.epochs
    return plan.budget_epochs / members(plan, section)


def check_pbt(plan: SearchPlan, section: PBTSettings) -> None:
    """Refuse a population that cannot be trained as planned, or that could not decide anything.

    Raises:
        UsageError: Says which setting, and what it has to be.
    """
    size, epochs = members(plan, section), member_epochs(plan, section)
    if epochs < plan.settings.interval - 1e-9:
        raise UsageError(
            f"search.pbt.population {size}: leaves {counted(epochs, 'epoch')} of the budget to each member, less than "
            f"search.interval {plan.settings.interval:g}; make it smaller, or the interval shorter"
        )
    more_epochs = epochs * plan.settings.more_epochs / plan.epochs
    check_whole_intervals(epochs - more_epochs, more_epochs, plan.settings.interval)
    _exploit(plan, section)
    explore_named(section.explore, section)
    check_population(size, plan.settings.interval, epochs, section.burn_in)
    initial_values(space_of(plan, section), size, section.initial, plan.first_seed)


def check_whole_intervals(epochs: float, more_epochs: float, interval_epochs: float) -> None:
    """Refuse more epochs where an interval is cut short: a member that goes on would have decided later.

    Args:
        epochs: Of each member, without those.
        more_epochs: Those.
        interval_epochs: Epochs between two decisions.

    Raises:
        UsageError: Says what is cut short.
    """
    for length in (epochs, epochs + more_epochs) if more_epochs else ():
        if abs(length / interval_epochs - round(length / interval_epochs)) > 1e-9:
            raise UsageError(
                f"more_epochs {more_epochs:g}: {counted(length, 'epoch')} of a member are no whole intervals of "
                f"{interval_epochs:g}, and from one that is cut short it cannot go on; change more_epochs, or begin a "
                f"new run with {counted(epochs + more_epochs, 'epoch')}"
            )


def build_population(
    plan: SearchPlan,
    section: PBTSettings,
    seed: int,
    pairs_per_epoch: int,
    exploits: bool = True,
    explores: bool = True,
    exploit: Exploit | None = None,
) -> JournaledOracle:
    """Build the oracle of a population.

    Args:
        plan: What to search.
        section: The settings of the population.
        seed: Seed of the search.
        pairs_per_epoch: Training pairs in one epoch.
        exploits: Members adopt others' states. Otherwise as many members as would adopt move their own values.
        explores: Adopted values move.
        exploit: Who adopts whom; None: as the settings name it.

    Raises:
        UsageError: The last interval would be empty.
    """
    from nmt_pbt.search.oracles.pbt import JournaledPBTOracle

    interval, epochs = plan.settings.interval, member_epochs(plan, section)
    size = members(plan, section)
    strategy = exploit or _exploit(plan, section)
    budget = Budget.for_trials(size, epochs, pairs_per_epoch, interval)
    if budget.pairs(last := last_decision(interval, epochs)) == budget.pairs(epochs):
        raise UsageError(
            f"training.epochs {epochs:g}: the last interval would be less than one sentence pair of an epoch of "
            f"{pairs_per_epoch}; train for {counted(last, 'epoch')}"
        )
    return JournaledPBTOracle(
        space=space_of(plan, section),
        seed=seed,
        objective=keras_tuner_objective(plan.objective),
        budget=budget,
        population_size=size,
        interval=interval,
        epochs=epochs,
        more_epochs=epochs * plan.settings.more_epochs / plan.epochs,
        exploit=strategy if exploits else None,
        trigger=None if exploits else strategy,
        initial=section.initial,
        sobol_start=section.sobol_start,
        explore=explore_named(section.explore, section) if explores else None,
        burn_in=section.burn_in,
        synchronous=section.synchronous,
    )


def space_of(plan: SearchPlan, section: PBTSettings) -> Space:
    """Return the search space with what explore leaves alone."""
    return replace(plan.space, frozen=frozenset(section.frozen))


def _exploit(plan: SearchPlan, section: PBTSettings) -> Exploit:
    if section.evaluators:
        return _fire(plan, section)
    if section.frequencies:
        if section.exploit != "truncation":
            raise UsageError(
                f"search.pbt.exploit {section.exploit}: sub-populations (search.pbt.frequencies) select by truncation; "
                "leave one of them out"
            )
        return MultiFrequency(members(plan, section), tuple(section.frequencies), plan.space.structural)
    EXPLOITS.get(section.exploit).check(plan.objective)
    return exploit_named(section.exploit, section)


def _fire(plan: SearchPlan, section: PBTSettings) -> Exploit:
    if section.exploit != "truncation" or section.frequencies or not section.synchronous:
        raise UsageError(
            "search.pbt.evaluators: needs exploit truncation, no frequencies, and synchronous true; correct that, or "
            "leave the evaluators out"
        )
    # It brings NumPy along, which refusals need not wait for.
    from nmt_pbt.search.population.fire import FIRE, LONGEST_EVALUATION

    return FIRE(
        members(plan, section),
        section.evaluators,
        section.fraction,
        section.significance,
        section.longest_evaluation or LONGEST_EVALUATION,
    )


def _build(
    plan: SearchPlan, section: PBTSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    return build_population(plan, section, seed, pairs_per_epoch)


PBT = MethodSpec(
    "pbt",
    "PBT",
    "population",
    _build,
    section="pbt",
    settings=PBTSettings,
    check=check_pbt,
    most_states=lambda plan, section: 2 * members(plan, section),
    most_models=members,
    chooses_length=True,
)


def variant(name: str, label: str, **overrides: object) -> MethodSpec[PBTSettings]:
    """Declare a method that is PBT with some settings of its own."""
    # What makes up one variant is not to be mixed with what the section sets for `pbt` itself.
    plain = {"exploit": "truncation", "explore": "perturb", "frequencies": [], "evaluators": 0.0}
    return replace(PBT, name=name, label=label, overrides={**plain, **overrides})


VARIANTS = (
    variant("pb2", "PB2", explore="pb2"),
    variant("mf-pbt", "MF-PBT", frequencies=[1, 4]),
    variant("pbt-backtrack", "PBT, backtrack", exploit="backtrack"),
    variant("pbt-tournament", "PBT, tournament", exploit="tournament"),
    variant("pbt-ttest", "PBT, t-test", exploit="ttest"),
    variant("pbt-bootstrap", "PBT, bootstrap", exploit="bootstrap"),
    variant("pb2-mix", "PB2-Mix", explore="pb2-mix"),
    variant("pbt-sobol", "PBT, Sobol start", sobol_start=True),
)
"""Other exploit and explore strategies, and another start, as methods of their own."""
