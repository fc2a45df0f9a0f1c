"""Given translations scored by the steps that would make them, and several models as one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nmt_pbt.tasks.translation.model.decoding import (
    Coverage,
    Step,
    hypothesis_scores,
)


class Forced(NamedTuple):
    """What a model makes of given translations.

    Attributes:
        log_probabilities: Of each, nats: `[B]`.
        scores: As `decoding.Hypotheses.scores`: `[B]`.
        attention: Weights with which each subword was predicted, 0 after the last: `[B, L, S]`.
    """

    log_probabilities: tf.Tensor
    scores: tf.Tensor
    attention: tf.Tensor


def teacher_forced_scores(
    step: Step,
    cache: Any,
    memory: Any,
    tokens: tf.Tensor,
    lengths: tf.Tensor,
    begin: int,
    length_penalty: float | tf.Tensor = 1.0,
    coverage: Coverage | None = None,
) -> Forced:
    """Score given translations by the steps that search takes, so that the scores are those of search.

    Args:
        step: The model.
        cache: Its first cache, tensors `[B, 1, ...]`.
        memory: What it sees of each sentence.
        tokens: The translations without BOS, usually ended by EOS, then anything: int32 `[B, L]`.
        lengths: Subwords of each, EOS included: int32 `[B]`.
        begin: Id that starts a sentence.
        length_penalty: Exponent of the length normalisation, at least 0; scalar.
        coverage: What source positions left out cost; None: nothing.
    """
    longest = tf.shape(tokens)[1]
    before = tf.concat([tf.fill([tf.shape(tokens)[0], 1], begin), tokens[:, :-1]], axis=1)

    def body(
        position: tf.Tensor, total: tf.Tensor, looked: tf.TensorArray, cache: Any
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray, Any]:
        log_probabilities, attention, cache = step(before[:, position][:, None], cache, memory)
        gained = tf.gather(log_probabilities[:, 0], tokens[:, position], batch_dims=1)
        real = position < lengths
        looked = looked.write(position, tf.where(real[:, None], attention[:, 0], 0.0))
        return position + 1, total + tf.where(real, gained, 0.0), looked, cache

    first = (
        tf.constant(0),
        tf.zeros(tf.shape(lengths)),
        tf.TensorArray(tf.float32, size=longest, element_shape=[None, None]),
        cache,
    )
    _, total, looked, _ = tf.while_loop(lambda position, *_: position < longest, body, first)
    attention = tf.transpose(looked.stack(), [1, 0, 2])
    covered = None if coverage is None else coverage.start + tf.reduce_sum(attention, axis=1)
    return Forced(total, hypothesis_scores(total, lengths, length_penalty, coverage, covered), attention)


def ensemble(steps: Sequence[Step]) -> Step:
    """Return the step of several models together: the mean of their probabilities, and of their attention.

    Args:
        steps: The models' steps, over the same vocabulary and the same source positions.

    Returns:
        A step whose cache and memory are tuples of theirs, one for each model.
    """
    if not steps:
        raise ValueError("Expected at least one model. Received: none")

    def step(tokens: tf.Tensor, cache: Any, memory: Any) -> tuple[tf.Tensor, tf.Tensor, Any]:
        found = [one(tokens, *its) for one, its in zip(steps, zip(cache, memory, strict=True), strict=True)]
        caches = tuple(cache for _, _, cache in found)
        if len(found) == 1:
            return found[0][0], found[0][1], caches
        log_probabilities = tf.reduce_logsumexp(tf.stack([logs for logs, _, _ in found]), axis=0)
        attention = tf.add_n([weights for _, weights, _ in found]) / len(found)
        return log_probabilities - math.log(len(found)), attention, caches

    return step
