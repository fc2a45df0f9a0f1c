"""The largest values are found as TensorFlow finds them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.loops import top_k


@pytest.mark.parametrize("width", [12, 2560, 4000, 5 * 3001, 7919])
@pytest.mark.parametrize("kinds", [3, 50, 10**9], ids="{} different values".format)
def test_they_are_those_of_top_k_also_where_many_are_equal(width, kinds):
    random = np.random.default_rng(width)
    values = tf.constant(-random.integers(0, kinds, (9, width)), tf.float32)
    for count in (1, 2, 10):
        wanted = tf.math.top_k(values, k=count)
        found = tf.function(top_k, autograph=False)(values, count)
        assert np.array_equal(found[0], wanted.values)
        assert np.array_equal(found[1], wanted.indices)


def test_rows_of_unknown_width_are_searched_too():
    search = tf.function(lambda row: top_k(row, 2), input_signature=[tf.TensorSpec([None, None])], autograph=False)
    found, places = search(tf.constant([[1.0, 3.0, 2.0]]))
    assert found.numpy().tolist() == [[3.0, 2.0]]
    assert places.numpy().tolist() == [[1, 2]]
