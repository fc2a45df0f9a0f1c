"""Iterated PBT (Chebykin et al. 2025): restarts with fresh hyperparameters, each of which makes the interval longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Count, Section
from nmt_pbt.search.methods.pbt import PBTSettings, build_population, check_pbt, members, space_of
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class IPBTSettings(Section):
    """Iterated PBT (Chebykin et al. 2025): the method `ipbt`. Its population is set in `search.pbt`."""

    earlier_values: ClassVar[Mapping[str, object]] = {
        "patience": 3,
        "slow_decisions": 15,
        "growth": 2,
        "random_share": 0.5,
    }

    patience: Count = 3
    """Decisions in a row without a rise of the smoothed best score, after which the population restarts"""
    slow_decisions: Annotated[int, Field(ge=2, le=1_000_000)] = 15
    """It restarts as well when the best score rises by less than a standard deviation in so many decisions"""
    growth: Annotated[int, Field(ge=1, le=1000)] = 2
    """From a restart on, so many times as many intervals lie between two decisions"""
    random_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the members that restart with hyperparameters drawn from the space; a Gaussian process chooses those of
    the others, by what came of earlier starts"""


def _population(plan: SearchPlan) -> PBTSettings:
    """Return the settings of the population, whatever they say of who adopts whom."""
    section: PBTSettings = plan.settings.pbt
    plain = {"exploit": "truncation", "explore": "pb2-mix", "frequencies": [], "evaluators": 0.0}
    return section.model_copy(update=plain)


def _check(plan: SearchPlan, section: IPBTSettings) -> None:
    if not plan.settings.pbt.synchronous:
        raise UsageError(
            "ipbt: restarts the whole population at once, which needs search.pbt.synchronous true; correct that, or "
            "leave the method out"
        )
    check_pbt(plan, _population(plan))


def _build(
    plan: SearchPlan, section: IPBTSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.population.iterated import IPBT, Restart  # brings NumPy and SciPy along

    population = _population(plan)
    restart = Restart(section.patience, section.slow_decisions, section.growth, section.random_share)
    size = members(plan, population)
    exploit = IPBT(space_of(plan, population), size, seed, population.fraction, restart)
    return build_population(plan, population, seed, pairs_per_epoch, exploit=exploit)


ITERATED_PBT = MethodSpec(
    "ipbt",
    "IPBT",
    "population",
    _build,
    section="ipbt",
    settings=IPBTSettings,
    check=_check,
    most_states=lambda plan, section: 2 * members(plan, plan.settings.pbt),
    most_models=lambda plan, section: members(plan, plan.settings.pbt),
    chooses_length=True,
)
