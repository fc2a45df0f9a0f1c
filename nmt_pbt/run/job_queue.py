"""The jobs of one search: how they are made, recorded, and wait for a worker."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.run.jobs import Job, JobResult, StateReference, TrainingJob
from nmt_pbt.run.progress import Progress
from nmt_pbt.run.records import Assigned, Ended, Evaluated, SearchStarted
from nmt_pbt.search.assignment import Assignment

_LOOKED_AT = 64
"""So many of the jobs that wait are looked at when one is chosen for a worker."""


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
            intervals: Training pairs of each of its intervals.
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

    def ended(self, progress: Progress, objective: str) -> Ended:
        """Return the record that a trial is over.

        Args:
            progress: The trial.
            objective: The metric that it may have been stopped for.
        """
        stopped = f"no better {objective} {progress.no_better} times" if progress.stopped else ""
        return Ended(
            method=self.method,
            seed=self.seed,
            trial=progress.assignment.trial,
            status="completed" if progress.failure is None else "failed",
            reason=progress.failure or stopped,
        )

    def job(self, assignment: Assignment, interval: int, pairs: int, start: StateReference | None) -> TrainingJob:
        """Return the job that trains one interval of a trial.

        Args:
            assignment: The trial.
            interval: Which of its intervals, from 0.
            pairs: Training pairs in it.
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
class Ticket:
    """A job that waits for a worker, or has one.

    Attributes:
        purpose: What it is for: the trial that it brings forward, or a state that is to be there again.
        job: The job.
    """

    purpose: str
    job: Job


class JobQueue:
    """Jobs in the order in which they came; one for each purpose.

    Args:
        choosy: Whether a worker may get a later job that fits it better.
    """

    def __init__(self, choosy: bool) -> None:
        self._looked_at = _LOOKED_AT if choosy else 1
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tickets)

    def put(self, purpose: str, job: Job, first: bool = False) -> None:
        """Let a job wait, behind all others or before them."""
        self._tickets[purpose] = Ticket(purpose, job)
        self._tickets.move_to_end(purpose, last=not first)

    def clear(self) -> None:
        """Let no job wait any more."""
        self._tickets.clear()

    def take(self, fit: Callable[[Job], int]) -> Ticket:
        """Hand over a job.

        Args:
            fit: How well a job fits the worker; of those that fit best the one that waits for longest is taken.
        """
        oldest = itertools.islice(self._tickets.values(), self._looked_at)
        return self._tickets.pop(max(oldest, key=lambda ticket: fit(ticket.job)).purpose)
