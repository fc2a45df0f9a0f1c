"""The same oracles on something else than a network: a forest that grows tree by tree.

The hyperparameter is the depth of the trees that are added. Grid, random and Bayesian search choose a depth and the
number of trees for each forest they grow from nothing. Population Based Training grows six forests side by side, adopts
the better ones, and may change the depth as it goes on. Every method may grow 180 trees.

    python examples/decision_trees.py

It shows all that the search asks of a thing to be trained: `nmt_pbt.tasks.protocol`.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras_tuner
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from nmt_pbt.base.randomness import derive_seed, generator
from nmt_pbt.base.types import Value
from nmt_pbt.run.driver import Driver
from nmt_pbt.run.journal import Journal, RunStarted, SearchStarted
from nmt_pbt.run.scheduler import Scheduler
from nmt_pbt.run.worker import InlineEngine, TrainablePool
from nmt_pbt.search.baselines import BayesOracle, GridOracle, RandomOracle
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.grid_points import points_within
from nmt_pbt.search.oracles import JournaledOracle
from nmt_pbt.search.pbt import JournaledPBTOracle
from nmt_pbt.space.domains import Integer
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Evaluation, MemberState, TestResult, Trainable
from nmt_pbt.tasks.state import StateStore

POPULATION, TREES, INTERVAL = 6, 30, 5
BUDGET = Budget.for_trials(POPULATION, TREES, pairs_per_epoch=1, interval_epochs=INTERVAL)  # one tree is one epoch
DEPTH = Integer("max_depth", 1, 16)
NUMBER = Integer("epochs", 10, 60)  # an epoch is one tree: "epochs" is how long a trial trains


@functools.cache
def split(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images [count, 64] and digits [count] of a split."""
    digits = load_digits()
    order = generator(0, "order").permutation(len(digits.data))
    rows = {"train": order[:600], "dev": order[600:1200], "test": order[1200:]}[name]
    return digits.data[rows], digits.target[rows]


@functools.cache
def tree(depth: int, seed: int) -> DecisionTreeClassifier:
    """Return the tree that depth and seed decide, grown on a resampled training split."""
    x, y = split("train")
    sample = generator(seed, "bootstrap").integers(len(x), size=len(x))
    grown = DecisionTreeClassifier(max_depth=depth, max_features="sqrt", random_state=seed % 2**32)
    return grown.fit(x[sample], y[sample])


class Forest:
    """A forest in growth: a list of (depth, seed). What it is comes from that list, so that it is the whole state."""

    def __init__(self) -> None:
        self.trees: list[tuple[int, int]] = []
        self.depth = 1
        self.seed = 0

    def reset(self, seed: int) -> None:
        """Begin without trees."""
        self.trees, self.seed = [], seed

    def reseed(self, seed: int) -> None:
        """Let the next trees be others than the donor's."""
        self.seed = seed

    def reorder(self, seed: int) -> None:
        """Nothing: a tree draws its own sample."""

    def load(self, state: MemberState) -> None:
        """Take over another forest; its trees are not grown again."""
        depths, seeds = state.arrays["weights/depths"], state.arrays["weights/seeds"]
        self.trees = list(zip(depths.tolist(), seeds.tolist(), strict=True))
        self.seed = int(state.arrays["generator/seed"])

    def state(self) -> MemberState:
        """Return everything that makes this forest."""
        depths, seeds = np.array(self.trees, dtype=np.int64).T
        arrays = {"weights/depths": depths, "weights/seeds": seeds, "generator/seed": np.array(self.seed)}
        return MemberState(arrays, len(self.trees))

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        """Put the depth of the next trees in force."""
        self.depth = int(values["max_depth"])

    def effective_values(self) -> Mapping[str, Value]:
        """Return the depth of the next trees."""
        return {"max_depth": self.depth}

    def train(self, pairs: int) -> Mapping[str, float]:
        """Grow so many trees."""
        for _ in range(pairs):
            self.trees.append((self.depth, derive_seed(self.seed, "tree", len(self.trees))))
        return {"train_loss": self.loss("train")}

    def evaluate(self, evidence: bool = False) -> Evaluation:
        """Score the dev split; a loss has no further evidence."""
        return Evaluation({"val_loss": self.loss("dev")})

    def loss(self, name: str) -> float:
        """Return the cross-entropy on a split, in nats."""
        x, y = split(name)
        probabilities = np.mean([tree(depth, seed).predict_proba(x) for depth, seed in self.trees], axis=0)
        return float(log_loss(y, probabilities * 0.98 + 0.002))


@dataclass(frozen=True)
class ForestTask:
    """What there is to train: one tree is one epoch."""

    name: str = "forest"
    structural: frozenset[str] = frozenset()
    pairs_per_epoch: int = 1
    data_digest: str = "scikit-learn's digits"

    def with_threads(self, threads: int) -> ForestTask:
        """Return itself: growing a tree takes one thread."""
        return self

    def begin(self, run: Path) -> None:
        """Keep nothing: a forest is small enough to be grown again."""

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        """Return the loss on examples that no method saw."""
        return TestResult({"loss": cast(Forest, trainable).loss("test")})

    def build(self, structural: Mapping[str, Value]) -> Forest:
        """Return a forest; nothing about it is structural."""
        return Forest()


def methods() -> dict[str, JournaledOracle]:
    """Return the methods to compare."""
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective("val_loss", "min"),
        "seed": 0,
        "budget": BUDGET,
        "epochs": TREES,
    }
    both = Space((DEPTH, NUMBER))
    constant = {**common, "space": both, "max_initial_failures": POPULATION}
    points = points_within(both, BUDGET, TREES, {}, seed=0)
    population: dict[str, Any] = {"population_size": POPULATION, "interval": INTERVAL, "synchronous": True}
    return {
        "grid": GridOracle(points=points, **constant),
        "random": RandomOracle(**constant),
        "bayes": BayesOracle(initial_points=3, exploration=2.6, **constant),
        "pbt": JournaledPBTOracle(space=Space((DEPTH,)), **population, **common),
    }


def main() -> None:
    """Search with each method, and test the best forest of each on examples that no method saw."""
    task = ForestTask()
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
        journal.append(RunStarted(settings="decision_trees", data="digits"))
        states = StateStore(Path(folder) / "states")
        engine = InlineEngine(TrainablePool(task), states)
        for method, oracle in methods().items():
            start = SearchStarted(
                method=method,
                seed=0,
                objective="val_loss",
                direction="min",
                budget_pairs=BUDGET.total,
                interval_pairs=INTERVAL,
                pairs_per_epoch=task.pairs_per_epoch,
                population=POPULATION,
            )
            search = Driver(oracle, states, journal, start)
            search.begin()
            Scheduler(engine).run([search])
            winner = search.winner
            assert winner is not None  # a tree always grows
            forest = Forest()
            forest.load(states.load(winner.state.name, winner.state.hash))
            runs = [(depth, len(list(same))) for depth, same in itertools.groupby(depth for depth, _ in forest.trees)]
            grown = ", ".join(f"{count} of depth {depth}" for depth, count in runs)
            print(f"{method:7} dev {forest.loss('dev'):.3f}  test {forest.loss('test'):.3f}  trees: {grown}")


if __name__ == "__main__":
    main()
