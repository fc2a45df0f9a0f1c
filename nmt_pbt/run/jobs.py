"""Jobs that the driver gives to workers, and their results: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nmt_pbt.base.types import Value
from nmt_pbt.run.records import Seconds
from nmt_pbt.tasks.protocol import TestResult

MAX_DEATHS = 3
"""A job during which so many workers died is not tried again: it is what kills them."""


@dataclass(frozen=True)
class StateReference:
    """A saved state: its name in the run's state store, and the content hash it must have."""

    name: str
    hash: str


@dataclass(frozen=True)
class TrainingJob:
    """One interval of one trial, to be trained and evaluated.

    Attributes:
        trial: The trial's id.
        values: The hyperparameters in force.
        pairs: Training pairs to train on.
        start: The state to begin with; None for fresh weights.
        weights_seed: Seed of fresh weights, used when `start` is None.
        order_seed: Seed of the order of the training pairs.
        masks_seed: Seed to start the generator of dropout masks with; None goes on with that of the state.
        save_as: Name to save the resulting state under.
        evidence: Whether to report evidence of the score, too.
    """

    trial: str
    values: Mapping[str, Value]
    pairs: int
    start: StateReference | None
    weights_seed: int
    order_seed: int
    masks_seed: int | None
    save_as: str
    evidence: bool = False

    def __str__(self) -> str:
        return f"trial {self.trial}"


@dataclass(frozen=True)
class JobResult:
    """The result of a training job.

    Attributes:
        worker: The worker that ran it.
        trial: The trial's id.
        metrics: Metrics of the dev split and `train_loss`; empty after a failure.
        trained_pairs: Training pairs that the state was trained on along its lineage.
        state: The saved state; None after a failure.
        failure: Why it failed, in a few words; None when it did not. A failed job leaves no state.
        lost: What is wrong with the state that it starts from, if that cannot be loaded; nothing was trained then.
        seconds: Wall-clock, itemised.
        evidence: What the task says of the score in more detail; None where the job did not ask.
        samples: Texts by which the task shows what the model does.
    """

    worker: str
    trial: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    trained_pairs: int = 0
    state: StateReference | None = None
    failure: str | None = None
    lost: str | None = None
    seconds: Seconds = field(default_factory=Seconds)
    evidence: str | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestingJob:
    """A search's winner, to be tested once on the test split.

    Attributes:
        name: What its files are called.
        values: The hyperparameters in force.
        start: Its state.
    """

    name: str
    values: Mapping[str, Value]
    start: StateReference

    def __str__(self) -> str:
        return f"the test of {self.name}"


@dataclass(frozen=True)
class TestingResult:
    """The result of a test.

    Attributes:
        worker: The worker that ran it.
        result: Metrics, and what the task made of the test split; None when the state is lost.
        files: What the task wrote, by path below the run's folder.
        lost: What is wrong with the state, if that cannot be loaded; nothing was tested then.
        seconds: Wall-clock.
    """

    worker: str
    result: TestResult | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    lost: str | None = None
    seconds: float = 0.0


Job = TrainingJob | TestingJob
Result = JobResult | TestingResult


def lost(worker: str, job: Job, problem: str) -> Result:
    """Return the result of a job whose state to start from cannot be loaded.

    Args:
        worker: Whose job it is.
        job: The job.
        problem: What is wrong with the state.
    """
    if isinstance(job, TestingJob):
        return TestingResult(worker, lost=problem)
    return JobResult(worker, job.trial, lost=problem)


@dataclass(frozen=True)
class Undone:
    """A worker died during its job, which is not done.

    Attributes:
        worker: Its name. A new one comes up in its place, and is among the workers when it can be given work.
        cause: Why it died, as far as that is known.
    """

    worker: str
    cause: str


class Engine(Protocol):
    """Runs jobs on workers, each with live models of its own. The scheduler alone calls it."""

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers that can be given work; the same from run to run, but some may join late."""
        ...

    def submit(self, worker: str, job: Job) -> None:
        """Give a job to a free worker."""
        ...

    def wait(self) -> Result | Undone | None:
        """Wait for the next result, its state being on the disk; None when a worker joined that can be given work."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...
