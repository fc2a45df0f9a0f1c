"""The hand-written gradient of the recurrence against TensorFlow's own, through a plain loop over the steps."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.dropout import Dropout, MaskGenerator
from nmt_pbt.tasks.translation.model.initial import initial_weights
from nmt_pbt.tasks.translation.model.lstm import LSTM


def _layer(width: int, units: int, rate: float, reverse: bool, layer_normalisation: bool) -> LSTM:
    generator = MaskGenerator()
    generator.restart(17)
    layer = LSTM(units, Dropout(generator, rate), reverse, layer_normalisation, name="lstm")
    layer.build(width)
    random = np.random.default_rng(4)
    for weight in layer.trainable_variables:
        fresh = initial_weights(weight.path, tuple(weight.shape), 3)
        # gains and biases that are all the same would not tell one place from another
        weight.assign(fresh + 0.3 * random.standard_normal(fresh.shape) * (fresh.ndim == 1))
    return layer


def _normal(tensor, gain):
    mean, variance = tf.nn.moments(tensor, axes=[-1], keepdims=True)
    return (tensor - mean) / tf.sqrt(variance + 1e-5) * gain


def _plain(layer: LSTM, inputs, mask, initial, training):
    """Return what the layer should, step by step, every operation differentiated by TensorFlow."""
    length, batch = inputs.shape[:2]
    h, c = initial if initial is not None else (tf.zeros([batch, layer.units]), tf.zeros([batch, layer.units]))
    dropped = layer.recurrent_dropout.mask([batch, layer.units]) if training else 1.0
    outputs = [None] * length
    for t in reversed(range(length)) if layer.reverse else range(length):
        entered, returned = inputs[t] @ layer.kernel.value, (h * dropped) @ layer.recurrent.value
        shown = tf.identity
        if layer.layer_normalisation:  # Ba et al. 2016, equations 20 to 22
            _, input_gain, recurrent_gain, cell_gain, cell_bias = layer.cell_weights()
            entered, returned = _normal(entered, input_gain), _normal(returned, recurrent_gain)
            shown = lambda cell, gain=cell_gain, bias=cell_bias: _normal(cell, gain) + bias  # noqa: E731
        z = entered + layer.bias.value + returned
        i, f, o, g = tf.split(z, 4, axis=1)
        new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        new_h = tf.sigmoid(o) * tf.tanh(shown(new_c))
        real = tf.ones([batch, 1], tf.bool) if mask is None else mask[t][:, None]
        h, c = tf.where(real, new_h, h), tf.where(real, new_c, c)
        outputs[t] = tf.where(real, new_h, tf.zeros_like(new_h))
    return tf.stack(outputs), (h, c)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("kind", ["plain", "padded", "initial", "dropout", "all"])
@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (6, 5, 7, 8), (13, 3, 4, 16)], ids=str)
def test_outputs_and_gradients_equal_automatic_ones(shape, kind, reverse):
    _compare(shape, kind, reverse, layer_normalisation=False)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("kind", ["plain", "all"])
@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (7, 5, 4, 8)], ids=str)
def test_those_of_a_layer_normalised_one_do_too(shape, kind, reverse):
    _compare(shape, kind, reverse, layer_normalisation=True)


def _compare(shape, kind, reverse, layer_normalisation):
    length, batch, width, units = shape
    if kind == "all" and reverse:
        kind = "padded dropout"  # a backward LSTM has no initial state here: pads would come between
    random = np.random.default_rng(5)
    draw = lambda *size: tf.constant(random.standard_normal(size), tf.float32)  # noqa: E731
    layer = _layer(width, units, 0.4, reverse, layer_normalisation)
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

    def as_graph():
        return run(lambda *a: layer(a[0], mask=a[1], initial=a[2], training=a[3]))

    ours, our_gradients = tf.function(as_graph, autograph=False)()
    plain, plain_gradients = run(lambda *a: _plain(layer, *a))
    for mine, expected in zip(ours + our_gradients, plain + plain_gradients, strict=True):
        scale = np.abs(expected).max() + 1e-12
        assert np.abs(mine - expected).max() <= 1e-4 * scale
