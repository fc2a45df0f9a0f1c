"""Bayesian optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nmt_pbt.base.section import Count, Positive, Section
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class BayesSettings(Section):
    """Bayesian optimisation with a Gaussian process (KerasTuner's)."""

    initial_points: Count = 3
    """Random trials before the first suggestion"""
    exploration: Positive = 2.6
    """Weight of uncertainty in the upper confidence bound"""


def _build(
    plan: SearchPlan, section: BayesSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.oracles.baselines import BayesOracle

    arguments = plan.oracle_arguments(seed, pairs_per_epoch)
    return BayesOracle(**arguments, initial_points=section.initial_points, exploration=section.exploration)


BAYES = MethodSpec("bayes", "Bayesian", "constant", _build, section="bayes", settings=BayesSettings)
