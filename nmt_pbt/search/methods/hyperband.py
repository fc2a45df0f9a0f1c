"""Hyperband (Li et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class HyperbandSettings(Section):
    """Hyperband (Li et al. 2018; KerasTuner's), whose unit is the interval between evaluations."""

    factor: Annotated[int, Field(ge=2, le=1000)] = 3
    """One trial in so many goes on, for so many times as long"""


def _check(plan: SearchPlan, section: HyperbandSettings) -> None:
    interval = plan.settings.interval
    if plan.epochs < section.factor * interval:
        raise UsageError(
            f"hyperband: training.epochs {plan.epochs:g} is less than search.hyperband.factor {section.factor} x "
            f"search.interval {interval:g}, so no trial could be stopped early; train longer or evaluate more often"
        )


def _build(
    plan: SearchPlan, section: HyperbandSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.oracles.baselines import HyperbandOracle

    arguments = plan.oracle_arguments(seed, pairs_per_epoch)
    return HyperbandOracle(**arguments, factor=section.factor, kept=plan.settings.population)


HYPERBAND = MethodSpec(
    "hyperband",
    "Hyperband",
    "constant",
    _build,
    section="hyperband",
    settings=HyperbandSettings,
    check=_check,
    chooses_length=True,
)
