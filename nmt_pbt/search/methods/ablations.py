"""PBT without one of its parts, to tell what that part is worth.

`exploit-only` selects and moves no values. `explore-only` moves values and selects nobody: in each generation as many
members as would adopt move the values they have, drawn by the seed among all that are able, whatever their scores. To
move the weak ones alone would tell nothing: the member that is ahead from the beginning would never be moved, and the
search's winner would be that of random search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nmt_pbt.search.methods.pbt import PBT, PBTSettings, build_population
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


def _exploit_only(
    plan: SearchPlan, section: PBTSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    return build_population(plan, section, seed, pairs_per_epoch, explores=False)


def _explore_only(
    plan: SearchPlan, section: PBTSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    return build_population(plan, section, seed, pairs_per_epoch, exploits=False)


EXPLOIT_ONLY = replace(PBT, name="exploit-only", label="Exploit only", build=_exploit_only, ablation=True)
EXPLORE_ONLY = replace(PBT, name="explore-only", label="Explore only", build=_explore_only, ablation=True)
