"""The engine that needs nothing: one worker, in this process."""

from __future__ import annotations

from nmt_pbt.experiment.engine import Leg, LegResult, StateReference
from nmt_pbt.experiment.worker import TraineePool, Worker
from nmt_pbt.training.state import StateStore


class InlineEngine:
    """Runs each leg when its result is waited for.

    Args:
        pool: The live trainees.
        states: Where states are saved.
        workers: How many workers to pretend to have. They take turns on the one live model: the search meets
            results in the order it would with so many workers of equal speed, at the speed of one.
    """

    def __init__(self, pool: TraineePool, states: StateStore, workers: int = 1) -> None:
        self._states = states
        self._workers = {f"worker{index}": Worker(f"worker{index}", pool, states) for index in range(workers)}
        self._queue: list[tuple[str, Leg]] = []

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers."""
        return tuple(self._workers)

    def submit(self, worker: str, leg: Leg) -> None:
        """Queue a leg."""
        self._queue.append((worker, leg))

    def wait(self) -> LegResult:
        """Run the leg that was submitted first."""
        worker, leg = self._queue.pop(0)
        return self._workers[worker].run(leg)

    def problem(self, state: StateReference) -> str | None:
        """Tell what is wrong with a saved state; None when it is there and undamaged."""
        return self._states.problem(state.name, state.hash)

    def keep(self, names: frozenset[str]) -> None:
        """Delete every saved state but those named."""
        self._states.keep(names)

    def drop(self, names: frozenset[str]) -> None:
        """Delete the saved states named; some may not be there."""
        self._states.drop(names)

    def close(self) -> None:
        """Nothing to let go."""
