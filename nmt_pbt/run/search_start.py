"""The record that opens a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmt_pbt.run.journal import SearchStarted
from nmt_pbt.search.plan import SearchPlan

if TYPE_CHECKING:
    from nmt_pbt.search.oracles import JournaledOracle


def search_started(method: str, oracle: JournaledOracle, plan: SearchPlan, seed: int) -> SearchStarted:
    """Return the record that opens a search.

    Args:
        method: Its method's name.
        oracle: The oracle that was built for it.
        plan: What it searches.
        seed: Its seed.
    """
    budget, objective = oracle.budget, oracle.objective
    return SearchStarted(
        method=method,
        seed=seed,
        objective=objective.name,
        direction=objective.direction,
        budget_pairs=budget.total,
        interval_pairs=budget.pairs(plan.settings.interval),
        pairs_per_epoch=budget.pairs_per_epoch,
        population=oracle.population_size or plan.settings.population,
    )
