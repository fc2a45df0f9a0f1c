"""Which saved states may still be needed, updated event by event, without looking at the whole population."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nmt_pbt.base.errors import StateError
from nmt_pbt.run.job_queue import TrainingJobs
from nmt_pbt.run.jobs import Job, JobResult, StateReference, TrainingJob
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.progress import Progress
from nmt_pbt.run.records import Evaluated
from nmt_pbt.tasks.protocol import MemberState

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class SavedStates(Protocol):
    """Where the states of a run are; see `tasks.state.StateStore`."""

    def load(self, name: str, expected_hash: str) -> MemberState:
        """Return a state, which has to have this content hash."""
        ...

    def save(self, name: str, state: MemberState) -> str:
        """Save a state and return its content hash."""
        ...

    def problem(self, name: str, expected_hash: str) -> str | None:
        """Tell what is wrong with a state; None when it is there and undamaged."""
        ...

    def drop(self, names: Set[str]) -> None:
        """Delete states; some may not be there."""
        ...


class RetainedStates:
    """The states of one search that are on the disk, and why.

    A state is needed while its oracle may start a trial from it, while an interval that starts from it is under way,
    and while it is the best so far.

    Args:
        oracle: Knows which trials' states may still be started from.

    Attributes:
        latest: The latest state of each trial that has one.
    """

    def __init__(self, oracle: JournaledOracle) -> None:
        self._oracle = oracle
        self.latest: dict[str, StateReference] = {}
        self._best: tuple[str, StateReference] | None = None
        self._in_use: Counter[str] = Counter()
        self._doubtful: dict[str, str] = {}  # states that may have become needless, with their trials

    def use(self, trial: str | None) -> None:
        """Record that an interval starts from a trial's latest state; None for one that starts afresh."""
        if trial is not None:
            self._in_use[trial] += 1

    def release(self, trial: str | None) -> None:
        """Record that an interval which started from a trial's state has ended; None for one that started afresh."""
        if trial is None:
            return
        self._in_use[trial] -= 1
        if not self._in_use[trial]:
            del self._in_use[trial]
            self._doubt(trial)

    def save(self, trial: str, state: StateReference) -> None:
        """Record a trial's new state."""
        self._doubt(trial)  # the former one
        self.latest[trial] = state

    def prefer(self, trial: str) -> None:
        """Record that a trial's latest state is the best so far."""
        if self._best is not None:
            self._doubtful[self._best[1].name] = self._best[0]
        self._best = trial, self.latest[trial]

    def needed(self) -> frozenset[str]:
        """Return the names of all states that can still be asked for; looks at all of them."""
        return frozenset(state.name for state in self.references())

    def references(self) -> set[StateReference]:
        """Return all states that can still be asked for."""
        trials = self._oracle.needed() | set(self._in_use)
        states = {self.latest[trial] for trial in trials if trial in self.latest}
        return states | ({self._best[1]} if self._best is not None else set())

    def needless(self) -> frozenset[str]:
        """Return the names of states that became needless since this was asked last."""
        for trial in self._oracle.released():
            self._doubt(trial)
        found = frozenset(name for name, trial in self._doubtful.items() if not self._is_needed(trial, name))
        self._doubtful.clear()
        return found

    def _is_needed(self, trial: str, name: str) -> bool:
        if self._best is not None and self._best[1].name == name:
            return True
        is_latest = self.latest[trial].name == name
        return is_latest and (trial in self._in_use or self._oracle.needs(trial))

    def _doubt(self, trial: str) -> None:
        if trial in self.latest:
            self._doubtful[self.latest[trial].name] = trial


_LOG = logging.getLogger(__name__)


@dataclass
class _Repair:
    """What is done before a job can be: `jobs` in turn, the last first, each to make the state of its place."""

    then: Job | None
    problem: str
    jobs: list[TrainingJob] = field(default_factory=list)
    wanted: list[StateReference] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)


class Repairs:
    """Repairs under way, each by what it is for.

    Args:
        jobs: Makes the jobs of the search.
        journal: Knows which state each interval began and ended with.
        progress_of: Returns a trial of the search, finished or not.
    """

    def __init__(self, jobs: TrainingJobs, journal: Journal, progress_of: Callable[[str], Progress]) -> None:
        self._jobs = jobs
        self._journal = journal
        self._progress_of = progress_of
        self._under_way: dict[str, _Repair] = {}

    def begin(self, purpose: str, lost: StateReference, problem: str, job: Job | None = None) -> TrainingJob:
        """Return the job that makes a lost state again.

        Args:
            purpose: What it is for.
            lost: The state.
            problem: What is wrong with it; names the file.
            job: What is to be done when the state is there again; None for nothing.

        Raises:
            StateError: The journal knows nothing of the state, or it was lost again.
        """
        repair = self._under_way.setdefault(purpose, _Repair(job, problem))
        if lost.name in repair.tried:
            raise StateError(problem)
        made_by = self._made_by(lost, problem)
        origin = "fresh weights" if made_by.start is None else made_by.start.name
        _LOG.warning("%s: training it again, from %s", problem.partition(";")[0], origin)
        repair.tried.add(lost.name)
        repair.jobs.append(made_by)
        repair.wanted.append(lost)
        return made_by

    def is_under_way(self, purpose: str) -> bool:
        """Return whether the next result for a purpose is that of a repair."""
        return purpose in self._under_way

    @property
    def in_use(self) -> frozenset[str]:
        """Names of the states that jobs under way here, or waiting for their turn, start from."""
        jobs = [job for repair in self._under_way.values() for job in (*repair.jobs, repair.then) if job is not None]
        return frozenset(job.start.name for job in jobs if job.start is not None)

    def go_on(self, purpose: str, result: JobResult) -> tuple[Job | None, StateReference | None]:
        """Process a state that was made again.

        Args:
            purpose: What the repair is for.
            result: The state.

        Returns:
            What is to be done next, if anything; and the state that this one was made from, if any.

        Raises:
            StateError: It is another state than the journal says, or could not be trained.
        """
        repair = self._under_way[purpose]
        job, wanted = repair.jobs.pop(), repair.wanted.pop()
        if result.state != wanted:
            came = result.failure or f"another state, {result.state.hash[:12] if result.state else 'none'}"
            raise StateError(
                f"{repair.problem.partition(';')[0]}, and training it again gave {came}: the machine, its threads or "
                "the libraries are not those it was trained with; restore the file from a copy, or start a new run "
                "with another --out"
            )
        if repair.jobs:
            return repair.jobs[-1], job.start
        del self._under_way[purpose]
        return repair.then, job.start

    def _made_by(self, state: StateReference, problem: str) -> TrainingJob:
        """Return the job that made a state."""
        ends: dict[str, Evaluated] = {}  # by the name of the state: what was recorded of the interval it ends
        latest: dict[str, str] = {}
        for record in self._journal.of(self._jobs.method, self._jobs.seed):
            if not isinstance(record, Evaluated) or record.state is None:
                continue
            name = self._jobs.state_name(record.trial, record.interval_index)
            ends[name], latest[record.trial] = record, name
        if state.name not in ends:
            raise StateError(problem)
        made = ends[state.name]
        progress = self._progress_of(made.trial)
        start = None
        if made.started is not None:
            parent = progress.assignment.parent or ""
            before = (
                self._jobs.state_name(made.trial, made.interval_index - 1) if made.interval_index else latest[parent]
            )
            start = StateReference(before, made.started)
        return self._jobs.job(progress.assignment, made.interval_index, progress.intervals[made.interval_index], start)
