"""What a task's settings mean to the search methods: plain data, without the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.settings import SearchSettings
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Objective


def refuse_unsearched(name: str, value: Value, where: str) -> None:
    """Refuse any hyperparameter that the space does not hold."""
    raise UsageError(f"{where}: no hyperparameter '{name}' in the search space; remove it")


@dataclass(frozen=True)
class SearchPlan:
    """What is to be searched, for how long, and by what it is decided.

    Attributes:
        settings: The settings under `search`.
        space: The search space.
        defaults: For each name of the space, the value in force where it is not searched.
        epochs: Epochs that each trial trains, and each member of a population; those that a run goes on with included.
        first_seed: Seed of the first search; the others follow on it.
        objective: The metric that decides.
        check_unsearched: Refuses, by a UsageError, a value of a hyperparameter that the space does not hold; called
            with its name, the value, and what to name in the error.
    """

    settings: SearchSettings
    space: Space
    defaults: Mapping[str, Value]
    epochs: float
    first_seed: int
    objective: Objective
    check_unsearched: Callable[[str, Value, str], None] = refuse_unsearched

    @property
    def budget_epochs(self) -> float:
        """Epochs that a whole search trains, over all its trials."""
        return self.settings.population * self.epochs

    def budget(self, pairs_per_epoch: int) -> Budget:
        """Return the budget of one search: the same for each method.

        Args:
            pairs_per_epoch: Training pairs in one epoch.
        """
        return Budget.for_trials(self.settings.population, self.epochs, pairs_per_epoch, self.settings.interval)

    def oracle_arguments(self, seed: int, pairs_per_epoch: int) -> dict[str, Any]:
        """Return the arguments that each `BudgetedOracle` takes.

        Args:
            seed: Seed of the search.
            pairs_per_epoch: Training pairs in one epoch.
        """
        return {
            "space": self.space,
            "seed": seed,
            "objective": keras_tuner_objective(self.objective),
            "budget": self.budget(pairs_per_epoch),
            "epochs": self.epochs,
            "max_initial_failures": self.settings.population,
        }


def keras_tuner_objective(objective: Objective) -> Any:
    """Return KerasTuner's object for an objective; imports KerasTuner, which takes seconds."""
    import keras_tuner

    return keras_tuner.Objective(objective.name, objective.direction)
