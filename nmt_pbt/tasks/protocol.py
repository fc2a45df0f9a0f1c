"""What the experiment asks of a model in training. Anything that keeps this contract can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nmt_pbt.base.types import Value
from nmt_pbt.tasks.translation.significance import Counts


@dataclass(frozen=True)
class MemberState:
    """Everything that makes a member what it is.

    Attributes:
        arrays: Named arrays, in a fixed order: `weights/...`, `optimizer/...` (slots and iteration count),
            `generator/...` (state of the dropout masks' generator) and `values/...` (learning rate, rates and other
            mutable values in force); `average/...` (the weights that are evaluated, where they are not those trained),
            `checkpoint/...` (what they are the mean of) and `plateau/...` (how far the learning rate has been cut).
        age: Sentence pairs these weights were trained on; the position in the data.
    """

    arrays: Mapping[str, np.ndarray]
    age: int


@dataclass(frozen=True)
class Evaluation:
    """What the dev split says of a model.

    Attributes:
        metrics: By name, for instance `val_loss`, `val_bleu`, `val_chrf`.
        counts: What BLEU of the dev translations is made of, `(sentences, 10)` as of `significance.sentence_counts`;
            None where it was not asked for.
        samples: Translations of the first few dev sentences that a run shows, for people.
    """

    metrics: Mapping[str, float]
    counts: Counts | None = None
    samples: tuple[str, ...] = ()


class Trainable(Protocol):
    """One live model. Same state, same values, same data order: the same next state, bit for bit."""

    def reset(self, seed: int) -> None:
        """Become a fresh model: weights drawn from `seed`, empty optimizer slots, age 0."""
        ...

    def load(self, state: MemberState) -> None:
        """Become the member that `state` describes; its learning rate and rates come along until `apply`."""
        ...

    def apply(self, values: Mapping[str, Value]) -> None:
        """Put hyperparameter values in force. Values not named go back to the trainable's configured ones."""
        ...

    def effective_values(self) -> Mapping[str, Value]:
        """Return the mutable values as the live model holds them, read back from its variables."""
        ...

    def reseed(self, seed: int) -> None:
        """Start the generator of dropout masks afresh, so that a child does not repeat its donor's masks."""
        ...

    def reorder(self, seed: int) -> None:
        """Take the training pairs in the order of this seed; the position in the data, `age`, stays."""
        ...

    def train(self, pairs: int) -> Mapping[str, float]:
        """Train on exactly the next `pairs` sentence pairs; return `train_loss` (nats a target token)."""
        ...

    def evaluate(self, counts: bool = False) -> Evaluation:
        """Score the dev split; with `counts`, keep what BLEU of each sentence is made of."""
        ...

    def state(self) -> MemberState:
        """Return a copy of everything that makes this member."""
        ...


class Task(Protocol):
    """Builds trainables. Small and picklable, so that it can be sent to a worker."""

    def build(self, structural: Mapping[str, Value]) -> Trainable:
        """Return a live trainable whose shapes the structural values decide."""
        ...

    @property
    def structural(self) -> frozenset[str]:
        """Names of the hyperparameters that change weight shapes."""
        ...

    @property
    def epoch(self) -> int:
        """Sentence pairs in one epoch."""
        ...
