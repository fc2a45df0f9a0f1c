"""Subwords that would repeat an n-gram of their own translation, kept from being written."""

from __future__ import annotations

import tensorflow as tf

_BLOCKED = -1e30  # below any log-probability, also of a hypothesis that is none


def block_repeats(log_probabilities: tf.Tensor, written: tf.Tensor, position: tf.Tensor, size: int) -> tf.Tensor:
    """Make every subword that would repeat an n-gram of its hypothesis impossible (Paulus et al. 2018, section 2.5).

    The end of a sentence is never blocked: it stands only once in a hypothesis.

    Args:
        log_probabilities: Of the next subword: `[B, K, V]`.
        written: The hypotheses so far, then anything: int32 `[B, K, L]`.
        position: How many subwords of each are written, scalar.
        size: n of the n-grams, at least 1.

    Returns:
        The log-probabilities, `[B, K, V]`.
    """
    starts = tf.maximum(tf.shape(written)[2] - size + 1, 0)
    # an n-gram that begins at i is written when its last subword is, at i + n - 1
    repeats = tf.broadcast_to(tf.range(starts) <= position - size, tf.shape(written[:, :, :starts]))
    for offset in range(size - 1):
        latest = tf.maximum(position - size + 1 + offset, 0)  # where there are fewer, nothing repeats
        repeats &= written[:, :, offset : starts + offset] == written[:, :, latest][:, :, None]
    places = tf.where(repeats)
    last = tf.gather_nd(written[:, :, size - 1 :], places)
    blocked = tf.concat([places[:, :2], tf.cast(last, tf.int64)[:, None]], axis=1)
    return tf.tensor_scatter_nd_update(log_probabilities, blocked, tf.fill(tf.shape(last), _BLOCKED))
