"""How `PopulationBasedTraining` was told to search: checked, and as the oracle and the settings of its run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.run.own_task import check_count
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.methods.pbt import check_whole_intervals
from nmt_pbt.search.oracles.keras_tuner_internals import MultiObjective
from nmt_pbt.search.oracles.keras_tuner_space import from_hyperparameters
from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.explore import ExploreFunction, Explorer
from nmt_pbt.settings.own_task import OwnTaskSettings, own_task_settings
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.keras.arguments import check_exploit, check_whole
from nmt_pbt.tasks.keras.models import not_declared
from nmt_pbt.tasks.keras.oracle import SearchOracle
from nmt_pbt.tasks.protocol import Objective

_LOG = logging.getLogger("nmt_pbt")
METHOD = "pbt"
"""Under this name the search stands in its run."""


@dataclass(frozen=True)
class PopulationArguments:
    """Arguments of `PopulationBasedTraining` that say how it searches; see there."""

    population_size: int
    interval: int
    epochs: int
    more_epochs: int
    exploit: Exploit | str | None
    explore: Explorer | ExploreFunction | str | None
    burn_in: float
    synchronous: bool
    initial: Sequence[Mapping[str, Value]]
    structural: tuple[str, ...]
    frozen: tuple[str, ...]
    objective: Any

    def check(self) -> None:
        """Refuse arguments that cannot be used, whatever is searched.

        Raises:
            UsageError: Says which, and what to do.
        """
        check_whole(interval=self.interval, epochs=self.epochs)
        check_count("population_size", self.population_size)
        check_count("more_epochs", self.more_epochs)
        check_whole_intervals(self.epochs, self.more_epochs, self.interval)
        if isinstance(self.initial, Mapping):
            raise UsageError("initial: expected a list with a dictionary for each of the first models; write [{...}]")
        check_exploit(self.exploit)
        if self.exploit is not None and self.epochs + self.more_epochs == self.interval:
            _LOG.warning(
                "epochs=%g is one interval=%g: no model ever decides, which makes this a random search; give more "
                "epochs or a shorter interval",
                self.epochs,
                self.interval,
            )

    def check_structural(self, space: Space, changes: Mapping[str, str]) -> None:
        """Refuse hyperparameters that change shapes and would change in training.

        Args:
            space: The search space.
            changes: What changes, by the name of each hyperparameter that changes shapes.

        Raises:
            UsageError: Names them.
        """
        if self.explore is None:
            return
        stay = space.structural | space.frozen
        moving = {name: difference for name, difference in changes.items() if name not in stay}
        if moving:
            raise not_declared(sorted(moving), next(iter(moving.values())))

    def oracle(self, hyperparameters: keras_tuner.HyperParameters, seed: int) -> SearchOracle:
        """Return a fresh oracle.

        Args:
            hyperparameters: The space as KerasTuner has it.
            seed: Seed of every draw.
        """
        epochs = self.epochs + self.more_epochs
        return SearchOracle(
            hyperparameters=hyperparameters,
            space=from_hyperparameters(hyperparameters, self.structural, self.frozen),
            budget=Budget.for_trials(self.population_size, epochs, 1, self.interval),
            seed=seed,
            population_size=self.population_size,
            interval=self.interval,
            epochs=epochs,
            more_epochs=self.more_epochs,
            exploit=self.exploit,
            explore=self.explore,
            burn_in=self.burn_in,
            synchronous=self.synchronous,
            initial=list(self.initial),
            objective=self.objective,
        )

    def settings(self, oracle: SearchOracle, run: Mapping[str, Any], stop: Mapping[str, float]) -> OwnTaskSettings:
        """Return the settings of the search's run.

        Args:
            oracle: The search's oracle, which knows space, objective and seed.
            run: Settings of the run itself: its name, engine, and what it starts from.
            stop: Rules that end the search.
        """
        strategies = {"exploit": self.exploit, "explore": self.explore}
        objective = oracle.objective
        given = {name: _described(value) for name, value in strategies.items() if not isinstance(value, str)}
        if isinstance(objective, MultiObjective):
            given["objective"] = ", ".join(f"{part.name} ({part.direction})" for part in objective.objectives)
        return own_task_settings(
            oracle.space,
            Objective(objective.name, objective.direction),
            {
                **run,
                "seed": oracle.seed,
                "task": "keras",
                "kept": self.population_size,
                "training": {"epochs": float(self.epochs)},
                "search": {
                    "methods": [METHOD],
                    "population": self.population_size,
                    "interval": float(self.interval),
                    "more_epochs": float(self.more_epochs),
                    "stop": dict(stop),
                    METHOD: {
                        **{name: value for name, value in strategies.items() if isinstance(value, str)},
                        "burn_in": float(self.burn_in),
                        "synchronous": self.synchronous,
                        "initial": [dict(values) for values in self.initial],
                        "frozen": list(self.frozen),
                    },
                },
                "strategies": given,
            },
        )


def _described(value: Any) -> str:
    """Return a text that tells a strategy which was not given by its name from others."""
    if value is None:
        return "none"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    inside = ", ".join(f"{name}={held!r}" for name, held in sorted(vars(value).items()) if not name.startswith("_"))
    return f"{type(value).__name__}({inside})"
