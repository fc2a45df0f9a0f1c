"""Label-smoothed cross-entropy that passes over the logits once."""

from __future__ import annotations

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
    def run(vectors, table, bias):
        logits = tf.nn.bias_add(tf.matmul(vectors, table, transpose_b=True), bias)
        losses, probabilities = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=targets)
        likelihood = tf.reduce_sum(losses)
        picked = tf.gather(table, targets)
        mean_row = tf.reduce_mean(table, axis=0)
        chosen = tf.reduce_sum(vectors * picked) + tf.reduce_sum(tf.gather(bias, targets))
        positions = tf.cast(tf.shape(targets)[0], tf.float32)
        summed = tf.reduce_sum(vectors, axis=0)
        mean = tf.reduce_sum(summed * mean_row) + positions * tf.reduce_mean(bias)
        smoothed = likelihood + smoothing * (chosen - mean)

        def gradient(upstream, _):
            # d smoothed / d logits = (p - onehot) + smoothing * (onehot - 1 / V); the first term is `probabilities`.
            weight = smoothing * upstream
            d_vectors = upstream * tf.matmul(probabilities, table) + weight * (picked - mean_row)
            d_table = upstream * tf.matmul(probabilities, vectors, transpose_a=True)
            d_table -= weight / vocabulary * summed
            d_table = tf.tensor_scatter_nd_add(d_table, targets[:, None], weight * vectors)
            d_bias = upstream * tf.reduce_sum(probabilities, axis=0) - weight * positions / vocabulary
            d_bias = tf.tensor_scatter_nd_add(d_bias, targets[:, None], tf.fill(tf.shape(targets), weight))
            return d_vectors, d_table, d_bias

        return (smoothed, likelihood), gradient

    return run(vectors, table, bias)
