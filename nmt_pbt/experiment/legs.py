"""From trials to legs: what a worker is told to train next."""

from __future__ import annotations

from dataclasses import dataclass

from nmt_pbt.experiment.engine import Leg, StateReference
from nmt_pbt.journal import Assigned
from nmt_pbt.randomness import derive_seed
from nmt_pbt.search.assignment import Assignment


@dataclass
class Progress:
    """A trial under way: who trains it, how it is cut into intervals, and how many of them are done.

    Attributes:
        assignment: The trial.
        worker: Who trains it.
        intervals: Sentence pairs of each of its intervals.
        decided: Seconds it took to decide on it.
        waited: Seconds its worker was idle before the interval under way.
        done: Intervals that have ended.
        failure: Why it failed; None as long as it did not.
        best: The best of its objective over its intervals.
        no_better: Intervals since the best.
        stopped: It was ended early, for want of a better objective.
    """

    assignment: Assignment
    worker: str
    intervals: tuple[int, ...]
    decided: float = 0.0
    waited: float = 0.0
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
class Legs:
    """Makes the legs of one search. The same trial and interval always make the same leg.

    Attributes:
        method: The method's name.
        seed: The search's seed.
        counts: Whether sentence counts are to be reported with each evaluation.
    """

    method: str
    seed: int
    counts: bool = False

    def state_name(self, trial: str, interval: int) -> str:
        """Return under which name the state at the end of an interval is saved."""
        # The interval is part of the name: until the record of the next one is on the disk, both have to exist.
        return f"{self.method}-seed{self.seed}-trial{trial}-interval{interval}"

    def record(self, worker: str, assignment: Assignment, intervals: tuple[int, ...]) -> Assigned:
        """Return the record that a trial was given out.

        Args:
            worker: To whom.
            assignment: The trial.
            intervals: Sentence pairs of each of its intervals.
        """
        return Assigned(
            method=self.method,
            seed=self.seed,
            trial=assignment.trial,
            worker=worker,
            member=assignment.member,
            generation=assignment.generation,
            parent=assignment.parent,
            inherited=assignment.inherited,
            values=dict(assignment.values),
            pairs=sum(intervals),
        )

    def leg(self, assignment: Assignment, interval: int, pairs: int, start: StateReference | None) -> Leg:
        """Return the leg that trains one interval of a trial.

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
        return Leg(
            trial=assignment.trial,
            values=assignment.values,
            pairs=pairs,
            start=start,
            weights_seed=derive_seed(self.seed, "weights", fresh),
            order_seed=self.seed,
            masks_seed=derive_seed(self.seed, "masks", fresh) if own_masks else None,
            save_as=self.state_name(assignment.trial, interval),
            counts=self.counts,
        )
