"""A worker: one process with its live models, that turns a job into a result."""

from __future__ import annotations

import gc
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nmt_pbt.base.errors import NOT_FINITE, OUT_OF_MEMORY, OutOfMemoryError, StateError, TrialFailedError
from nmt_pbt.base.memory import give_back_memory
from nmt_pbt.base.types import Value
from nmt_pbt.run.handover import check_continued, check_in_force, check_taken_over
from nmt_pbt.run.jobs import (
    Job,
    JobResult,
    Result,
    StateReference,
    TestingJob,
    TestingResult,
    TrainingJob,
)
from nmt_pbt.run.records import Seconds
from nmt_pbt.tasks.answers import check_answer
from nmt_pbt.tasks.protocol import Evaluation, MemberState, Task, TestResult, Trainable


class States(Protocol):
    """Where a worker reads and saves states."""

    def load(self, name: str, expected_hash: str) -> MemberState:
        """Return a state, which has to have this content hash."""
        ...

    def save(self, name: str, state: MemberState) -> str:
        """Save a state and return its content hash."""
        ...


@dataclass
class LiveTrainable:
    """A trainable, and the saved state that it is at; None when it is somewhere between two."""

    trainable: Trainable
    at: StateReference | None = None


class TrainablePool:
    """Live trainables of one process, one for each combination of structural values, built when first asked for.

    Args:
        task: Builds them.
        most: How many may be alive at once; the one that was not used for longest is let go.
    """

    def __init__(self, task: Task, most: int = 4) -> None:
        self.task = task
        self._most = most
        self._live: dict[tuple[tuple[str, Value], ...], LiveTrainable] = {}

    def get(self, values: Mapping[str, Value]) -> LiveTrainable:
        """Return the live trainable whose shapes the structural ones among `values` decide."""
        structural = {name: values[name] for name in sorted(values) if name in self.task.structural}
        key = tuple(structural.items())
        live = self._live.pop(key, None)
        if live is None:
            if len(self._live) >= self._most:
                del self._live[next(iter(self._live))]
                gc.collect()  # a model's layers refer to one another
            live = LiveTrainable(self.task.build(structural))
            check_answer(self.task, "build", live.trainable, Trainable)
        self._live[key] = live  # last: the latest used
        return live


