"""The scan's gradients against TensorFlow's own, through a plain loop over the steps."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.scan import Products, scan

LENGTH, BATCH, UNITS, PLACES = 6, 3, 5, 7


def step(products, inputs, constants, state, shared):
    h, k = state
    z = inputs[0] + products.kernel(0, h * constants[0]) * shared[0]
    weights = tf.nn.softmax(products.memory(0, tf.tanh(z)))
    following = tf.tanh(z + products.kernel(1, weights))
    return [weights, following * constants[0]], [following, k + h]


def plain(inputs, state, kernels, memories, shared, constants, reverse):
    outputs = [None] * LENGTH
    for t in reversed(range(LENGTH)) if reverse else range(LENGTH):
        products = Products(kernels, memories)
        found, state = step(products, [x[t] for x in inputs], [x[t] for x in constants], state, shared)
        outputs[t] = found
    return [tf.stack(part) for part in zip(*outputs, strict=True)], state


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("graph", [False, True])
def test_outputs_and_gradients_equal_automatic_ones(reverse, graph):
    random = np.random.default_rng(3)
    draw = lambda *size: tf.constant(random.standard_normal(size), tf.float32)  # noqa: E731
    inputs, state = [draw(LENGTH, BATCH, UNITS)], [draw(BATCH, UNITS), draw(BATCH, UNITS)]
    kernels, memories = [draw(UNITS, UNITS), draw(PLACES, UNITS)], [draw(BATCH, UNITS, PLACES)]
    shared, constants = [draw(UNITS)], [draw(LENGTH, BATCH, 1)]
    upstream = [draw(LENGTH, BATCH, PLACES), draw(LENGTH, BATCH, UNITS), draw(BATCH, UNITS), draw(BATCH, UNITS)]

    def run(function):
        sources = [inputs, state, kernels, memories, shared]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            outputs, last = function()
            total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(upstream, [*outputs, *last], strict=True)])
        return [*outputs, *last], tf.nest.flatten(tape.gradient(total, sources))

    def ours():
        return run(lambda: scan(step, [PLACES, UNITS], inputs, state, kernels, memories, shared, constants, reverse))

    found, gradients = tf.function(ours, autograph=False)() if graph else ours()
    expected, expected_gradients = run(lambda: plain(inputs, state, kernels, memories, shared, constants, reverse))
    for mine, right in zip([*found, *gradients], [*expected, *expected_gradients], strict=True):
        assert np.abs(mine - right).max() <= 1e-4 * (np.abs(right).max() + 1e-12)


def test_lengths_and_batches_may_change_under_one_trace():
    traces = []
    signature = [tf.TensorSpec([None, None, UNITS]), tf.TensorSpec([UNITS, UNITS])]

    @tf.function(input_signature=signature, autograph=False)
    def gradient(inputs, kernel):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            nothing = tf.zeros([tf.shape(inputs)[1], UNITS])
            add = lambda products, x, _, h, __: 2 * [[tf.tanh(x[0] + products.kernel(0, h[0]))]]  # noqa: E731
            outputs, _ = scan(add, [UNITS], [inputs], [nothing], [kernel])
            total = tf.reduce_sum(outputs[0])
        return tape.gradient(total, kernel)

    for length, batch in ((1, 1), (4, 2), (9, 30)):
        assert gradient(tf.ones([length, batch, UNITS]), tf.eye(UNITS)).shape == (UNITS, UNITS)
    assert len(traces) == 1
