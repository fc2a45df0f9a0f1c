"""The same searches on something else than a network: a forest that grows tree by tree.

The hyperparameter is the depth of the trees that are added. Grid, random and Bayesian search choose a depth for each
forest that they grow from nothing. Population Based Training grows six forests side by side, adopts the better ones,
and may change the depth as it goes on. Every method may grow 180 trees.

    python examples/decision_trees.py

`ForestTask` and `Forest` are all that a search asks of a thing to be trained; see `nmt_pbt.tasks.protocol`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

import nmt_pbt
from nmt_pbt.base.randomness import derive_seed, generator
from nmt_pbt.base.types import Value
from nmt_pbt.space.domains import Integer
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Evaluation, MemberState, Objective, SearchableTask, TestResult, Trainable


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


class Forest(Trainable):
    """A forest in growth: a list of (depth, seed). What it is comes from that list, so that it is the whole state."""

    trees: list[tuple[int, int]]
    depth: int
    seed: int

    def reset(self, seed: int) -> None:
        """Begin without trees."""
        self.trees, self.seed = [], seed

    def reseed(self, seed: int) -> None:
        """Let the next trees be others than the donor's."""
        self.seed = seed

    def load(self, state: MemberState) -> None:
        """Take over another forest; its trees are not grown again."""
        depths, seeds = state.arrays["weights/depths"], state.arrays["weights/seeds"]
        self.trees = list(zip(depths.tolist(), seeds.tolist(), strict=True))
        self.seed = int(state.arrays["generator/seed"])

    def state(self) -> MemberState:
        """Return everything that makes this forest."""
        depths, seeds = np.array(self.trees, dtype=np.int64).reshape(-1, 2).T
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


class ForestTask(SearchableTask):
    """What there is to train, and to search: one tree is one epoch."""

    name = "forest"
    unit = "tree"
    data_digest = "scikit-learn's digits"
    search_space = Space((Integer("max_depth", 1, 16),))
    searched_objective = Objective("val_loss", "min")

    def build(self, structural: Mapping[str, Value]) -> Forest:
        """Return a forest; nothing about it is structural."""
        return Forest()

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        """Return the loss on examples that no method saw."""
        return TestResult({"loss": cast(Forest, trainable).loss("test")})


if __name__ == "__main__":
    methods = ("grid", "random", "bayes", "pbt")
    found = nmt_pbt.compare_task(
        ForestTask(), methods=methods, seeds=1, population=6, epochs=30, interval=5, directory="forest"
    )
    for method in methods:
        forest = cast(Forest, found.winner(method))
        runs = [(depth, len(list(same))) for depth, same in itertools.groupby(depth for depth, _ in forest.trees)]
        grown = ", ".join(f"{count} of depth {depth}" for depth, count in runs)
        print(f"{method:7} dev {forest.loss('dev'):.3f}  test {forest.loss('test'):.3f}  trees: {grown}")
