"""The hand-written gradient of the recurrence against TensorFlow's own, through a plain loop over the steps."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.model.dropout import Dropout, MaskGenerator
from nmt_pbt.model.initial import initial_weights
from nmt_pbt.model.lstm import LSTM


def _layer(width: int, units: int, rate: float, reverse: bool) -> LSTM:
    generator = MaskGenerator()
    generator.restart(17)
    layer = LSTM(units, Dropout(generator, rate), reverse, name="lstm")
    layer.build(width)
    for weight in layer.trainable_variables:
        weight.assign(initial_weights(weight.path, tuple(weight.shape), 3))
    return layer


def _plain(layer: LSTM, inputs, mask, initial, training):
    """Return what the layer should, step by step, every operation differentiated by TensorFlow."""
    length, batch = inputs.shape[:2]
    h, c = initial if initial is not None else (tf.zeros([batch, layer.units]), tf.zeros([batch, layer.units]))
    dropped = layer.recurrent_dropout.mask([batch, layer.units]) if training else 1.0
    outputs = [None] * length
    for t in reversed(range(length)) if layer.reverse else range(length):
        z = inputs[t] @ layer.kernel.value + layer.bias.value + (h * dropped) @ layer.recurrent.value
        i, f, o, g = tf.split(z, 4, axis=1)
        new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        new_h = tf.sigmoid(o) * tf.tanh(new_c)
        real = tf.ones([batch, 1], tf.bool) if mask is None else mask[t][:, None]
        h, c = tf.where(real, new_h, h), tf.where(real, new_c, c)
        outputs[t] = tf.where(real, new_h, tf.zeros_like(new_h))
    return tf.stack(outputs), (h, c)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("kind", ["plain", "padded", "initial", "dropout", "all"])
@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (6, 5, 7, 8), (13, 3, 4, 16)], ids=str)
def test_outputs_and_gradients_equal_automatic_ones(shape, kind, reverse):
    length, batch, width, units = shape
    if kind == "all" and reverse:
        kind = "padded dropout"  # a backward LSTM has no initial state here: pads would come between
    random = np.random.default_rng(5)
    draw = lambda *size: tf.constant(random.standard_normal(size), tf.float32)  # noqa: E731
    layer = _layer(width, units, 0.4, reverse)
    inputs = tf.Variable(draw(length, batch, width))
    training = "dropout" in kind or kind == "all"
    mask = None
    if "padded" in kind or kind == "all":
        lengths = random.integers(1, length + 1, batch)
        mask = tf.constant(np.arange(length)[:, None] < lengths)
    initial = None
    if kind in ("initial", "all"):
        initial = (tf.Variable(draw(batch, units)), tf.Variable(draw(batch, units)))
    weights = [draw(length, batch, units), draw(batch, units), draw(batch, units)]

    def run(function):
        sources = [inputs, *(weight.value for weight in layer.trainable_variables), *(initial or ())]
        with tf.GradientTape() as tape:
            outputs, (h, c) = function(inputs, mask, initial, training)
            total = sum(tf.reduce_sum(a * b) for a, b in zip(weights, (outputs, h, c), strict=True))
        return [outputs, h, c], tape.gradient(total, sources)

    ours, our_gradients = tf.function(lambda: run(lambda *a: layer(a[0], real=a[1], initial=a[2], training=a[3])))()
    plain, plain_gradients = run(lambda *a: _plain(layer, *a))
    for mine, expected in zip(ours + our_gradients, plain + plain_gradients, strict=True):
        scale = np.abs(expected).max() + 1e-12
        assert np.abs(mine - expected).max() <= 1e-4 * scale
