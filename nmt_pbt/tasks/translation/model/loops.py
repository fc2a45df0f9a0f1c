"""Loops over a batch that shrinks as its rows finish, and the largest of many values, faster than TensorFlow's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_BLOCK = 64


def top_k(values: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `tf.math.top_k` returns, the same among equal values too, several times as fast on a CPU.

    The `count` largest values lie in the `count` blocks with the largest maxima, of equal ones the first: only these
    are searched.

    Args:
        values: `[R, N]`.
        count: How many of each row, at most N.

    Returns:
        The values in descending order, `[R, count]`, and their places in the row, int32 `[R, count]`.
    """
    width = values.shape[1]
    if width is None or width < 4 * count * _BLOCK:
        found, places = tf.math.top_k(values, k=count)
        return found, places
    block = min((size for size in range(32, 129) if width % size == 0), key=lambda size: abs(size - _BLOCK), default=0)
    if not block:
        block = _BLOCK
        values = tf.pad(values, [[0, 0], [0, -width % block]], constant_values=values.dtype.min)
    blocks = tf.reshape(values, [tf.shape(values)[0], -1, block])
    _, chosen = tf.math.top_k(tf.reduce_max(blocks, axis=2), k=count, sorted=False)
    chosen = tf.sort(chosen, axis=1)  # so that of equal values the first comes first
    candidates = tf.reshape(tf.gather(blocks, chosen, batch_dims=1), [-1, count * block])
    found, places = tf.math.top_k(candidates, k=count)
    return found, tf.gather(chosen, places // block, batch_dims=1) * block + places % block


State = dict[str, Any]
"""Tensors that begin with `[R]`, the sentences that are left, in any nested structure."""


def while_any(
    is_open: Callable[[tf.Tensor, State], tf.Tensor],
    advance: Callable[[tf.Tensor, State], State],
    outcome: Callable[[State], dict[str, tf.Tensor]],
    state: State,
) -> dict[str, tf.Tensor]:
    """Advance a state until no sentence is open.

    Whenever half of the sentences or more are done, what is known of them is put aside, and the rest go on as a smaller
    batch: one sentence that does not end costs the steps of one sentence.

    Args:
        is_open: `(position, state) -> bool [R]`; a sentence that is done stays done.
        advance: `(position, state) -> state` after one step.
        outcome: What is wanted of a state, by name, `[R, ...]`.
        state: The first state, of all B sentences.

    Returns:
        The outcome of each sentence, `[B, ...]`.
    """

    def body(position: tf.Tensor, rows: tf.Tensor, state: State, found: dict[str, tf.Tensor]) -> tuple[Any, ...]:
        following = advance(position, state)
        for before, after in zip(tf.nest.flatten(state), tf.nest.flatten(following), strict=True):
            after.set_shape([None, *before.shape[1:]])
        open_ = is_open(position + 1, following)

        def shrink() -> tuple[Any, ...]:
            left = tf.where(open_)[:, 0]
            smaller = tf.nest.map_structure(lambda value: tf.gather(value, left), following)
            return tf.gather(rows, left), smaller, _put(found, rows, outcome(following))

        few = 2 * tf.math.count_nonzero(open_, dtype=tf.int32) <= tf.shape(open_)[0]
        return position + 1, *tf.cond(few, shrink, lambda: (rows, following, found))

    first = (tf.constant(0), tf.range(tf.shape(tf.nest.flatten(state)[0])[0]), state, outcome(state))
    _, rows, last, found = tf.while_loop(
        lambda position, rows, state, found: tf.reduce_any(is_open(position, state)),
        body,
        first,
        shape_invariants=(tf.TensorShape([]), *tf.nest.map_structure(_any_batch, first[1:])),
    )
    return _put(found, rows, outcome(last))


def _put(found: dict[str, tf.Tensor], rows: tf.Tensor, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: tf.tensor_scatter_nd_update(found[name], rows[:, None], value) for name, value in values.items()}


def _any_batch(value: tf.Tensor) -> tf.TensorShape:
    return tf.TensorShape([None, *value.shape[1:]])
