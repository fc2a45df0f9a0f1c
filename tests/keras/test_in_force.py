"""Which variables of a model keep which hyperparameters, found from their values alone."""

from __future__ import annotations

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.keras.in_force import InForce, Scalars, check_not_changed, check_not_overwritten


def held(**numbers: float) -> Scalars:
    return {key: (f"model/{key}", number) for key, number in numbers.items()}


def test_a_variable_that_followed_a_hyperparameter_through_two_models_has_to_follow_it_on() -> None:
    found = InForce()
    found.learn(held(a=0.1, b=5.0), {"dropout": 0.1, "units": 5})
    found.check(held(a=0.9, b=5.0), {"dropout": 0.2, "units": 5})  # one model may be chance
    found.learn(held(a=0.3, b=5.0), {"dropout": 0.3, "units": 5})
    found.check(held(a=0.4, b=7.0), {"dropout": 0.4, "units": 9})
    with pytest.raises(UsageError, match=r"leaves dropout at 0.3 in the variable model/a, where .* value is 0.4"):
        found.check(held(a=0.3, b=5.0), {"dropout": 0.4, "units": 5})


def test_a_variable_that_once_had_another_value_keeps_no_hyperparameter() -> None:
    found = InForce()
    for a, dropout in [(0.1, 0.1), (0.2, 0.2), (0.2, 0.3)]:
        found.learn(held(a=a), {"dropout": dropout})
    found.check(held(a=0.2), {"dropout": 0.5})


def test_of_two_hyperparameters_with_the_same_values_neither_is_blamed() -> None:
    found = InForce()
    for value in (0.1, 0.2):
        found.learn(held(a=value), {"first": value, "second": value})
    found.check(held(a=0.1), {"first": 0.1, "second": 0.2})


def test_a_hyperparameter_that_is_not_active_is_not_missed() -> None:
    found = InForce()
    for value in (0.1, 0.2):
        found.learn(held(a=value), {"dropout": value})
    found.check(held(a=0.2), {"kind": "flat", "on": True})


def test_a_number_of_32_bits_is_the_number_it_was_made_of() -> None:
    found = InForce()
    for value in (0.1, 0.2):
        found.learn(held(a=0.1 + 3e-9 if value == 0.1 else value), {"dropout": value})
    found.check(held(a=0.30000001), {"dropout": 0.3})


def test_what_the_donors_value_overwrote_is_named() -> None:
    fresh, loaded = held(a=0.1, b=1.0), held(a=0.4, b=1.0)
    with pytest.raises(
        UsageError, match=r"^dropout is kept in the model's variable model/a: 0.1 was overwritten by 0.4"
    ):
        check_not_overwritten(fresh, loaded, donor={"dropout": 0.4}, child={"dropout": 0.1})
    check_not_overwritten(fresh, held(a=0.1, b=1.0), donor={"dropout": 0.4}, child={"dropout": 0.1})
    check_not_overwritten(fresh, loaded, donor={"dropout": 0.4, "kind": "x"}, child={"kind": "y"})


def test_a_variable_that_a_model_does_not_have_is_not_missed() -> None:
    found = InForce()
    for value in (0.1, 0.2):
        found.learn(held(rate=value), {"learning_rate": value})
    found.check({}, {"learning_rate": 0.3})


def check_changed(
    own: Scalars, loaded: Scalars, donor: dict[str, float], child: dict[str, float], **begun: float
) -> None:
    check_not_changed(own, loaded, donor, child, lambda: held(**begun))


def test_what_training_changed_is_named_where_another_value_is_to_take_its_place() -> None:
    with pytest.raises(
        UsageError, match=r"^beta is kept in the model's variable model/a, and training changed it from 0.4 to 0.2"
    ):
        check_changed(held(a=0.1), held(a=0.2), {"beta": 0.4}, {"beta": 0.1}, a=0.4)


def test_what_training_changed_is_let_be_where_no_other_value_takes_its_place() -> None:
    check_changed(held(a=0.4), held(a=0.2), {"beta": 0.4, "units": 3}, {"beta": 0.4, "units": 5}, a=0.4)
    check_changed(held(a=0.4), held(a=0.2), {"units": 3}, {"beta": 0.4, "units": 5}, a=0.4)


def test_a_count_that_begins_at_a_hyperparameters_value_by_chance_keeps_none() -> None:
    check_changed(held(steps=0.0), held(steps=3.0), {"noise": 0.5}, {"noise": 0.0}, steps=0.0)
    check_changed(held(a=0.1), held(a=0.2), {"x": 0.4, "y": 0.3}, {"x": 0.1, "y": 0.1}, a=0.4)  # whose is it?
    check_changed(
        {"optimizer.learning_rate": ("optimizer", 0.1)},
        {"optimizer.learning_rate": ("optimizer", 0.2)},
        {"rate": 0.4},
        {"rate": 0.1},
    )
