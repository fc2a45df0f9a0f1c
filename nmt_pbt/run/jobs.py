"""What the driver asks of whatever runs trials, and what it hears back: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.run.journal import Assigned, Evaluated, SearchStarted, Seconds
from nmt_pbt.search.assignment import Assignment
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
        pairs: Sentence pairs to train.
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
    """What became of a job.

    Attributes:
        worker: The worker that ran it.
        trial: The trial's id.
        metrics: Metrics of the dev split and `train_loss`; empty after a failure.
        trained_pairs: Sentence pairs the state was trained on along its lineage.
        state: The saved state; None after a failure.
        failure: Why it failed, in a few words; None when it did not. A failed job leaves no state.
        lost: What is wrong with the state that it starts from, when that cannot be had: nothing was trained then.
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
    """What became of a test.

    Attributes:
        worker: The worker that ran it.
        result: Metrics, and what the task made of the test split; None when the state is lost.
        files: What the task wrote, by path below the run's folder.
        lost: What is wrong with the state, when that cannot be had: nothing was tested then.
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
    """Return the result of a job whose start cannot be had.

    Args:
        worker: Whose job it is.
        job: The job.
        problem: What is wrong with the state.
    """
    if isinstance(job, TestingJob):
        return TestingResult(worker, lost=problem)
    return JobResult(worker, job.trial, lost=problem)


class Engine(Protocol):
    """Runs jobs on workers, each with live models of its own. The scheduler alone calls it."""

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers that can be given work; the same from run to run, but some may join late."""
        ...

    def submit(self, worker: str, job: Job) -> None:
        """Give a job to a free worker."""
        ...

    def wait(self) -> Result | None:
        """Wait for the next result, its state being on the disk; None when a worker joined that can be given work."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


@dataclass
class Progress:
    """A trial under way: how it is cut into intervals, and how many of them are done.

    Attributes:
        assignment: The trial.
        intervals: Sentence pairs of each of its intervals.
        decided: Seconds it took to decide on it.
        done: Intervals that have ended.
        failure: Why it failed; None as long as it did not.
        best: The best of its objective over its intervals.
        no_better: Intervals since the best.
        stopped: It was ended early, for want of a better objective.
    """

    assignment: Assignment
    intervals: tuple[int, ...]
    decided: float = 0.0
    done: int = 0
    failure: str | None = None
    best: float | None = None
    no_better: int = 0
    stopped: bool = False

    @property
    def over(self) -> bool:
        """Whether there is nothing more to train."""
        return self.failure is not None or self.stopped or self.done == len(self.intervals)

    @property
    def source(self) -> str | None:
        """The trial whose latest state the next interval starts from; None for fresh weights."""
        return self.assignment.parent if self.done == 0 else self.assignment.trial


@dataclass(frozen=True)
class TrainingJobs:
    """Makes the jobs of one search. The same trial and interval always make the same job.

    Attributes:
        method: The method's name.
        seed: The search's seed.
        evidence: Whether evidence is to be reported with each evaluation.
    """

    method: str
    seed: int
    evidence: bool = False

    def state_name(self, trial: str, interval: int) -> str:
        """Return under which name the state at the end of an interval is saved."""
        # The interval is part of the name: until the record of the next one is on the disk, both have to exist.
        return f"{self.method}-seed{self.seed}-trial{trial}-interval{interval}"

    def record(self, assignment: Assignment, intervals: tuple[int, ...]) -> Assigned:
        """Return the record that a trial was given out.

        Args:
            assignment: The trial.
            intervals: Sentence pairs of each of its intervals.
        """
        return Assigned(
            method=self.method,
            seed=self.seed,
            trial=assignment.trial,
            member=assignment.member,
            generation=assignment.generation,
            parent=assignment.parent,
            inherited=assignment.inherited,
            values=dict(assignment.values),
            pairs=sum(intervals),
        )

    def evaluated(
        self,
        progress: Progress,
        result: JobResult,
        start: StateReference | None,
        search: SearchStarted,
        spent_pairs: int,
        best: bool,
    ) -> Evaluated:
        """Return the record of a result.

        Args:
            progress: The trial, before the result counts.
            result: The result.
            start: The state that the interval began with; None for fresh weights.
            search: The record that opened the search.
            spent_pairs: What the search had trained before.
            best: Whether it is the best evaluation so far: its samples are kept then.
        """
        return Evaluated(
            method=self.method,
            seed=self.seed,
            trial=result.trial,
            interval_index=progress.done,
            worker=result.worker,
            trained_pairs=result.trained_pairs,
            spent_pairs=spent_pairs + progress.intervals[progress.done],
            metrics=dict(result.metrics) if result.failure is None else {search.objective: None},
            started=start.hash if start is not None else None,
            state=result.state.hash if result.state is not None else None,
            failure=result.failure,
            evidence=result.evidence,
            samples=list(result.samples) if best else [],
            seconds=result.seconds.model_copy(update={"decide": round(progress.decided, 6)}),
        )

    def job(self, assignment: Assignment, interval: int, pairs: int, start: StateReference | None) -> TrainingJob:
        """Return the job that trains one interval of a trial.

        Args:
            assignment: The trial.
            interval: Which of its intervals, from 0.
            pairs: Sentence pairs in it.
            start: The state to begin with; None for fresh weights.
        """
        # A member that goes on alone keeps its stream of dropout masks; one that begins or adopts gets its own.
        own_masks = interval == 0 and (start is None or assignment.inherited)
        # KerasTuner pads ids to a width that differs between methods; the number is what they share.
        fresh = assignment.fresh if assignment.fresh is not None else int(assignment.trial)
        return TrainingJob(
            trial=assignment.trial,
            values=assignment.values,
            pairs=pairs,
            start=start,
            weights_seed=derive_seed(self.seed, "weights", fresh),
            order_seed=self.seed,
            masks_seed=derive_seed(self.seed, "masks", fresh) if own_masks else None,
            save_as=self.state_name(assignment.trial, interval),
            evidence=self.evidence,
        )


@dataclass(frozen=True)
class Winner:
    """The best evaluation of a search, or of a member: the trial, its interval, and the state saved then."""

    trial: str
    interval_index: int
    trained_pairs: int
    metrics: Mapping[str, float | None]
    values: Mapping[str, Value]
    state: StateReference


@dataclass(frozen=True)
class _Latest:
    """A trial's latest evaluation, its score, and its member; None without a population."""

    result: Winner
    score: float
    member: int | None


