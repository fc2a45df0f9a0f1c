from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.attention import Attention, pad_bias

BATCH, SOURCE, TARGET, UNITS = 3, 5, 4, 6


@pytest.fixture
def tensors():
    random = np.random.default_rng(3)
    query = random.standard_normal((BATCH, TARGET, UNITS)).astype(np.float32)
    memory = random.standard_normal((BATCH, SOURCE, 2 * UNITS)).astype(np.float32)
    mask = np.arange(SOURCE) < np.array([[5], [1], [3]])
    return query, memory, mask


def make(kind):
    random = np.random.default_rng(4)
    layer = Attention(kind, UNITS)
    layer.build(2 * UNITS)
    for weight in layer.trainable_variables:
        weight.assign(random.standard_normal(weight.shape))
    return layer


def expected_score(layer, query, memory):
    if layer.kind == "dot":
        return query @ (memory[:UNITS] + memory[UNITS:])
    if layer.kind == "general":
        return query @ (memory @ layer.memory_kernel.numpy())
    mixed = np.tanh(query @ layer.query_kernel.numpy() + memory @ layer.memory_kernel.numpy())
    return (mixed @ layer.scale.numpy())[0]


@pytest.mark.parametrize("kind", ["additive", "general", "dot"])
def test_contexts_are_the_definition_s_and_pads_have_no_weight(kind, tensors):
    query, memory, mask = tensors
    layer = make(kind)
    contexts, weights = layer(query, layer.keys(tf.constant(memory)), tf.constant(memory), pad_bias(tf.constant(mask)))
    for b in range(BATCH):
        for t in range(TARGET):
            real = int(mask[b].sum())
            scores = np.array([expected_score(layer, query[b, t], memory[b, s]) for s in range(real)])
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            assert np.allclose(weights[b, t, :real], shares, atol=1e-5)
            assert not np.any(weights[b, t, real:])
            assert np.allclose(contexts[b, t], shares @ memory[b, :real], atol=1e-5)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="Received: kind='fancy'"):
        Attention("fancy", 4)
    with pytest.raises(ValueError, match=r"Expected memory of width 8 for 'dot'\. Received: 6"):
        Attention("dot", 4).build(6)