class Worker:
    """Runs jobs one after the other.

    Args:
        name: The worker's name.
        pool: Its live trainables.
        states: Where states are read from and saved to.
    """

    def __init__(self, name: str, pool: TrainablePool, states: States) -> None:
        self.name = name
        self._pool = pool
        self._states = states

    def run(self, job: Job) -> Result:
        """Do a job."""
        try:
            return self.test(job) if isinstance(job, TestingJob) else self.train(job)
        finally:
            give_back_memory()

    def train(self, job: TrainingJob) -> JobResult:
        """Train and evaluate one job, and save its state.

        A loss that is not finite, memory that does not suffice, a trial that the task says has failed, and a start that
        is missing or damaged are results, as a search goes on after them. Any other error is a fault of the program or
        the machine, and is not caught.

        Args:
            job: What to do.

        Returns:
            The metrics and the saved state, or why it failed.

        Raises:
            HandoverError: The live model does not hold that state after loading it, the values in force are not those
                of the job, or it does not go on from there; see `handover`.
        """
        clock = _Clock()
        try:
            live = self._pool.get(job.values)
            start = None
            if job.start is not None and live.at != job.start:
                try:
                    start = self._states.load(job.start.name, job.start.hash)
                except StateError as error:
                    return JobResult(self.name, job.trial, lost=str(error))
            before = self._take_up(live, job, start)
            clock.lap("load")
            trained = live.trainable.train(job.pairs)
            check_answer(live.trainable, "train", trained, Mapping)
            clock.lap("train")
            if not all(map(math.isfinite, trained.values())):
                return self._failed(job, NOT_FINITE, clock)
            evaluation = live.trainable.evaluate(job.evidence)
            check_answer(live.trainable, "evaluate", evaluation, Evaluation)
            clock.lap("evaluate")
            if not all(map(math.isfinite, evaluation.metrics.values())):
                return self._failed(job, NOT_FINITE, clock)
            state = _state_of(live.trainable)
            check_continued(job, live.trainable, before, state)
            live.at = StateReference(job.save_as, self._states.save(job.save_as, state))
            clock.lap("save")
        except (OutOfMemoryError, MemoryError):
            return self._failed(job, OUT_OF_MEMORY, clock)
        except TrialFailedError as error:
            return self._failed(job, str(error), clock)
        return JobResult(
            worker=self.name,
            trial=job.trial,
            metrics={**trained, **evaluation.metrics},
            trained_pairs=state.age,
            state=live.at,
            seconds=clock.seconds(),
            evidence=evaluation.evidence,
            samples=evaluation.samples,
        )

    def test(self, job: TestingJob) -> TestingResult:
        """Test a search's winner once on the test split.

        Args:
            job: Which one.
        """
        began = time.perf_counter()
        live = self._pool.get(job.values)
        live.at = None
        try:
            live.trainable.load(self._states.load(job.start.name, job.start.hash))
        except StateError as error:
            return TestingResult(self.name, lost=str(error))
        live.trainable.set_hyperparameters(job.values)
        with tempfile.TemporaryDirectory() as name:  # the run's folder may be on another machine
            folder = Path(name)
            result = self._pool.task.test(live.trainable, folder, job.name)
            check_answer(self._pool.task, "test", result, TestResult)
            files = {
                file.relative_to(folder).as_posix(): file.read_bytes()
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            }
        return TestingResult(self.name, result, files, seconds=round(time.perf_counter() - began, 3))

    def _take_up(self, live: LiveTrainable, job: TrainingJob, start: MemberState | None) -> MemberState | None:
        """Bring the live model to where the job starts, with the job's values in force.

        Args:
            live: The model.
            job: What is to be trained.
            start: The state that the job starts with; None when it starts afresh, or the model is at it already.

        Returns:
            Everything in the live model before the values were applied; None where the job starts afresh.
        """
        live.at = None
        held = None
        if job.start is None:
            live.trainable.reset(job.weights_seed)
        else:
            if start is not None:
                live.trainable.load(start)
            held = _state_of(live.trainable)
            check_taken_over(job, live.trainable, held, start)
        # After the load: it brings the donor's learning rate and rates with it.
        live.trainable.set_hyperparameters(job.values)
        live.trainable.reorder(job.order_seed)
        if job.masks_seed is not None:
            live.trainable.reseed(job.masks_seed)
        check_in_force(job, live.trainable, self._pool.task.structural)
        return held

    def _failed(self, job: TrainingJob, reason: str, clock: _Clock) -> JobResult:
        return JobResult(self.name, job.trial, failure=reason, seconds=clock.seconds())


def _state_of(trainable: Trainable) -> MemberState:
    state = trainable.state()
    check_answer(trainable, "state", state, MemberState)
    return state


class _Clock:
    """Splits a segment of wall-clock into named laps, in seconds."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 6)
        self._last = now

    def seconds(self) -> Seconds:
        return Seconds(**self._laps)


class InlineEngine:
    """Runs each job in this process, when its result is waited for.

    Args:
        pool: The live trainables.
        states: Where states are saved.
    """

    def __init__(self, pool: TrainablePool, states: States) -> None:
        self._worker = Worker("worker0", pool, states)
        self._job: Job | None = None

    @property
    def workers(self) -> tuple[str, ...]:
        """The name of its one worker."""
        return (self._worker.name,)

    def submit(self, worker: str, job: Job) -> None:
        """Take a job."""
        self._job = job

    def wait(self) -> Result:
        """Run the job."""
        assert self._job is not None, "it is waited for only after a job was given"
        job, self._job = self._job, None
        return self._worker.run(job)

    def close(self) -> None:
        """Nothing to let go."""
