"""The states that the trials of a search ended with, and the models that are built of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import keras

from nmt_pbt.base.errors import StateError
from nmt_pbt.base.types import Value
from nmt_pbt.run.job_queue import TrainingJobs
from nmt_pbt.run.records import Evaluated
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.kept_model import revived
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.keras.trainable import KerasTrainable
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore


@dataclass(frozen=True)
class TrialStates:
    """States of one search.

    Attributes:
        run: The run that it is in.
        jobs: Knows the names of its states.
        content: Content hash of the state that each trial ended with.
    """

    run: RunDirectory
    jobs: TrainingJobs
    content: Mapping[str, str]

    @classmethod
    def of(cls, run: RunDirectory, method: str, seed: int) -> TrialStates:
        """Return the states of a search, as the journal of its run tells them."""
        content = {
            record.trial: record.state
            for record in run.records()
            if isinstance(record, Evaluated) and record.state is not None
        }
        return cls(run, TrainingJobs(method, seed), content)

    def has(self, trial: str) -> bool:
        """Return whether a trial's state is kept, undamaged."""
        return any(True for _ in self._found(trial))

    def model(self, trial: str, task: KerasTask, values: Mapping[str, Value]) -> keras.Model:
        """Build a trial's model and give it the state that the trial ended with.

        Args:
            trial: The trial.
            task: Builds models.
            values: The trial's hyperparameters.

        Raises:
            StateError: The state is not kept.
        """
        for store, name in self._found(trial):
            state: MemberState = store.load(name, self.content[trial])
            return cast(KerasTrainable, revived(task, values, state)).model
        raise StateError(f"{self.run.path}: this state is no longer kept; ask for fewer models")

    def _found(self, trial: str) -> Iterator[tuple[StateStore, str]]:
        """Yield the folders in which a trial's state is, and its name there."""
        name = self.jobs.state_name(trial, 0)
        winner = f"{self.jobs.method}-seed{self.jobs.seed}"
        for folder, called in ((self.run.states, name), (self.run.models, name), (self.run.models, winner)):
            store = StateStore(folder)
            if trial in self.content and store.problem(called, self.content[trial]) is None:
                yield store, called
