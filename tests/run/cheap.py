"""A trainable that costs microseconds and keeps the whole contract: SGD with momentum on a noisy quadratic."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nmt_pbt.base.errors import OutOfMemoryError
from nmt_pbt.base.types import Value
from nmt_pbt.run.driver import Driver
from nmt_pbt.run.jobs import Engine, Job, Result, Undone
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.progress import Winner
from nmt_pbt.run.records import Guessed, RunStarted, search_started
from nmt_pbt.run.scheduler import Scheduler
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.tasks.protocol import Evaluation, MemberState, TestResult, Trainable
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.scoring.significance import Counts, pack_counts
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

DEFAULTS: dict[str, Value] = {"learning_rate": 1e-3, "dropout": 0.0, "recurrent_dropout": 0.0, "batch_size": 32}


class CheapTrainable:
    """Minimises |w|^2 / 2; dropout is noise on the gradient, the batch size the number of pairs a step."""

    def __init__(self, task: CheapTask) -> None:
        self.task = task
        self.weights = np.zeros(4)
        self.momentum = np.zeros(4)
        self.masks = np.zeros(2, np.int64)
        self.trained_pairs = self.iterations = 0
        self.values: dict[str, Value] = dict(DEFAULTS)

    def reset(self, seed: int) -> None:
        self.weights = np.random.default_rng(seed).normal(size=4)
        self.momentum = np.zeros(4)
        self.trained_pairs = self.iterations = 0

    def load(self, state: MemberState) -> None:
        self.weights = np.array(state.arrays["weights/w"])
        if self.task.forgets != "momentum":
            self.momentum = np.array(state.arrays["optimizer/m"])
        self.masks = np.array(state.arrays["generator/masks"])
        self.values["learning_rate"] = float(state.arrays["optimizer/learning_rate"])
        if self.task.forgets != "trained_pairs":
            self.trained_pairs = state.age
        if self.task.forgets != "iterations":
            self.iterations = int(state.arrays["optimizer/iterations"])

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        if not self.task.forgets_to_apply:
            self.values = {**DEFAULTS, **values}

    def effective_values(self) -> Mapping[str, Value]:
        return self.values

    def reseed(self, seed: int) -> None:
        self.masks = np.array([seed % 2**31, 0], np.int64)

    def reorder(self, seed: int) -> None:
        """All pairs are alike."""

    def train(self, pairs: int) -> Mapping[str, float]:
        time.sleep(self.task.seconds)
        rate = float(self.values["learning_rate"])
        if rate > self.task.explodes_above:
            return {"train_loss": math.nan}
        if int(self.values["batch_size"]) > self.task.largest_batch:
            raise OutOfMemoryError("batch too large")
        left = pairs
        while left:
            batch = min(left, int(self.values["batch_size"]))
            noise = np.random.default_rng(self.masks.tolist()).normal(size=4)
            self.momentum = 0.5 * self.momentum + self.weights + float(self.values["dropout"]) * noise
            self.weights = self.weights - rate * self.momentum
            self.masks[1] += 1
            self.iterations += self.task.forgets != "to count"
            left -= batch
        self.trained_pairs += 0 if self.task.forgets == "to age" else pairs
        return {"train_loss": float(self.weights @ self.weights)}

    def evaluate(self, evidence: bool = False) -> Evaluation:
        loss = float(self.weights @ self.weights)
        metrics = {"val_loss": loss, "val_bleu": 100 * math.exp(-loss)}
        samples = (f"a loss of {loss:.4f}",)
        return Evaluation(metrics, pack_counts(sentence_counts_like(math.exp(-loss))) if evidence else None, samples)

    def state(self) -> MemberState:
        arrays = {
            "weights/w": self.weights.copy(),
            "optimizer/m": self.momentum.copy(),
            "optimizer/iterations": np.array(self.iterations),
            "optimizer/learning_rate": np.array(float(self.values["learning_rate"])),
            "generator/masks": self.masks.copy(),
        }
        if self.task.forgets == "array":
            del arrays["weights/w"]
        if self.task.forgets == "to stay":
            self.weights = self.weights * 1.01
        return MemberState(arrays, self.trained_pairs)


def sentence_counts_like(quality: float, sentences: int = 30) -> Counts:
    """Counts of BLEU of sentences of 20 tokens, of which such a share is right, in some sentences more than in others.

    Args:
        quality: From 0 to 1.
        sentences: How many.
    """
    shares = np.clip(quality + np.linspace(-0.2, 0.2, sentences), 0, 1)
    correct = [np.round((21 - order) * shares**order) for order in range(1, 5)]
    total = [np.full(sentences, 21 - order) for order in range(1, 5)]
    return np.stack([np.full(sentences, 20), np.full(sentences, 20), *correct, *total], axis=1).astype(np.int64)


@dataclass(frozen=True)
class CheapTask:
    """Builds cheap trainables, faulty ones if asked: `forgets` is what one forgets in taking over or going on.

    An interval takes at least so many `seconds`.
    """

    explodes_above: float = math.inf
    largest_batch: int = 2**31
    forgets_to_apply: bool = False
    forgets: str = ""
    pairs_per_epoch: int = 200
    name: str = "cheap"
    data_digest: str = "data"
    seconds: float = 0.0
    structural: frozenset[str] = field(default=frozenset())

    def with_threads(self, threads: int) -> CheapTask:
        return self

    def build(self, structural: Mapping[str, Value]) -> CheapTrainable:
        return CheapTrainable(self)

    def begin(self, run: Path) -> None:
        """A cheap task keeps nothing."""

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        return TestResult({"loss": trainable.evaluate().metrics["val_loss"]})


SEGMENTS = [
    {"epochs": 1, "values": {"dropout": 0.1, "learning_rate": 3e-3}},
    {"epochs": 1.5, "values": {"dropout": 0.4, "learning_rate": 1e-3}},
]


def cheap_settings(*assignments: str) -> TranslationSettings:
    """Return settings of a small search: population 4, 3 epochs, an interval of one, and something to replay."""
    replay = f"search.replay.schedule={json.dumps(SEGMENTS)}"
    return load_settings(None, ["search.population=4", "training.epochs=3", replay, *assignments])


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """Open the journal of a run, with its first line."""
    folder.mkdir(exist_ok=True)
    with Journal(folder / "journal.jsonl") as journal:
        if not journal.records:
            journal.append(RunStarted(settings="settings", data="data"))
        yield journal


def inline(folder: Path, task: CheapTask, workers: int = 1) -> TakingTurns:
    return TakingTurns(task, StateStore(folder / "states"), workers)


class TakingTurns:
    """An engine of several workers that take turns in this process, in the order in which they were given work.

    Args:
        task: What they train.
        states: Where states are saved.
        workers: How many.
        hasty: Draws which of the jobs under way ends next; None: the one that was given out first.
    """

    def __init__(
        self, task: CheapTask, states: StateStore, workers: int = 1, hasty: np.random.Generator | None = None
    ) -> None:
        self._workers = {f"worker{i}": Worker(f"worker{i}", TrainablePool(task), states) for i in range(workers)}
        self._hasty = hasty
        self._queue: list[tuple[str, Job]] = []

    @property
    def workers(self) -> tuple[str, ...]:
        return tuple(self._workers)

    def submit(self, worker: str, job: Job) -> None:
        self._queue.append((worker, job))

    def wait(self) -> Result | None:
        which = 0 if self._hasty is None else int(self._hasty.integers(len(self._queue)))
        worker, job = self._queue.pop(which)
        return self._workers[worker].run(job)

    def close(self) -> None:
        """Nothing to let go."""


class PassingOn:
    """An engine that passes everything on to another one; for tests that change a call."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def workers(self) -> tuple[str, ...]:
        return self.engine.workers

    def submit(self, worker: str, job: Job) -> None:
        self.engine.submit(worker, job)

    def wait(self) -> Result | Undone | None:
        return self.engine.wait()

    def close(self) -> None:
        self.engine.close()


def search(
    method: str, settings: TranslationSettings, task: CheapTask, engine: Engine, journal: Journal, seed: int = 0
) -> Winner | None:
    """Run, or go on with, one search."""
    return finish(driver(method, settings, task, journal, seed), engine, StateStore(journal.path.parent / "states"))


def finish(
    one: Driver, engine: Engine, states: StateStore | None = None, guess: Guessed | None = None
) -> Winner | None:
    """Run one search alone."""
    one.begin(guess)
    if states is not None:
        states.keep(one.states_needed())
    Scheduler(engine).run([one])
    return one.winner


def driver(method: str, settings: TranslationSettings, task: CheapTask, journal: Journal, seed: int = 0) -> Driver:
    """Return what runs, or goes on with, one search."""
    plan = settings.search_plan()
    oracle = build_method(method, plan, seed, task.pairs_per_epoch)
    start = search_started(method, oracle, plan, seed)
    states = StateStore(journal.path.parent / "states")
    return Driver(oracle, states, journal, start, patience=settings.patience, stop=settings.search.stop)
