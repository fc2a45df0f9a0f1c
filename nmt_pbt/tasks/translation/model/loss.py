"""Label-smoothed cross-entropy that passes over the logits once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def smoothed_cross_entropy(
    vectors: tf.Tensor, table: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, smoothing: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy of `softmax(vectors @ table^T + bias)` with smoothed targets (Szegedy et al. 2016, section 7).

    The smoothed target is `(1 - smoothing) * onehot + smoothing / V`. Smoothing is linear in the logits, and the
    logits are linear in everything, so both its value and its gradient are computed without a pass over `[N, V]`.

    Args:
        vectors: One row a position to predict, `[N, E]`.
        table: Output embeddings, `[V, E]`.
        bias: `[V]`.
        targets: Subword ids, int32 `[N]`.
        smoothing: Scalar in [0, 1).

    Returns:
        The smoothed loss and the plain negative log-likelihood, summed over the positions, in nats. Only the first
        one has a gradient.
    """
    vocabulary = table.shape[0]

    @tf.custom_gradient
    def run(vectors: tf.Tensor, table: tf.Tensor, bias: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        logits = tf.nn.bias_add(tf.matmul(vectors, table, transpose_b=True), bias)
        probabilities = tf.nn.softmax(logits)
        # log sum exp(logits) from the largest logit and its probability, at least 1 / V: exact where log(p) is not
        normaliser = tf.reduce_max(logits, axis=1) - tf.math.log(tf.reduce_max(probabilities, axis=1))
        picked = tf.gather(table, targets)
        chosen = tf.reduce_sum(vectors * picked, axis=1) + tf.gather(bias, targets)
        likelihood = tf.reduce_sum(normaliser - chosen)
        mean_row = tf.reduce_mean(table, axis=0)
        summed = tf.reduce_sum(vectors, axis=0)
        positions = tf.cast(tf.shape(targets)[0], tf.float32)
        mean = tf.reduce_sum(summed * mean_row) + positions * tf.reduce_mean(bias)
        smoothed = likelihood + smoothing * (tf.reduce_sum(chosen) - mean)

        def gradient(upstream: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # d smoothed / d logits = p - (1 - smoothing) * onehot - smoothing / V
            hit = (smoothing - 1.0) * upstream
            spread = smoothing * upstream / vocabulary
            d_vectors = upstream * tf.matmul(probabilities, table) + hit * picked - spread * vocabulary * mean_row
            d_table = upstream * tf.matmul(probabilities, vectors, transpose_a=True) - spread * summed
            d_table = tf.tensor_scatter_nd_add(d_table, targets[:, None], hit * vectors)
            d_bias = upstream * tf.reduce_sum(probabilities, axis=0) - spread * positions
            d_bias = tf.tensor_scatter_nd_add(d_bias, targets[:, None], tf.fill(tf.shape(targets), hit))
            return d_vectors, d_table, d_bias

        return (smoothed, likelihood), gradient

    smoothed, likelihood = run(vectors, table, bias)
    return smoothed, likelihood
