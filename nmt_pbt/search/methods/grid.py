"""Grid search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment
from nmt_pbt.space.domains import describe
from nmt_pbt.space.space import Space

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class GridSettings(Section):
    """Grid search."""

    levels: dict[str, list[Value]] = {}
    """Values to cross, by hyperparameter; those left out get evenly spread levels that fit the budget"""


def check_levels(space: Space, levels: Mapping[str, Sequence[Value]]) -> None:
    """Refuse levels that are not of the space.

    Args:
        space: The search space.
        levels: The user's values, by name.

    Raises:
        UsageError: A level is not of its domain, or its name not in the space.
    """
    domains = {domain.name: domain for domain in space.domains}
    for name, values in levels.items():
        if name not in domains:
            raise UsageError(f"search.grid.levels.{name}: not in the search space{suggest(name, space.names)}")
        for value in values:
            if not domains[name].contains(value):
                raise UsageError(f"search.grid.levels.{name}: {value!r}; it has to be {describe(domains[name])}")
        if not values or len(set(values)) != len(values):
            raise UsageError(f"search.grid.levels.{name}: list at least one value, and none twice")


def _check(plan: SearchPlan, section: GridSettings) -> None:
    check_levels(plan.space, section.levels)


def _build(
    plan: SearchPlan, section: GridSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.oracles.baselines import GridOracle
    from nmt_pbt.search.oracles.grid_points import points_within

    points = points_within(plan.space, plan.budget(pairs_per_epoch), plan.epochs, section.levels, seed)
    return GridOracle(**plan.oracle_arguments(seed, pairs_per_epoch), points=points)


GRID = MethodSpec("grid", "Grid", "constant", _build, section="grid", settings=GridSettings, check=_check)
