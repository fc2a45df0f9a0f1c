from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.dropout import Dropout, MaskGenerator


def test_rate_0_is_the_exact_identity_in_training_too():
    inputs = tf.constant(np.random.default_rng(0).standard_normal((50, 40)), tf.float32)
    assert np.array_equal(Dropout(MaskGenerator(), 0.0)(inputs, training=True), inputs)


def test_without_training_nothing_is_dropped():
    inputs = tf.ones((50, 40))
    assert np.array_equal(Dropout(MaskGenerator(), 0.9)(inputs), inputs)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate):
    found = Dropout(MaskGenerator(), rate)(tf.ones((500, 400)), training=True).numpy()
    assert abs((found == 0).mean() - rate) < 0.005
    assert abs(found.mean() - 1) < 0.02
    assert np.allclose(found[found > 0], 1 / (1 - rate))


def test_one_trace_serves_all_rates_and_batches():
    generator = MaskGenerator()
    layer = Dropout(generator, 0.0)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
    def run(inputs):
        traces.append(1)
        generator.advance()
        return layer(inputs, training=True)

    for rate, batch in ((0.0, 1000), (0.3, 2000), (0.9, 1500), (0.0, 10)):
        layer.rate.assign(rate)
        assert abs((run(tf.ones((batch, 20))).numpy() == 0).mean() - rate) < 0.02
    assert len(traces) == 1


def test_masks_are_a_function_of_key_and_counter_and_differ_between_layers_and_batches():
    def draw(key, batches):
        generator = MaskGenerator()
        first, second = Dropout(generator, 0.5), Dropout(generator, 0.5)
        generator.restart(key)
        for _ in range(batches):
            generator.advance()
        return [layer.mask(tf.constant([30, 40])).numpy() for layer in (first, second)]

    again = draw(2**63 - 1, 3)
    assert all(np.array_equal(a, b) for a, b in zip(draw(2**63 - 1, 3), again, strict=True))
    masks = [*again, *draw(2**63 - 1, 4), *draw(5, 3)]
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert 0.4 < (mask == other).mean() < 0.6


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.4])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=rf"Received: rate={rate}"):
        Dropout(MaskGenerator(), rate)


@pytest.mark.parametrize(("shared", "one_mask"), [((0,), (1, 30, 40)), ((-1,), (20, 30, 1)), ((), (20, 30, 40))])
def test_one_mask_serves_along_the_shared_axes(shared, one_mask):
    found = Dropout(MaskGenerator(), 0.5, shared)(tf.ones((20, 30, 40)), training=True).numpy()
    own = found[tuple(slice(size) for size in one_mask)]
    assert np.array_equal(found, np.broadcast_to(own, found.shape))
    assert 0.3 < (own == 0).mean() < 0.7
