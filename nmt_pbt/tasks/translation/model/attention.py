"""Attention over the encoder's states, for all target positions at once."""

from __future__ import annotations

from typing import Literal

import keras
import tensorflow as tf

from nmt_pbt.tasks.translation.model.scan import Products, Tensors

Kind = Literal["additive", "general", "dot"]


class Attention(keras.layers.Layer):
    """Content-based attention; `q` is the decoder's state, `m` a state of the encoder.

    The score functions::

        additive   v . tanh(W_q q + W_m m)   (Bahdanau et al. 2015, section A.1.2)
        general    q . W_m m                 (Luong et al. 2015, eq. 8)
        dot        q . m

    For `dot` the two directions of the encoder are summed, as q and m have to be equally wide.

    Args:
        kind: The score function.
        units: Width U of q.
    """

    def __init__(self, kind: Kind, units: int, name: str | None = None) -> None:
        super().__init__(name=name)
        if kind not in ("additive", "general", "dot"):
            raise ValueError(f"Expected kind 'additive', 'general' or 'dot'. Received: kind={kind!r}")
        self.kind = kind
        self.units = units

    def build(self, memory_width: int) -> None:
        """Make the weights for an encoder's states of this width."""
        if self.kind == "dot" and memory_width != 2 * self.units:
            raise ValueError(f"Expected memory of width {2 * self.units} for 'dot'. Received: {memory_width}")
        if self.kind != "dot":
            self.memory_kernel = self.add_weight(shape=(memory_width, self.units), initializer="zeros", name="memory")
        if self.kind == "additive":
            self.query_kernel = self.add_weight(shape=(self.units, self.units), initializer="zeros", name="query")
            self.scale = self.add_weight(shape=(self.units, 1), initializer="zeros", name="scale")
        self.built = True

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Return what queries are compared with, `[B, S, U]`, from the encoder's states, `[B, S, M]`."""
        if self.kind == "dot":
            return memory[..., : self.units] + memory[..., self.units :]
        return _product(memory, self.memory_kernel.value)

    def call(
        self, query: tf.Tensor, keys: tf.Tensor, memory: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Attend.

        Args:
            query: `[B, T, U]`.
            keys: From `keys`, `[B, S, U]`.
            memory: The encoder's states, `[B, S, M]`.
            bias: Added to the scores, `[B, 1, S]`: 0 at real source positions, very negative at pads (`pad_bias`).

        Returns:
            The contexts, `[B, T, M]`, and the weights, `[B, T, S]`, each row summing to 1.
        """
        if self.kind == "additive":
            mixed = tf.tanh(_product(query, self.query_kernel.value)[:, :, None] + keys[:, None])
            scores = tf.squeeze(_product(mixed, self.scale.value), axis=-1)
        else:
            scores = tf.matmul(query, keys, transpose_b=True)
        weights = tf.nn.softmax(scores + bias)
        return tf.matmul(weights, memory), weights

    def scan_arguments(self, keys: tf.Tensor, memory: tf.Tensor) -> tuple[Tensors, Tensors, Tensors]:
        """Return the kernels, memories and shared tensors that `attend_step` needs inside a `scan`; see `call`."""
        if self.kind == "additive":
            return [self.query_kernel.value], [memory], [keys, self.scale.value]
        return [], [memory, tf.transpose(keys, [0, 2, 1])], []

    def attend_step(
        self, query: tf.Tensor, products: Products, first_kernel: int, shared: Tensors, bias: tf.Tensor
    ) -> tf.Tensor:
        """Attend at one step of a `scan`.

        Args:
            query: `[B, U]`.
            products: Those of the step.
            first_kernel: The place of this attention's first kernel among them; its memories are the first.
            shared: What `scan_arguments` returned as such.
            bias: `[B, S]`.

        Returns:
            The context, `[B, M]`.
        """
        if self.kind == "additive":
            keys, scale = shared
            mixed = tf.tanh(products.kernel(first_kernel, query)[:, None] + keys)
            scores = tf.squeeze(_product(mixed, scale), axis=-1)
        else:
            scores = products.memory(1, query)
        return products.memory(0, tf.nn.softmax(scores + bias))


def pad_bias(mask: tf.Tensor) -> tf.Tensor:
    """Return what to add to scores so that pads get weight exactly 0: `[B, 1, S]` from a bool mask `[B, S]`."""
    return tf.where(mask, 0.0, -1e9)[:, None]


def _product(tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return tensor @ kernel over the last dimension, as one plain matrix product."""
    flat = tf.matmul(tf.reshape(tensor, [-1, kernel.shape[0]]), kernel)
    return tf.reshape(flat, tf.concat([tf.shape(tensor)[:-1], [kernel.shape[1]]], axis=0))
