"""A worker: one process with its live models, that turns a leg into a result."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nmt_pbt.errors import OutOfMemoryError, StateError
from nmt_pbt.experiment.engine import Leg, LegResult, StateReference
from nmt_pbt.experiment.handover import check_continued, check_in_force, check_taken_over
from nmt_pbt.journal import Seconds
from nmt_pbt.training.protocol import MemberState, Task, Trainee
from nmt_pbt.values import Value


class States(Protocol):
    """Where a worker reads and saves states."""

    def load(self, name: str, expected_hash: str) -> MemberState:
        """Return a state, which has to have this content hash."""
        ...

    def save(self, name: str, state: MemberState) -> str:
        """Save a state and return its content hash."""
        ...


@dataclass
class LiveTrainee:
    """A trainee, and the saved state that it is at; None when it is somewhere between two."""

    trainee: Trainee
    at: StateReference | None = None


class TraineePool:
    """Live trainees of one process, one for each combination of structural values, built when first asked for."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._live: dict[tuple[tuple[str, Value], ...], LiveTrainee] = {}

    def get(self, values: Mapping[str, Value]) -> LiveTrainee:
        """Return the live trainee whose shapes the structural ones among `values` decide."""
        structural = {name: values[name] for name in sorted(values) if name in self.task.structural}
        key = tuple(structural.items())
        if key not in self._live:
            self._live[key] = LiveTrainee(self.task.build(structural))
        return self._live[key]


class Worker:
    """Runs legs one after the other.

    Args:
        name: The worker's name.
        pool: Its live trainees.
        states: Where states are read from and saved to.
    """

    def __init__(self, name: str, pool: TraineePool, states: States) -> None:
        self.name = name
        self._pool = pool
        self._states = states

    def run(self, leg: Leg) -> LegResult:
        """Train and evaluate one leg, and save its state.

        A loss that is not finite, memory that does not suffice, and a start that is missing or damaged are results, as
        a search goes on after them. Any other error is a fault of the program or the machine, and is not caught.

        Args:
            leg: What to do.

        Returns:
            The metrics and the saved state, or why it failed.

        Raises:
            HandoverError: The live model does not hold that state after loading it, the values in force are not those
                of the leg, or it does not go on from there; see `handover`.
        """
        clock = _Clock()
        try:
            live = self._pool.get(leg.values)
            start = None
            if leg.start is not None and live.at != leg.start:
                try:
                    start = self._states.load(leg.start.name, leg.start.hash)
                except StateError as error:
                    return LegResult(self.name, leg.trial, lost=str(error))
            before = _take_up(live, leg, start)
            clock.lap("load")
            trained = live.trainee.train(leg.pairs)
            clock.lap("train")
            if not all(map(math.isfinite, trained.values())):
                return self._failed(leg, "nan", clock)
            evaluation = live.trainee.evaluate(leg.counts)
            clock.lap("evaluate")
            if not all(map(math.isfinite, evaluation.metrics.values())):
                return self._failed(leg, "nan", clock)
            state = live.trainee.state()
            check_continued(leg, before, state)
            live.at = StateReference(leg.save_as, self._states.save(leg.save_as, state))
            clock.lap("save")
        except (OutOfMemoryError, MemoryError):
            return self._failed(leg, "out of memory", clock)
        return LegResult(
            worker=self.name,
            trial=leg.trial,
            metrics={**trained, **evaluation.metrics},
            age=state.age,
            state=live.at,
            seconds=clock.seconds(),
            counts=evaluation.counts,
            samples=evaluation.samples,
        )

    def _failed(self, leg: Leg, reason: str, clock: _Clock) -> LegResult:
        return LegResult(self.name, leg.trial, failure=reason, seconds=clock.seconds())


def _take_up(live: LiveTrainee, leg: Leg, start: MemberState | None) -> MemberState | None:
    """Bring the live model to where the leg starts, with the leg's values in force.

    Args:
        live: The model.
        leg: What is to be trained.
        start: The state that the leg starts with; None when it starts afresh, or the model is at it already.

    Returns:
        Everything in the live model before the values were applied; None where the leg starts afresh.
    """
    live.at = None
    held = None
    if leg.start is None:
        live.trainee.reset(leg.weights_seed)
    else:
        if start is not None:
            live.trainee.load(start)
        held = live.trainee.state()
        check_taken_over(leg, held, start)
    # After the load: it brings the donor's learning rate and rates with it.
    live.trainee.apply(leg.values)
    live.trainee.reorder(leg.order_seed)
    if leg.masks_seed is not None:
        live.trainee.reseed(leg.masks_seed)
    check_in_force(leg, live.trainee.values_in_force())
    return held


class _Clock:
    """Splits a stretch of wall-clock into named laps, in seconds."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 6)
        self._last = now

    def seconds(self) -> Seconds:
        return Seconds(**self._laps)
