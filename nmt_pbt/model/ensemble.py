"""Several models that translate together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from nmt_pbt.model.decoding import Step


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
