"""Toys whose best schedules are known, behind the real oracle, driver and worker; states are kept in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmt_pbt.base.types import Value
from nmt_pbt.run.driver import Driver
from nmt_pbt.run.progress import Winner
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, RunStarted, SearchRecord, SearchStarted
from nmt_pbt.search.budget import Budget
from nmt_pbt.tasks.protocol import Evaluation, MemberState
from nmt_pbt.tasks.state import content_hash
from tests.run.cheap import TakingTurns, finish


class MemoryStates:
    """Saved states, in memory."""

    def __init__(self) -> None:
        self.states: dict[str, MemberState] = {}
        self.most = 0

    def save(self, name: str, state: MemberState) -> str:
        self.states[name] = state
        self.most = max(self.most, len(self.states))
        return content_hash(state)

    def load(self, name: str, expected_hash: str) -> MemberState:
        assert content_hash(self.states[name]) == expected_hash
        return self.states[name]

    def problem(self, name: str, expected_hash: str) -> str | None:
        known = name in self.states and content_hash(self.states[name]) == expected_hash
        return None if known else f"{name}: lost"

    def drop(self, names: set[str]) -> None:
        self.states = {name: state for name, state in self.states.items() if name not in names}

    def keep(self, names: set[str]) -> None:
        self.states = {name: state for name, state in self.states.items() if name in names}


class MemoryJournal:
    """A journal that is not written down: what it costs to put each record on a disk is not the toys' matter."""

    path = Path("memory")

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []

    def append(self, record: AnyRecord, durable: bool = True) -> None:
        self.records.append(record)

    def of(self, method: str, seed: int) -> list[SearchRecord]:
        return [r for r in self.records if not isinstance(r, RunStarted) and (r.method, r.seed) == (method, seed)]

    def __iter__(self) -> Iterator[AnyRecord]:
        return iter(self.records)


class NumpyTrainable:
    """A vector that a step function moves: what the toys have in common. One pair is one step."""

    def __init__(self, task: NumpyTask) -> None:
        self.task = task
        self.vector = np.array(task.start)
        self.trained_pairs = 0
        self.values: dict[str, Value] = {}

    def reset(self, seed: int) -> None:
        self.vector, self.trained_pairs = np.array(self.task.start), 0

    def load(self, state: MemberState) -> None:
        self.vector, self.trained_pairs = np.array(state.arrays["weights/vector"]), state.age

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        self.values = dict(values)

    def effective_values(self) -> Mapping[str, Value]:
        return self.values

    def reseed(self, seed: int) -> None:
        pass

    def reorder(self, seed: int) -> None:
        pass

    def train(self, pairs: int) -> Mapping[str, float]:
        for _ in range(pairs):
            self.vector = self.task.step(self.vector, self.values, self.trained_pairs)
            self.trained_pairs += 1
        return {"train_loss": 0.0}

    def evaluate(self, counts: bool = False) -> Evaluation:
        return Evaluation({"val_q": float(self.task.quality(self.vector))})

    def state(self) -> MemberState:
        return MemberState({"weights/vector": self.vector.copy()}, self.trained_pairs)


@dataclass(frozen=True)
class NumpyTask:
    """A toy: where it starts, how a step moves it, and how good a place is.

    `pairs_per_epoch` is the number of steps between two decisions.
    """

    start: tuple[float, ...]
    step: Callable[[np.ndarray, Mapping[str, Value], int], np.ndarray]
    quality: Callable[[np.ndarray], float]
    pairs_per_epoch: int
    structural: frozenset[str] = frozenset()

    def build(self, structural: Mapping[str, Value]) -> NumpyTrainable:
        return NumpyTrainable(self)


def quadratic_step(theta: np.ndarray, values: Mapping[str, Value], age: int) -> np.ndarray:
    """Ascend 1.2 - (h0 theta0^2 + h1 theta1^2) by a step of 0.01."""
    if "start" in values:
        h = np.array([1.0, 0.0] if values["start"] == "first" else [0.0, 1.0])
    else:
        h = np.array([float(values["h0"]), float(values["h1"])])
    return theta - 0.01 * 2 * h * theta


PAPER = NumpyTask((0.9, 0.9), quadratic_step, lambda theta: 1.2 - float(theta @ theta), pairs_per_epoch=5)
"""Jaderberg et al. 2017, figure 2: what is climbed is not what is scored; only both h together reach the top."""

LENGTH = 200


def best_rate(age: int) -> float:
    """The rate that goes best at a step: from 0.001 up to 0.01 and down again, evenly in the logarithm."""
    return float(10 ** (-3 + min(age, LENGTH - age) / (LENGTH / 2)))


def moving_step(progress: np.ndarray, values: Mapping[str, Value], age: int) -> np.ndarray:
    """Progress by as much as the rate is near the best one of the moment."""
    return progress + math.exp(-((math.log10(float(values["rate"]) / best_rate(age)) / 0.3) ** 2))


MOVING = NumpyTask((0.0,), moving_step, lambda progress: float(progress[0]), pairs_per_epoch=5)
"""A rate whose best value goes 0.001 -> 0.01 -> 0.001."""


@dataclass(frozen=True)
class Search:
    """What came of a search on a toy."""

    winner: Winner
    assigned: tuple[Assigned, ...]
    evaluated: tuple[Evaluated, ...]
    most_states: int

    def schedule(self, name: str) -> list[Value]:
        """Return a hyperparameter's value in each interval of the winner's lineage, oldest first."""
        by_trial = {record.trial: record for record in self.assigned}
        values = []
        trial: str | None = self.winner.trial
        while trial is not None:
            values.append(by_trial[trial].values[name])
            trial = by_trial[trial].parent
        return values[::-1]


def budget(task: NumpyTask, trials: int, epochs: float) -> Budget:
    """Return what so many trials may train on a toy; an interval is an epoch."""
    return Budget.for_trials(trials, epochs, task.pairs_per_epoch, interval_epochs=1.0)


def search(task: NumpyTask, oracle: Any, budget: Budget, workers: int = 1) -> Search:
    """Drive an oracle over a toy with the real driver."""
    states = MemoryStates()
    engine = TakingTurns(task, states, workers)  # type: ignore[arg-type]
    start = SearchStarted(
        method="toy",
        seed=oracle.seed,
        objective=oracle.objective.name,
        direction=oracle.objective.direction,
        budget_pairs=budget.total,
        interval_pairs=task.pairs_per_epoch,
        pairs_per_epoch=task.pairs_per_epoch,
        population=2,
    )
    journal = MemoryJournal()
    winner = finish(Driver(oracle, states, journal, start), engine)  # type: ignore[arg-type]
    records = journal.records
    return Search(
        winner,
        tuple(record for record in records if isinstance(record, Assigned)),
        tuple(record for record in records if isinstance(record, Evaluated)),
        states.most,
    )
