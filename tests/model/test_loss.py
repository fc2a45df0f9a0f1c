from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.loss import smoothed_cross_entropy


def drawn(positions=30, vocabulary=17, width=8, scale=1.0):
    random = np.random.default_rng(2)
    vectors, table, bias = (
        tf.Variable(random.standard_normal(shape) * scale, dtype=tf.float32)
        for shape in ((positions, width), (vocabulary, width), (vocabulary,))
    )
    return (vectors, table, bias), tf.constant(random.integers(0, vocabulary, positions), tf.int32)


def plain(vectors, table, bias, targets, smoothing):
    logarithms = tf.nn.log_softmax(tf.matmul(vectors, table, transpose_b=True) + bias)
    wanted = tf.one_hot(targets, table.shape[0]) * (1 - smoothing) + smoothing / table.shape[0]
    likelihood = -tf.reduce_sum(tf.gather(logarithms, targets, batch_dims=1))
    return -tf.reduce_sum(wanted * logarithms), likelihood


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_values_and_gradients_equal_those_of_the_definition(smoothing):
    variables, targets = drawn()
    found = []
    for function in (smoothed_cross_entropy, plain):
        with tf.GradientTape() as tape:
            objective, likelihood = function(*variables, targets, smoothing)
            scaled = objective * 0.37
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(scaled, variables)]
        found.append([objective, likelihood, *gradients])
    for mine, theirs in zip(*found, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


def plain_with_consistency(vectors, table, bias, targets, smoothing, consistency):
    """R-Drop as its paper defines it, times the rows of both passes and divided by two; see the docstring of ours."""
    first, second = tf.split(tf.nn.log_softmax(tf.matmul(vectors, table, transpose_b=True) + bias), 2)
    divergences = [tf.reduce_sum(tf.exp(p) * (p - q)) for p, q in ((first, second), (second, first))]
    objective, likelihood = plain(vectors, table, bias, targets, smoothing)
    return objective + consistency / 2 * sum(divergences), likelihood


@pytest.mark.parametrize("consistency", [0.0, 0.7, 5.0])
def test_with_consistency_two_passes_are_drawn_together(consistency):
    variables, targets = drawn()
    targets = tf.tile(targets[:15], [2])
    weight = tf.constant(consistency)
    found = []
    for function in (smoothed_cross_entropy, plain_with_consistency):
        with tf.GradientTape() as tape:
            objective, likelihood = function(*variables, targets, 0.1, weight)
            scaled = objective * 0.37
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(scaled, variables)]
        found.append([objective, likelihood, *gradients])
    for mine, theirs in zip(*found, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_without_consistency_nothing_has_to_be_paired():
    variables, targets = drawn(positions=31)
    with_none, with_zero = (
        smoothed_cross_entropy(*variables, targets, 0.1, *more) for more in ((), (tf.constant(0.0),))
    )
    assert float(with_none[0]) == float(with_zero[0])


def test_a_very_improbable_target_has_a_finite_loss():
    variables, _ = drawn(scale=8.0)
    worst = tf.argmin(
        tf.matmul(variables[0], variables[1], transpose_b=True) + variables[2], axis=1, output_type=tf.int32
    )
    expected = plain(*variables, worst, 0.0)[1]
    assert expected > 30 * 100  # beyond what a float32 probability can tell: e^-100 is 0
    assert float(smoothed_cross_entropy(*variables, worst, 0.0)[1]) == pytest.approx(float(expected), rel=1e-5)


def test_not_a_number_goes_through():
    variables, targets = drawn()
    variables[2].assign_add(tf.fill([17], np.nan))
    assert np.isnan(smoothed_cross_entropy(*variables, targets, 0.1)[1])
