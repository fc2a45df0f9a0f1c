"""Averages of weights over training: what is evaluated and translates, while the weights themselves are trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from nmt_pbt.tasks.state import AVERAGE

CHECKPOINT = "checkpoint/"


class NoAverage:
    """The trained weights are the ones that count."""

    def reset(self) -> None:
        """Begin with fresh weights."""

    def step(self, steps: tf.Tensor) -> None:
        """See `MovingAverage`."""

    def note(self, age: int) -> None:
        """See `CheckpointAverage`."""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Leave the model as it is."""
        yield

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nothing."""
        return {}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take nothing."""


class _Average(NoAverage):
    """An average of each weight, kept beside it.

    Args:
        weights: The model's weights.
    """

    def __init__(self, weights: Sequence[Any]) -> None:
        self._weights = weights
        self._means = [tf.Variable(weight.value, trainable=False) for weight in weights]

    def reset(self) -> None:
        """Begin with the weights as they are."""
        for mean, weight in zip(self._means, self._weights, strict=True):
            mean.assign(weight.value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages in the place of the weights; afterwards these are back, bit for bit."""
        trained = [weight.value.numpy() for weight in self._weights]
        try:
            for mean, weight in zip(self._means, self._weights, strict=True):
                weight.assign(mean)
            yield
        finally:
            for array, weight in zip(trained, self._weights, strict=True):
                weight.assign(array)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the averages under the names that a state has them by."""
        return {AVERAGE + w.path: mean.numpy() for w, mean in zip(self._weights, self._means, strict=True)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a state's averages; the weights themselves where it has none."""
        self.reset()
        for mean, weight in zip(self._means, self._weights, strict=True):
            if AVERAGE + weight.path in arrays:
                mean.assign(arrays[AVERAGE + weight.path])


class MovingAverage(_Average):
    """Exponential moving average over steps (Polyak & Juditsky 1992).

    `average <- d * average + (1 - d) * weight`, with d the smaller of the decay and `(1 + steps) / (10 + steps)`, so
    that the first weights are soon forgotten.

    Args:
        weights: The model's weights.
        decay: A variable in [0, 1).
    """

    def __init__(self, weights: Sequence[Any], decay: tf.Variable) -> None:
        super().__init__(weights)
        self._decay = decay

    def step(self, steps: tf.Tensor) -> None:
        """Move the averages towards the weights; part of a training step's graph.

        Args:
            steps: Training steps so far, float scalar.
        """
        rate = 1.0 - tf.minimum(self._decay, (1.0 + steps) / (10.0 + steps))
        for mean, weight in zip(self._means, self._weights, strict=True):
            mean.assign_add(rate * (weight.value - mean))


class CheckpointAverage(_Average):
    """The mean of the weights at the last evaluations.

    Args:
        weights: The model's weights.
        count: How many evaluations.
    """

    def __init__(self, weights: Sequence[Any], count: int) -> None:
        super().__init__(weights)
        self._checkpoints: deque[tuple[int, list[np.ndarray]]] = deque(maxlen=count)

    def reset(self) -> None:
        """Forget all checkpoints."""
        super().reset()
        self._checkpoints.clear()

    def note(self, age: int) -> None:
        """Take the weights as they are for a checkpoint; called at an evaluation.

        Args:
            age: Sentence pairs trained; a second call with the same age changes nothing.
        """
        if self._checkpoints and self._checkpoints[-1][0] == age:
            return
        self._checkpoints.append((age, [weight.value.numpy() for weight in self._weights]))
        for index, mean in enumerate(self._means):
            mean.assign(np.mean([arrays[index] for _, arrays in self._checkpoints], axis=0, dtype=np.float64))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the mean and the checkpoints under the names that a state has them by."""
        named = super().arrays()
        for number, (age, arrays) in enumerate(self._checkpoints):
            named[f"{CHECKPOINT}{number}/age"] = np.asarray(age)
            for weight, array in zip(self._weights, arrays, strict=True):
                named[f"{CHECKPOINT}{number}/{weight.path}"] = array
        return named

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a state's mean and checkpoints."""
        super().load(arrays)
        self._checkpoints.clear()
        for number in range(self._checkpoints.maxlen or 0):
            prefix = f"{CHECKPOINT}{number}/"
            if f"{prefix}age" in arrays:
                kept = [arrays[prefix + weight.path] for weight in self._weights]
                self._checkpoints.append((arrays[f"{prefix}age"].item(), kept))
