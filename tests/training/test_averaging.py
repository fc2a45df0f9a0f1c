"""Averaged weights: what they are, that they are evaluated, and that they travel with the member."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_pbt.base.errors import StateError
from nmt_pbt.tasks.state import content_hash
from nmt_pbt.tasks.translation.decoding.translation_model import TranslationModel
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask

KINDS = ["exponential", "checkpoints"]


def _settings(averaging: str):
    return load_settings(
        overrides={
            "model.embedding_units": 12,
            "model.units": 16,
            "training.batch_size": 8,
            "training.averaging": averaging,
            "training.averaged_checkpoints": 3,
            "evaluation.batch_size": 16,
        }
    )


@pytest.fixture(scope="module")
def trainables(digits):
    return {kind: TranslationTask(_settings(kind), digits).build({}) for kind in [*KINDS, "none"]}


def _named(state, prefix):
    return {name.removeprefix(prefix): array for name, array in state.arrays.items() if name.startswith(prefix)}


def test_the_moving_average_is_what_it_says(trainables):
    trainable = trainables["exponential"]
    trainable.reset(0)
    trainable.set_hyperparameters({"average_decay": 0.3})
    expected = _named(trainable.state(), "weights/")
    for step in range(1, 6):
        trainable.train(8)
        decay = min(0.3, (1 + step) / (10 + step))
        weights = _named(trainable.state(), "weights/")
        expected = {name: decay * expected[name] + (1 - decay) * weights[name] for name in weights}
    averages = _named(trainable.state(), "average/")
    assert averages.keys() == expected.keys()
    for name, array in averages.items():
        assert np.allclose(array, expected[name], atol=1e-6), name


def test_the_mean_of_checkpoints_is_that_of_the_last_evaluations(trainables):
    trainable = trainables["checkpoints"]
    trainable.reset(0)
    trainable.set_hyperparameters({})
    seen = []
    for _ in range(5):
        trainable.train(8)
        trainable.evaluate()
        trainable.evaluate()  # the same checkpoint
        seen.append(_named(trainable.state(), "weights/"))
    for name, array in _named(trainable.state(), "average/").items():
        assert np.allclose(array, np.mean([weights[name] for weights in seen[-3:]], axis=0), atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_averaging_changes_nothing_about_training(kind, trainables):
    weights = []
    for trainable in (trainables[kind], trainables["none"]):
        trainable.reset(2)
        trainable.set_hyperparameters({})
        for _ in range(2):
            trainable.train(40)
            trainable.evaluate()
        weights.append(_named(trainable.state(), "weights/"))
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_averages_are_what_is_evaluated_and_what_a_saved_model_translates_with(kind, trainables, digits):
    trainable = trainables[kind]
    trainable.reset(1)
    trainable.set_hyperparameters({"average_decay": 0.9, "learning_rate": 0.02})
    for _ in range(3):
        trainable.train(120)
        found = trainable.evaluate().metrics
    state = trainable.state()
    plain = trainables["none"]
    plain.load(state)
    assert plain.evaluate().metrics["val_loss"] != pytest.approx(found["val_loss"], rel=1e-4)
    for name, array in _named(state, "average/").items():
        plain.weights()[f"weights/{name}"].assign(array)
    assert plain.evaluate().metrics == found
    model = TranslationModel(_settings(kind), digits.subwords)
    model.load(state)
    lines = digits.corpus.dev.source[:20]
    assert model.translate(lines) == plain.translate(lines) == trainable.translate(lines)
    assert model.score(lines, lines) == trainable.score(lines, lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_with_averages_moves_bit_for_bit(kind, trainables, digits):
    trainable = trainables[kind]
    trainable.reset(1)
    trainable.set_hyperparameters({"average_decay": 0.9, "dropout": 0.3, "plateau_factor": 0.5})

    def go_on(one):
        for _ in range(4):
            one.train(24)
            one.evaluate()
        return content_hash(one.state())

    go_on(trainable)
    middle = trainable.state()
    uninterrupted = go_on(trainable)
    trainable.reset(9)
    go_on(trainable)
    trainable.load(middle)
    assert content_hash(trainable.state()) == content_hash(middle)
    assert go_on(trainable) == uninterrupted
    another = TranslationTask(_settings(kind), digits).build({})
    another.load(middle)
    assert go_on(another) == uninterrupted


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_without_averages_starts_them_from_its_weights(kind, trainables):
    plain, trainable = trainables["none"], trainables[kind]
    plain.reset(3)
    plain.set_hyperparameters({})
    plain.train(16)
    trainable.load(plain.state())
    state = trainable.state()
    for name, array in _named(state, "average/").items():
        assert np.array_equal(array, state.arrays[f"weights/{name}"])


def test_averages_of_another_shape_are_refused(trainables, digits):
    other = TranslationTask(_settings("exponential"), digits).build({"units": 8})
    with pytest.raises(StateError):
        trainables["exponential"].load(other.state())
