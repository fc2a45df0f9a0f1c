"""The state of any Keras model: taken, put into another model, and gone on from, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from nmt_pbt.base.errors import HandoverError
from nmt_pbt.tasks.keras.model_state import (
    ShapeError,
    build_optimizer,
    capture,
    is_finite,
    learning_rates,
    load,
    reseed,
    state_variables,
)
from nmt_pbt.tasks.keras.models import shapes_of
from nmt_pbt.tasks.state import StateStore, content_hash
from tests.keras.keras_models import data

X, Y = data(0, 32)
KERAS = [
    "SGD",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Lion",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Adafactor",
    "Lamb",
]
OPTIMIZERS: dict[str, Callable[[float], Any]] = {name: getattr(keras.optimizers, name) for name in [*KERAS, "Muon"]}
OPTIMIZERS["momentum"] = lambda rate: keras.optimizers.SGD(rate, momentum=0.9)
OPTIMIZERS["averaging"] = lambda rate: keras.optimizers.Adam(rate, use_ema=True)
OPTIMIZERS["accumulating"] = lambda rate: keras.optimizers.Adam(rate, gradient_accumulation_steps=2)
OPTIMIZERS["scaling"] = lambda rate: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(rate))


def model(optimizer: Any, dtype: str = "float32", seed: int = 0, units: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = keras.layers.BatchNormalization(dtype=dtype)(keras.layers.Dense(units, dtype=dtype)(inputs))
    made = keras.Model(inputs, keras.layers.Dense(1, dtype=dtype)(keras.layers.Dropout(0.5, dtype=dtype)(hidden)))
    made.compile(optimizer, "mse", run_eagerly=True)
    return made


def numbers(made: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in state_variables(made).values()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_from_a_state_as_if_it_had_not_been_interrupted(name: str) -> None:
    donor = model(OPTIMIZERS[name](0.01))
    for _ in range(3):
        donor.train_on_batch(X, Y)
    child = model(OPTIMIZERS[name](0.01), seed=1)
    load(child, capture(donor, 3))
    for made in (donor, child):
        reseed(made, 7)
        made.train_on_batch(X, Y)
    assert int(child.optimizer.iterations) == int(donor.optimizer.iterations)
    for one, other in zip(numbers(donor), numbers(child), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_learning_rate_stays_the_models_own() -> None:
    donor, child = model(keras.optimizers.Adam(0.5)), model(keras.optimizers.Adam(0.01))
    donor.train_on_batch(X, Y)
    load(child, capture(donor, 1))
    assert {name: float(rate) for name, rate in learning_rates(child).items()} == {"optimizer": pytest.approx(0.01)}
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    follows = model(keras.optimizers.Adam(schedule))
    assert learning_rates(follows) == {}
    load(follows, capture(donor, 1))
    assert float(follows.optimizer.learning_rate) == pytest.approx(0.1 * 0.5**0.5)  # where one step has led


def test_keys_do_not_depend_on_the_names_that_keras_counts_up() -> None:
    first, second = model("adam"), model("adam")
    for made in (first, second):
        build_optimizer(made)
    assert [variable.path for variable in first.variables] != [variable.path for variable in second.variables]
    assert list(state_variables(first)) == list(state_variables(second))
    assert not any("seed_generator" in key for key in state_variables(first))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_float16"])
def test_other_types_of_numbers_go_to_the_disk_and_back(tmp_path: Any, dtype: str) -> None:
    donor, child = model("sgd", dtype), model("sgd", dtype, seed=1)
    state = capture(donor, 2)
    load(child, StateStore(tmp_path).load("state", StateStore(tmp_path).save("state", state)))
    for one, other in zip(numbers(donor), numbers(child), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_number_that_is_not_finite_is_found(dtype: str) -> None:
    made = model("adam", dtype)
    assert is_finite(made)
    made.layers[-1].bias.assign([np.inf])
    assert not is_finite(made)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (lambda: model("adam", units=5), r"kernel is \(4, 5\) instead of \(4, 3\) and \d+ more"),
        (lambda: model("adam", "bfloat16"), "kernel is uint16 instead of float32"),
        (lambda: model("adamax"), r"is new and \d+ more"),
        (lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), r"instead of \(4, 3\)"),
    ],
)
def test_a_state_of_another_structure_is_refused_and_nothing_is_changed(
    other: Callable[[], keras.Model], difference: str
) -> None:
    donor, child = model("adam", seed=1), other()
    donor.train_on_batch(X, Y)
    before = [weight.copy() for weight in child.get_weights()]
    with pytest.raises(ShapeError, match=difference):
        load(child, capture(donor, 1))
    for one, same in zip(before, child.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_variable_that_does_not_hold_what_it_was_given_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    donor, child = model("adam"), model("adam", seed=1)
    kernel = child.layers[1].kernel
    assign = type(kernel).assign
    monkeypatch.setattr(
        type(kernel), "assign", lambda self, value: assign(self, value * 0.5 if self is kernel else value)
    )
    with pytest.raises(HandoverError, match=r"kernel is not what was loaded into it"):
        load(child, capture(donor, 0))


def test_a_state_is_a_copy_and_its_hash_tells_any_difference() -> None:
    made = model("adam")
    state = capture(made, 1)
    before = content_hash(state)
    made.train_on_batch(X, Y)
    assert content_hash(state) == before
    assert content_hash(capture(made, 1)) != before
    assert content_hash(capture(made, 2)) != content_hash(capture(made, 1))


def test_generators_start_afresh_from_a_seed_each_with_a_stream_of_its_own() -> None:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])
    states = [layer.seed_generator.state for layer in made.layers]
    reseed(made, 2**40 + 5)
    first = [state.numpy().tolist() for state in states]
    assert first == [[5, 0], [5, 1]]
    made(X, training=True)
    reseed(made, 2**40 + 5)
    assert [state.numpy().tolist() for state in states] == first


@pytest.mark.parametrize("shape", [[None], None])
def test_a_variable_declared_without_a_length_takes_what_it_had(shape: Any) -> None:
    tf = pytest.importorskip("tensorflow")

    def holding(values: list[float]) -> keras.Model:
        made = model("sgd")
        made.seen = tf.Variable(values, shape=tf.TensorShape(shape))
        return made

    donor, child = holding([1.0, 2.0]), holding([3.0, 4.0, 5.0])
    load(child, capture(donor, 1))
    assert list(child.seen.numpy()) == [1.0, 2.0]
    assert shapes_of(donor) == shapes_of(child)
    with pytest.raises(ShapeError, match="is new"):
        load(child, capture(model("sgd"), 1))
