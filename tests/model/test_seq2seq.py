from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.tasks.translation.model.decoding import BeamSampler
from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq

VOCABULARY, EMBEDDING, UNITS = 11, 6, 8
BOS, EOS = 2, 3
SOURCE = np.array([[4, 5, 6, 7, EOS], [8, 9, EOS, 0, 0], [10, EOS, 0, 0, 0]], np.int32)
TARGET = np.array([[BOS, 5, 4, EOS, 0], [BOS, 9, 8, 7, EOS], [BOS, EOS, 0, 0, 0]], np.int32)


def make(**options):
    model = Seq2Seq(VOCABULARY, EMBEDDING, UNITS, **{"seed": 1, **options})
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:  # fresh weights differ too little for a difference to show
        weight.assign_add(random.standard_normal(weight.shape) * 0.3)
    return model


def score(model, source, target):
    """Log-probabilities of targets, read whole: `[B]`."""
    logarithms, wanted = model((source, target)).numpy(), target[:, 1:]
    return (np.take_along_axis(logarithms, wanted[:, :, None], axis=2)[:, :, 0] * (wanted != 0)).sum(axis=1)


VARIANTS = [
    {},
    {"attention": "additive", "tie_embeddings": "output"},
    {"attention": "dot", "tie_embeddings": "none", "encoder_layers": 2, "decoder_layers": 3},
    {"encoder_layers": 3, "decoder_layers": 2},
    {"variational_dropout": True},
    {"layer_normalisation": True},
    {"input_feeding": True},
    {"input_feeding": True, "attention": "additive", "decoder_layers": 2, "variational_dropout": True},
    {"input_feeding": True, "attention": "dot", "decoder_layers": 3, "layer_normalisation": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_loss_is_the_likelihood_of_the_real_positions(options):
    model = make(**options)
    logarithms = model((SOURCE, TARGET)).numpy()
    assert logarithms.shape == (3, 4, VOCABULARY)
    assert np.allclose(np.exp(logarithms).sum(axis=2), 1, atol=1e-5)
    wanted = TARGET[:, 1:]
    gained = np.take_along_axis(logarithms, wanted[:, :, None], axis=2)[:, :, 0] * (wanted != 0)
    loss = model.batch_loss(SOURCE, TARGET)
    assert loss.tokens == 8
    assert float(loss.likelihood) == pytest.approx(-gained.sum(), rel=1e-5)
    assert float(loss.objective) == pytest.approx(-gained.sum(), rel=1e-5)
    smoothed = model.batch_loss(SOURCE, TARGET, 0.2)
    assert smoothed.likelihood == loss.likelihood
    spread = -(logarithms.mean(axis=2) * (wanted != 0)).sum()
    assert float(smoothed.objective) == pytest.approx(0.8 * -gained.sum() + 0.2 * spread, rel=1e-5)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_stepping_gives_what_reading_the_whole_target_gives(options):
    model = make(**options)
    logarithms = model((SOURCE, TARGET)).numpy()
    cache, memory = model.start(SOURCE)
    for position in range(TARGET.shape[1] - 1):
        found, weights, cache = model.step(tf.constant(TARGET[:, position : position + 1]), cache, memory)
        assert np.allclose(found[:, 0], logarithms[:, position], atol=1e-5)
        assert np.allclose(tf.reduce_sum(weights, axis=2), 1, atol=1e-5)
        assert not np.any(weights.numpy()[:, 0][SOURCE == 0])


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_weight_gets_a_gradient_in_training(options):
    model = make(**options)
    model.bindings.set({"dropout": 0.3, "recurrent_dropout": 0.2})
    with tf.GradientTape() as tape:
        loss = model.batch_loss(SOURCE, TARGET, 0.1, training=True).objective
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.any(tf.convert_to_tensor(gradient)), weight.path


def test_gradients_of_the_whole_model_point_where_the_loss_falls():
    model = make(encoder_layers=2, decoder_layers=2)
    values = [weight.value for weight in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = model.batch_loss(SOURCE, TARGET, 0.1).objective
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, values)]
    loss = tf.function(lambda: model.batch_loss(SOURCE, TARGET, 0.1).objective, autograph=False)
    random = np.random.default_rng(8)
    for weight, gradient in zip(values, gradients, strict=True):
        direction = random.standard_normal(weight.shape).astype(np.float32)
        slope = float(np.sum(gradient * direction))
        start, step = weight.numpy(), 2e-3
        ends = []
        for sign in (1, -1):
            weight.assign(start + sign * step * direction)
            ends.append(float(loss()))
        weight.assign(start)
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=0.02, abs=0.02)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_padding_and_order_of_the_batch_change_nothing(options):
    model = make(**options)
    together = score(model, SOURCE, TARGET)
    wider = score(model, np.pad(SOURCE, ((0, 0), (0, 4))), np.pad(TARGET, ((0, 0), (0, 3))))
    backwards = score(model, SOURCE[::-1], TARGET[::-1])[::-1]
    alone = [score(model, SOURCE[1:2, :3], TARGET[1:2])[0], score(model, SOURCE[2:, :2], TARGET[2:, :2])[0]]
    assert np.allclose(wider, together, atol=1e-5)
    assert np.allclose(backwards, together, atol=1e-5)
    assert np.allclose(alone, together[1:], atol=1e-5)


