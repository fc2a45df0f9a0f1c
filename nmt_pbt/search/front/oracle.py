"""The PBT oracle for KerasTuner's own loop."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from keras_tuner.engine.trial import Trial

from nmt_pbt.errors import NmtPbtError, UsageError
from nmt_pbt.search import pbt
from nmt_pbt.search.keras_tuner_space import from_hyperparameters
from nmt_pbt.search.oracles import locked
from nmt_pbt.search.space import Space
from nmt_pbt.search.stored import StoredOracle

STATE = "pbt/state"
"""Among a trial's values: the content hash of the state it ended with, which a worker sends back with them."""


class PBTOracle(StoredOracle, pbt.PBTOracle):
    """Population Based Training for KerasTuner: for `PopulationBasedTraining`, and for a `Tuner` of one's own.

    A tuner of one's own reads from a trial's values where to start and how far to train: `pbt/parent` (the trial whose
    final state to take over; empty for a fresh start), `pbt/age` (epochs those weights were trained on) and
    `search/epochs` (epochs to train).

    Args:
        *args: Of `nmt_pbt.search.pbt.PBTOracle`.
        structural: Names of hyperparameters that change weight shapes; `units_*` stands for all that begin so, also
            those that the hypermodel asks for only later.
        **kwargs: Of `nmt_pbt.search.pbt.PBTOracle`.

    Attributes:
        states_released: Called after each trial with the trials whose final states can still be needed, each with that
            state's content hash, and with the trials under way; whoever keeps states may delete all others.
        fault: What ended the search, if it was an error.
    """

    def __init__(
        self,
        objective: Any = None,
        population_size: int = 8,
        interval: float = 1.0,
        epochs: float = 10.0,
        *,
        structural: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self._patterns = tuple(structural)
        self._arguments = {"population_size": population_size, "interval": interval, "epochs": epochs}
        self.states_released: Callable[[dict[str, str], set[str]], None] = lambda needed, under_way: None
        self.fault: NmtPbtError | None = None
        super().__init__(objective, population_size, interval, epochs, **kwargs)

    def structural_among(self, names: Iterable[str]) -> set[str]:
        """Return which of some hyperparameters are declared structural."""
        names = list(names)
        return {name for pattern in self._patterns for name in _matching(names, pattern)}

    def _space(self) -> Space:
        names = [hyperparameter.name for hyperparameter in self.hyperparameters.space]
        exact = {pattern for pattern in self._patterns if not _is_pattern(pattern)}
        # A plain name that is not there is refused by the space; a pattern may wait for names to come.
        return from_hyperparameters(self.hyperparameters, self.structural_among(names) | exact, self._frozen)

    def check_arguments(self) -> None:
        """Refuse arguments and a search space that cannot be used, before anything is trained.

        Raises:
            UsageError: Says which, and what to do.
        """
        if not self.trials:
            self._population = self._populate(self._space())  # the space may have grown since it was given

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Take in the end of a trial, and say which states can still be needed; see `nmt_pbt.search.pbt.PBTOracle`."""
        with self._noting_faults():
            super().end_trial(trial)
        self.release_states()

    @locked
    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial to run; see `nmt_pbt.search.pbt.PBTOracle`."""
        with self._noting_faults():
            return super().create_trial(tuner_id)

    @locked
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Take in an evaluation; see `nmt_pbt.search.pbt.PBTOracle`."""
        with self._noting_faults():
            return super().update_trial(trial_id, metrics, step)

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        """Keep what ends the search: of a chief's oracle, a worker called, and the chief has to leave, too."""
        try:
            yield
        except NmtPbtError as error:
            self.fault = error
            raise

    @locked
    def release_states(self) -> None:
        """Say which states can still be needed: of members, of the best trial, and of trials under way."""
        under_way = {member.turn.trial for member in self.population.members if member.turn is not None}
        needed = self.population.needed() | {trial.trial_id for trial in self.get_best_trials(1)}
        values = {trial: self.trials[trial].hyperparameters.values for trial in sorted(needed)}
        self.states_released({trial: held[STATE] for trial, held in values.items() if STATE in held}, under_way)

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best trials whose score is a number, best first."""
        found = super().get_best_trials(len(self.trials))
        return [trial for trial in found if math.isfinite(trial.score)][:num_trials]

    def get_state(self) -> dict[str, Any]:
        """Return the state, with the arguments that it is only good for."""
        return {**super().get_state(), "arguments": self._arguments}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned.

        Raises:
            UsageError: It is of a search with other arguments.
        """
        for name, value in self._arguments.items():
            begun = state["arguments"][name]
            if begun != value:
                raise UsageError(
                    f"{self._project_dir}: begun with {name}={begun:g}, now {name}={value:g}; go on with the same, or "
                    "start afresh with overwrite=True or another project_name"
                )
        super().set_state(state)


def _is_pattern(name: str) -> bool:
    return bool(frozenset("*?[") & set(name))


def _matching(names: list[str], pattern: str) -> list[str]:
    return fnmatch.filter(names, pattern) if _is_pattern(pattern) else [name for name in names if name == pattern]
