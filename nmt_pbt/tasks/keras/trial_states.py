"""The states that the trials of a search ended with, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.run.job_queue import TrainingJobs
from nmt_pbt.run.records import Evaluated
from nmt_pbt.run.run_directory import RunDirectory
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

    def places(self, trial: str) -> Iterator[tuple[Path, str]]:
        """Yield the folders and names under which a trial's state may be."""
        name = self.jobs.state_name(trial, 0)
        yield self.run.states, name
        yield self.run.models, name
        yield self.run.models, f"{self.jobs.method}-seed{self.jobs.seed}"

    def has(self, trial: str) -> bool:
        """Return whether a trial's state is kept, undamaged."""
        content = self.content.get(trial)
        return content is not None and any(
            StateStore(folder).problem(name, content) is None for folder, name in self.places(trial)
        )