def test_a_beam_s_log_probability_is_the_score_of_its_translation():
    model = make()
    cache, memory = model.start(SOURCE)
    found = BeamSampler(4, BOS, EOS, n_best=4)(model.step, cache, memory, tf.constant(3), tf.constant([7, 7, 7]))
    for k in range(4):
        for row in range(3):
            tokens = found.tokens[row, k, : found.lengths[row, k]].numpy()
            if tokens[-1] != EOS or 0 in tokens:
                continue  # cut off by the limit, or it says the pad: not what `score` reads
            scored = score(model, SOURCE[row : row + 1], np.concatenate([[BOS], tokens])[None].astype(np.int32))
            assert float(found.log_probabilities[row, k]) == pytest.approx(float(scored[0]), abs=1e-5)


@pytest.mark.parametrize(("tie", "tables"), [("all", 1), ("output", 2), ("none", 3)])
def test_tied_embeddings_are_one_weight(tie, tables):
    model = make(tie_embeddings=tie)
    assert sum(tuple(weight.shape) == (VOCABULARY, EMBEDDING) for weight in model.trainable_variables) == tables


def test_names_of_weights_are_distinct_and_those_of_any_other_model():
    first, second = (make(encoder_layers=2, decoder_layers=2, tie_embeddings="none") for _ in range(2))
    names = [weight.path for weight in first.trainable_variables]
    assert len(set(names)) == len(names)
    assert names == [weight.path for weight in second.trainable_variables]


def test_reset_draws_by_the_seed_alone():
    model, other = make(seed=3), Seq2Seq(VOCABULARY, EMBEDDING, UNITS, seed=5)
    model.reset(5)
    for weight, same in zip(model.trainable_variables, other.trainable_variables, strict=True):
        assert np.array_equal(weight, same)
    model.reset(6)
    assert not np.array_equal(model.trainable_variables[-1], other.trainable_variables[-1])


def test_dropout_acts_in_training_only_and_at_every_place():
    model = make(encoder_layers=2, decoder_layers=2)
    evaluated = tf.function(lambda: model.batch_loss(SOURCE, TARGET).likelihood, autograph=False)
    trained = tf.function(lambda: model.batch_loss(SOURCE, TARGET, training=True).likelihood, autograph=False)
    plain = float(evaluated())
    assert float(trained()) == pytest.approx(plain, rel=1e-6)
    names = ("dropout", "recurrent_dropout", "word_dropout")
    rates = [rate for name in names for rate in model.bindings.holders(name)]
    assert len(rates) == 3 + 2 + 1 + 2 * 2 + 2 + 2
    for rate in rates:
        rate.assign(0.5)
        assert float(evaluated()) == plain
        assert float(trained()) != pytest.approx(plain, rel=1e-4)
        rate.assign(0.0)


@pytest.mark.parametrize("dropped", ["dropout", "recurrent_dropout", "word_dropout"])
@pytest.mark.parametrize("options", [{}, {"variational_dropout": True}, {"input_feeding": True}], ids=str)
def test_consistency_compares_two_passes_under_different_masks(options, dropped):
    model = make(**options)
    weight = tf.Variable(0.0)

    @tf.function(autograph=False)
    def passed():
        return model.batch_loss(SOURCE, TARGET, training=True, consistency=tf.convert_to_tensor(weight))

    once = passed()
    weight.assign(5.0)
    twice = passed()  # without dropout both passes are the same
    assert [float(each) for each in twice] == pytest.approx([2 * float(each) for each in once], rel=1e-6)
    for rate in model.bindings.holders(dropped):
        rate.assign(0.5)
    apart = passed()
    assert float(apart.objective) > float(apart.likelihood) * (1 + 1e-4)
    weight.assign(0.0)
    dropped = passed()
    assert float(dropped.objective) == float(dropped.likelihood)
    assert float(dropped.tokens) == float(once.tokens) == float(apart.tokens) / 2


def test_a_fresh_weight_s_scale_fits_its_kind():
    model = Seq2Seq(50, 32, 24, seed=0)
    weights = {weight.path: weight.numpy() for weight in model.trainable_variables}
    table = weights["target_embedding/table"]
    assert table.std() == pytest.approx(3 * 32**-0.5, rel=0.05)
    bias = weights["decoder_lstm_0/bias"]
    assert np.array_equal(bias, np.repeat([0, 1, 0, 0], 24))
    for gate in np.split(weights["decoder_lstm_0/recurrent"], 4, axis=1):
        assert np.allclose(gate @ gate.T, np.eye(24), atol=1e-5)
