"""Keras's Adam with its update in one pass over each weight, decoupled weight decay and a scale of the rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nmt_pbt.tasks.translation.model.bindings import Bindings, PlainValue

PLATEAU = "plateau/"


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) as `keras.optimizers.Adam` computes it, by TensorFlow's fused operation.

    The learning rate is a variable like any of Keras's optimizers; the slots are `momentum` and `velocity`.

    Args:
        bindings: Takes the variables of `learning_rate` and `weight_decay`.

    Attributes:
        scale: What the learning rate is multiplied with, by a schedule; a variable, 1 at first.
        decay: Decoupled weight decay (Loshchilov & Hutter 2019, AdamW as in PyTorch): each matrix is multiplied with
            `1 - learning_rate * scale * decay` before its update, embeddings too, vectors are not; a variable, 0 at
            first, which costs no pass over the weights.
    """

    def __init__(self, bindings: Bindings) -> None:
        super().__init__()
        self.scale = tf.Variable(1.0, trainable=False)
        self.decay = bindings.bind("weight_decay", tf.Variable(0.0, trainable=False))
        bindings.bind("learning_rate", self.learning_rate)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Update one weight in place; called by Keras while it traces `apply`."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32) * self.scale,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def shrink(self, weights: Sequence[Any]) -> None:
        """Take the decay's share off each matrix among `weights`; part of a training step's graph, before `apply`."""
        matrices = [weight for weight in weights if len(weight.shape) == 2]

        def shrink() -> tf.Tensor:
            kept = 1.0 - self.learning_rate.value * self.scale * self.decay
            for matrix in matrices:
                matrix.value.assign(matrix.value * kept)
            return tf.constant(0)

        tf.cond(self.decay > 0.0, shrink, lambda: tf.constant(0))

    def slots(self) -> dict[str, list[Any]]:
        """Return the slot variables by kind, each list in the order of the weights."""
        return {"momentum": self._momentums, "velocity": self._velocities}


@dataclass(frozen=True)
class Plateau:
    """How the dev loss went so far; it belongs to the weights, and travels with them.

    Attributes:
        scale: What the learning rate is multiplied with.
        lowest: The lowest loss so far, nats a subword.
        waited: Evaluations in a row that were no lower.
        age: Sentence pairs trained at the last evaluation that counted; an evaluation repeated there does not count.
    """

    scale: float = 1.0
    lowest: float = math.inf
    waited: int = 0
    age: int = 0

    def after(self, loss: float, age: int, factor: float, patience: int, steady: float = 1.0) -> Plateau:
        """Return the state after an evaluation.

        Args:
            loss: The dev loss found.
            age: Sentence pairs trained.
            factor: What the scale is multiplied with on a plateau, in (0, 1].
            patience: Evaluations in a row without a lower loss that make a plateau.
            steady: What the scale is multiplied with in any case, for what was trained since the last evaluation.
        """
        if age == self.age:
            return self
        scale = self.scale * steady
        if loss < self.lowest:
            return Plateau(scale, loss, 0, age)
        if self.waited + 1 < patience:
            return Plateau(scale, self.lowest, self.waited + 1, age)
        return Plateau(scale * factor, self.lowest, 0, age)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a member's state keeps, scalars by name."""
        return {name: np.asarray(value) for name, value in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Plateau:
        """Return what `arrays` was made from; a name that is missing has its first value."""
        return cls(**{name: arrays[name].item() for name in cls.__dataclass_fields__ if name in arrays})


class LearningRateSchedule:
    """Scales the optimizer's learning rate: steadily by the epoch, and on a plateau of the dev loss.

    Args:
        scale: The optimizer's `scale`.
        bindings: Takes `learning_rate_decay`, `plateau_factor` and `plateau_patience`.
    """

    def __init__(self, scale: tf.Variable, bindings: Bindings) -> None:
        self._scale = scale
        self._decay = bindings.bind("learning_rate_decay", PlainValue(1.0))
        self._factor = bindings.bind("plateau_factor", PlainValue(1.0))
        self._patience = bindings.bind("plateau_patience", PlainValue(1))
        self._plateau = Plateau()

    def reset(self) -> None:
        """Forget how the dev loss went."""
        self._take(Plateau())

    def note(self, loss: float, trained_pairs: int, pairs_per_epoch: int) -> None:
        """Take an evaluation into account; repeated at the same place, it changes nothing.

        Args:
            loss: The dev loss, nats a subword.
            trained_pairs: Sentence pairs trained so far.
            pairs_per_epoch: Sentence pairs in an epoch.
        """
        steady = self._decay.value ** ((trained_pairs - self._plateau.age) / pairs_per_epoch)
        self._take(self._plateau.after(loss, trained_pairs, self._factor.value, self._patience.value, steady))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a member's state keeps, under the names that it has there."""
        return {PLATEAU + name: array for name, array in self._plateau.arrays().items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what a member's state holds."""
        own = {name.removeprefix(PLATEAU): array for name, array in arrays.items() if name.startswith(PLATEAU)}
        self._take(Plateau.from_arrays(own))

    def _take(self, plateau: Plateau) -> None:
        self._plateau = plateau
        self._scale.assign(plateau.scale)
