"""What a finished hypothesis is worth: its log-probability, normalised by length, less what it left out."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_LEAST = 1e-10  # attention that underflows to 0 costs as much as this, not infinitely much


class Coverage(NamedTuple):
    """What source positions that were not attended to cost.

    Attributes:
        penalty: Weight of the penalty, beta in Wu et al. 2016, eq. 14; at least 0; scalar.
        start: Attention each source position has received before the first step: 0, but 1 at pads, which nothing need
            attend to: `[B, S]`.
    """

    penalty: tf.Tensor
    start: tf.Tensor


def length_normalisation(lengths: tf.Tensor, exponent: float | tf.Tensor) -> tf.Tensor:
    """Return `((5 + length) / 6) ** exponent` (Wu et al. 2016, eq. 14)."""
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** exponent


def coverage_score(covered: tf.Tensor) -> tf.Tensor:
    """Return `sum over i of log(min(covered_i, 1))`, at most 0 (Wu et al. 2016, eq. 14, without its weight).

    Args:
        covered: Attention that each source position received in all, `[..., S]`.

    Returns:
        `[...]`.
    """
    return tf.reduce_sum(tf.math.log(tf.clip_by_value(covered, _LEAST, 1.0)), axis=-1)


def hypothesis_scores(
    log_probabilities: tf.Tensor,
    lengths: tf.Tensor,
    length_penalty: float | tf.Tensor,
    coverage: Coverage | None,
    covered: tf.Tensor | None,
) -> tf.Tensor:
    """Score finished hypotheses (Wu et al. 2016, eq. 14).

    Args:
        log_probabilities: Of each, nats: `[...]`.
        lengths: Subwords of each, EOS included: `[...]`.
        length_penalty: Exponent of the length normalisation, at least 0.
        coverage: What source positions left out cost; None: nothing.
        covered: Attention that each source position received in all, `[..., S]`; needed with `coverage`.

    Returns:
        The scores, `[...]`.
    """
    scores = log_probabilities / length_normalisation(lengths, length_penalty)
    if coverage is None:
        return scores
    return scores + coverage.penalty * coverage_score(covered)
