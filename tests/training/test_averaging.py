"""Averaged weights: what they are, that they are evaluated, and that they travel with the member."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_pbt.errors import StateError
from nmt_pbt.settings import load_settings
from nmt_pbt.training.state import content_hash
from nmt_pbt.training.trainee import TranslationTask
from nmt_pbt.training.translation_model import TranslationModel

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
def trainees(digits):
    return {kind: TranslationTask(_settings(kind), digits).build({}) for kind in [*KINDS, "none"]}


def _named(state, prefix):
    return {name.removeprefix(prefix): array for name, array in state.arrays.items() if name.startswith(prefix)}


def test_the_moving_average_is_what_it_says(trainees):
    trainee = trainees["exponential"]
    trainee.reset(0)
    trainee.apply({"average_decay": 0.3})
    expected = _named(trainee.state(), "weights/")
    for step in range(1, 6):
        trainee.train(8)
        decay = min(0.3, (1 + step) / (10 + step))
        weights = _named(trainee.state(), "weights/")
        expected = {name: decay * expected[name] + (1 - decay) * weights[name] for name in weights}
    averages = _named(trainee.state(), "average/")
    assert averages.keys() == expected.keys()
    for name, array in averages.items():
        assert np.allclose(array, expected[name], atol=1e-6), name


def test_the_mean_of_checkpoints_is_that_of_the_last_evaluations(trainees):
    trainee = trainees["checkpoints"]
    trainee.reset(0)
    trainee.apply({})
    seen = []
    for _ in range(5):
        trainee.train(8)
        trainee.evaluate()
        trainee.evaluate()  # the same checkpoint
        seen.append(_named(trainee.state(), "weights/"))
    for name, array in _named(trainee.state(), "average/").items():
        assert np.allclose(array, np.mean([weights[name] for weights in seen[-3:]], axis=0), atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_averaging_changes_nothing_about_training(kind, trainees):
    weights = []
    for trainee in (trainees[kind], trainees["none"]):
        trainee.reset(2)
        trainee.apply({})
        for _ in range(2):
            trainee.train(40)
            trainee.evaluate()
        weights.append(_named(trainee.state(), "weights/"))
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_averages_are_what_is_evaluated_and_what_a_saved_model_translates_with(kind, trainees, digits):
    trainee = trainees[kind]
    trainee.reset(1)
    trainee.apply({"average_decay": 0.9, "learning_rate": 0.02})
    for _ in range(3):
        trainee.train(120)
        found = trainee.evaluate().metrics
    state = trainee.state()
    plain = trainees["none"]
    plain.load(state)
    assert plain.evaluate().metrics["val_loss"] != pytest.approx(found["val_loss"], rel=1e-4)
    for name, array in _named(state, "average/").items():
        plain.weights()[f"weights/{name}"].assign(array)
    assert plain.evaluate().metrics == found
    model = TranslationModel(_settings(kind), digits.subwords)
    model.load(state)
    lines = digits.corpus.dev.source[:20]
    assert model.translate(lines) == plain.translate(lines) == trainee.translate(lines)
    assert model.score(lines, lines) == trainee.score(lines, lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_with_averages_moves_bit_for_bit(kind, trainees, digits):
    trainee = trainees[kind]
    trainee.reset(1)
    trainee.apply({"average_decay": 0.9, "dropout": 0.3, "plateau_factor": 0.5})

    def go_on(one):
        for _ in range(4):
            one.train(24)
            one.evaluate()
        return content_hash(one.state())

    go_on(trainee)
    middle = trainee.state()
    uninterrupted = go_on(trainee)
    trainee.reset(9)
    go_on(trainee)
    trainee.load(middle)
    assert content_hash(trainee.state()) == content_hash(middle)
    assert go_on(trainee) == uninterrupted
    another = TranslationTask(_settings(kind), digits).build({})
    another.load(middle)
    assert go_on(another) == uninterrupted


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_without_averages_starts_them_from_its_weights(kind, trainees):
    plain, trainee = trainees["none"], trainees[kind]
    plain.reset(3)
    plain.apply({})
    plain.train(16)
    trainee.load(plain.state())
    state = trainee.state()
    for name, array in _named(state, "average/").items():
        assert np.array_equal(array, state.arrays[f"weights/{name}"])


def test_averages_of_another_shape_are_refused(trainees, digits):
    other = TranslationTask(_settings("exponential"), digits).build({"units": 8})
    with pytest.raises(StateError):
        trainees["exponential"].load(other.state())