class Results:
    """Evaluations of one search.

    Args:
        start: The record that opens the search; it names the objective and its direction.
    """

    def __init__(self, start: SearchStarted) -> None:
        self._objective = start.objective
        self._sign = 1 if start.direction == "max" else -1
        self._latest: dict[str, _Latest] = {}
        self._best: _Latest | None = None

    @property
    def winner(self) -> Winner | None:
        """The best evaluation so far; of equal ones the first."""
        return self._best.result if self._best is not None else None

    def is_better(self, score: float, than: float | None) -> bool:
        """Tell whether a score is better than another, or than none."""
        return than is None or self._sign * score > self._sign * than

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether an evaluation that was not taken yet is better than all that were."""
        return self.is_better(metrics[self._objective], self._best.score if self._best is not None else None)

    def take(self, result: Winner, score: float, member: int | None) -> bool:
        """Take note of an evaluation.

        Args:
            result: The evaluation.
            score: Its objective.
            member: Whose it is; None without a population.

        Returns:
            Whether it is the best so far.
        """
        latest = self._latest[result.trial] = _Latest(result, score, member)
        best = self._best is None or self.is_better(score, self._best.score)
        if best:
            self._best = latest
        return best

    def runners_up(self, trials: Iterable[str], count: int) -> list[Winner]:
        """Return the best latest evaluations of other members than the winner's, the best first.

        Args:
            trials: Those to choose among.
            count: How many, at most; one of each member.
        """
        best: dict[int, _Latest] = {}
        for trial in sorted(trials):
            latest = self._latest.get(trial)
            if latest is None or latest.member is None or self._best is None or latest.member == self._best.member:
                continue
            held = best.get(latest.member)
            if held is None or self.is_better(latest.score, held.score):
                best[latest.member] = latest
        ranked = sorted(best, key=lambda member: (-self._sign * best[member].score, member))
        return [best[member].result for member in ranked[:count]]
