"""Label-smoothed cross-entropy, and the divergence between two passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def smoothed_cross_entropy(
    vectors: tf.Tensor,
    table: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
    smoothing: tf.Tensor,
    consistency: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cross-entropy of `softmax(vectors @ table^T + bias)` with smoothed targets (Szegedy et al. 2016, section 7).

    The smoothed target is `(1 - smoothing) * onehot + smoothing / V`. Smoothing is linear in the logits, and the
    logits are linear in everything, so both its value and its gradient are computed without a pass over `[N, V]` but
    that of the softmax.

    With consistency, the rows are two passes over the same positions, and half of it times the symmetric divergence of
    their distributions, `KL(p || q) + KL(q || p)`, is added (Liang et al. 2021, equation 4, arXiv 2106.14448). Divided
    by the rows of both passes, the sum is half of the paper's objective, with consistency as its α.

    Args:
        vectors: One row a position to predict, `[N, E]`; with consistency, the first half are those of the one pass.
        table: Output embeddings, `[V, E]`.
        bias: `[V]`.
        targets: Subword ids, int32 `[N]`.
        smoothing: Scalar in [0, 1).
        consistency: Scalar, at least 0; where it is 0 or None, there is nothing to pair.

    Returns:
        The smoothed loss, with the divergence, and the plain negative log-likelihood, summed over the positions, in
        nats. Only the first one has a gradient.
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
        slope = probabilities  # of what is added up over the vocabulary, by the logits
        if consistency is not None:
            weight = consistency / 2.0

            def paired() -> tuple[tf.Tensor, tf.Tensor]:
                divergence, by_logits = _symmetric_divergence(logits, probabilities)
                return weight * divergence, probabilities + weight * by_logits

            added, slope = tf.cond(weight > 0.0, paired, lambda: (tf.zeros_like(weight), probabilities))
            smoothed += added

        def gradient(upstream: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # d smoothed / d logits = slope - (1 - smoothing) * onehot - smoothing / V
            hit = (smoothing - 1.0) * upstream
            spread = smoothing * upstream / vocabulary
            d_vectors = upstream * tf.matmul(slope, table) + hit * picked - spread * vocabulary * mean_row
            d_table = upstream * tf.matmul(slope, vectors, transpose_a=True) - spread * summed
            d_table = tf.tensor_scatter_nd_add(d_table, targets[:, None], hit * vectors)
            d_bias = upstream * tf.reduce_sum(slope, axis=0) - spread * positions
            d_bias = tf.tensor_scatter_nd_add(d_bias, targets[:, None], tf.fill(tf.shape(targets), hit))
            return d_vectors, d_table, d_bias

        return (smoothed, likelihood), gradient

    smoothed, likelihood = run(vectors, table, bias)
    return smoothed, likelihood


def _symmetric_divergence(logits: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `KL(p || q) + KL(q || p)` of the first and the second half of the rows, summed, and its gradient.

    The divergence is the sum of `(p - q) * (z_p - z_q)`, z being the logits: their normalisers cancel.

    Args:
        logits: `[2N, V]`.
        probabilities: Their softmax.

    Returns:
        The divergence, a scalar in nats, and its gradient by the logits, `[2N, V]`.
    """
    (first_logits, second_logits), (first, second) = tf.split(logits, 2), tf.split(probabilities, 2)
    apart, difference = first_logits - second_logits, first - second
    by_first = difference + first * (apart - tf.reduce_sum(first * apart, axis=1, keepdims=True))
    by_second = difference + second * (apart - tf.reduce_sum(second * apart, axis=1, keepdims=True))
    return tf.reduce_sum(difference * apart), tf.concat([by_first, -by_second], axis=0)
