"""Embeddings of subwords."""

from __future__ import annotations

import keras
import tensorflow as tf


class Embedding(keras.layers.Layer):
    """A table of vectors, `[V, E]`, that may serve as an output layer too."""

    def __init__(self, vocabulary: int, units: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.table = self.add_weight(shape=(vocabulary, units), initializer="zeros", name="table")
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the vectors of these ids, `[..., E]`."""
        return tf.gather(self.table.value, ids)
