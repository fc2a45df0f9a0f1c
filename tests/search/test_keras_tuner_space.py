from __future__ import annotations

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.search.oracles.keras_tuner_space import from_hyperparameters, to_hyperparameters
from nmt_pbt.space.domains import Choice, Condition, Constant, Integer, Real
from nmt_pbt.space.space import Space


def every_type() -> keras_tuner.HyperParameters:
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("dropout", 0.0, 0.5, step=0.1)
    hyperparameters.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    hyperparameters.Float("momentum", 0.1, 1.0, sampling="reverse_log")
    hyperparameters.Int("layers", 1, 4)
    hyperparameters.Int("batch_size", 8, 64, step=2, sampling="log")
    hyperparameters.Int("units", 1, 10, sampling="log")
    hyperparameters.Boolean("bias")
    hyperparameters.Fixed("seed", 7)
    hyperparameters.Choice("kind", ["flat", "deep"])
    with hyperparameters.conditional_scope("kind", ["deep"]):
        hyperparameters.Int("depth", 2, 5)
    return hyperparameters


def test_every_type_of_keras_tuner_becomes_a_domain() -> None:
    space = from_hyperparameters(every_type(), structural=["layers"], frozen=["momentum"])
    assert space.domains == (
        Real("dropout", 0.0, 0.5, "linear", 0.1),
        Real("learning_rate", 1e-4, 1e-1, "log"),
        Real("momentum", 0.1, 1.0, "reverse_log"),
        Integer("layers", 1, 4),
        Integer("batch_size", 8, 64, "log", 2),
        Integer("units", 1, 10, "log"),
        Choice("bias", (False, True), False),
        Constant("seed", 7),
        Choice("kind", ("flat", "deep"), False),
        Integer("depth", 2, 5, conditions=(Condition("kind", ("deep",)),)),
    )
    assert (space.structural, space.frozen) == ({"layers"}, {"momentum"})


def test_there_and_back_keeps_a_space_but_for_real_grids_which_become_choices() -> None:
    space = from_hyperparameters(every_type())
    back = from_hyperparameters(to_hyperparameters(space))
    assert back.domains[1:] == space.domains[1:]
    assert back.domains[0] == Choice("dropout", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), True)


def test_a_real_grid_keeps_its_last_value_which_keras_tuner_drops() -> None:
    dropped = every_type().space[0]
    assert 0.5 not in [round(value, 9) for value in dropped.values]
    kept = to_hyperparameters(from_hyperparameters(every_type())).space[0]
    assert 0.5 in kept.values


@given(st.floats(0.0, 1.0))
def test_what_keras_tuner_draws_is_of_the_space_once_clipped(prob: float) -> None:
    space = from_hyperparameters(every_type())
    for domain, hyperparameter in zip(space.domains, to_hyperparameters(space).space, strict=True):
        if domain.name in ("seed", "bias", "kind"):
            continue
        value = hyperparameter.prob_to_value(prob)
        assert domain.contains(domain.clip(value))


@pytest.mark.parametrize("values", [(True, False), ("a", "b"), (1, 2, 3), (0.5, 1.5), (4,), (True,)])
def test_choices_keep_their_type(values: tuple[object, ...]) -> None:
    hyperparameters = to_hyperparameters(Space((Choice("x", values),)))  # type: ignore[arg-type]
    drawn = {hyperparameters.space[0].random_sample(seed) for seed in range(30)}
    assert drawn == set(values)
    assert {type(value) for value in drawn} == {type(values[0])}
