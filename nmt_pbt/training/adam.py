"""Keras's Adam with its update in one pass over each weight."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) as `keras.optimizers.Adam` computes it, by TensorFlow's fused operation.

    The learning rate is a variable like any of Keras's optimizers; the slots are `momentum` and `velocity`.
    """

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
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def slots(self) -> dict[str, list[Any]]:
        """Return the slot variables by kind, each list in the order of the weights."""
        return {"momentum": self._momentums, "velocity": self._velocities}
