"""Random search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nmt_pbt.search.methods.registry import MethodSpec, NoSettings
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


def _build(
    plan: SearchPlan, section: NoSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.oracles.baselines import RandomOracle

    return RandomOracle(**plan.oracle_arguments(seed, pairs_per_epoch))


RANDOM = MethodSpec("random", "Random", "constant", _build)
