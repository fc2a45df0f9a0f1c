"""Input feeding: the scan's gradients against TensorFlow's own, through a plain loop over the positions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.lstm import cell
from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq

VOCABULARY, EMBEDDING, UNITS = 11, 6, 8
BOS, EOS = 2, 3
SOURCE = np.array([[4, 5, 6, 7, EOS], [8, 9, EOS, 0, 0], [10, EOS, 0, 0, 0]], np.int32)
TARGET = np.array([[BOS, 5, 4, EOS, 0], [BOS, 9, 8, 7, EOS], [BOS, EOS, 0, 0, 0]], np.int32)


def make(**options):
    model = Seq2Seq(VOCABULARY, EMBEDDING, UNITS, seed=1, input_feeding=True, **options)
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(random.standard_normal(weight.shape) * 0.3)
    return model


def _plain(model, training):
    """Return the loss by a loop over the positions, every operation differentiated by TensorFlow."""
    batch, length = TARGET.shape[0], TARGET.shape[1] - 1
    memory, state = model.encode(tf.constant(SOURCE), training)
    inputs = model.target_dropout(model.target_embedding(TARGET[:, :-1].T), training=training)
    layers = range(len(model.decoder_lstms))
    recurrent = [lstm.recurrent_dropout.mask([batch, UNITS]) if training else 1.0 for lstm in model.decoder_lstms]
    steps = 1 if model.variational_dropout else length
    between = [
        tf.broadcast_to(dropout.mask([steps, batch, UNITS]) if training else 1.0, [length, batch, UNITS])
        for dropout in model.decoder_dropouts
    ]
    last = model.attentional_dropout.mask([length, batch, EMBEDDING]) if training else tf.ones([length, 1, 1])
    fed, total = tf.zeros([batch, EMBEDDING]), 0.0
    for t in range(length):
        below = inputs[t]
        for layer in layers:
            lstm, (h, c) = model.decoder_lstms[layer], state[layer]
            product = below @ lstm.kernel.value + (fed @ model.feed_kernel.value if layer == 0 else 0.0)
            h, c = cell(
                lstm.input_projection(product),
                (h * recurrent[layer]) @ lstm.recurrent.value,
                c,
                lstm.split_cell_weights(lstm.cell_weights())[1],
            )
            state[layer] = (h, c)
            below = h * between[layer][t] if layer < len(layers) - 1 else h
        context, _ = model.attention(below[:, None], memory.keys, memory.states, memory.bias)
        vector = tf.concat([context[:, 0], below], axis=1)
        fed = tf.tanh(vector @ model.attentional_kernel.value) * last[t]
        logits = fed @ tf.transpose(model.output_embedding.table.value) + model.output_bias.value
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(TARGET[:, t + 1], logits)
        total += tf.reduce_sum(tf.where(TARGET[:, t + 1] != 0, losses, 0.0))
    return total


@pytest.mark.parametrize("training", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize("attention", ["additive", "general", "dot"])
@pytest.mark.parametrize(
    "options",
    [{}, {"decoder_layers": 2}, {"decoder_layers": 3, "layer_normalisation": True, "variational_dropout": True}],
    ids=str,
)
def test_gradients_equal_automatic_ones(attention, options, training):
    model = make(attention=attention, **options)
    model.bindings.set({"dropout": 0.3, "recurrent_dropout": 0.3})
    weights = [weight.value for weight in model.trainable_variables]

    @tf.function(autograph=False)
    def loss_and_gradients():
        with tf.GradientTape() as tape:
            loss = model.batch_loss(SOURCE, TARGET, training=training).objective
        return loss, tape.gradient(loss, weights)

    loss, ours = loss_and_gradients()
    with tf.GradientTape() as tape:
        expected = _plain(model, training)
    automatic = tape.gradient(expected, weights)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for weight, mine, right in zip(model.trainable_variables, ours, automatic, strict=True):
        mine, right = np.asarray(tf.convert_to_tensor(mine)), np.asarray(tf.convert_to_tensor(right))
        assert np.abs(mine - right).max() <= 1e-4 * (np.abs(right).max() + 1e-6), weight.path


def test_the_vector_before_makes_a_difference():
    model = make()
    fed = model((SOURCE, TARGET)).numpy()
    model.feed_kernel.assign(tf.zeros_like(model.feed_kernel.value))
    assert not np.allclose(model((SOURCE, TARGET)), fed, atol=1e-3)
    # without it this is the model that computes all positions at once
    other = Seq2Seq(VOCABULARY, EMBEDDING, UNITS, seed=1)
    values = {weight.path: weight for weight in model.trainable_variables}
    for weight in other.trainable_variables:
        weight.assign(values[weight.path])
    assert np.allclose(model((SOURCE, TARGET)), other((SOURCE, TARGET)), atol=1e-5)
