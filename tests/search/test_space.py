from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.space.domains import Choice, Condition, Constant, Domain, Integer, Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL


@st.composite
def domains(draw: st.DrawFn, name: str = "x") -> Domain:
    """Any domain of numbers or choices, with or without a grid, on any scale."""
    kind = draw(st.sampled_from(["real", "integer", "choice"]))
    if kind == "choice":
        kinds = [st.integers(-50, 50), st.text(min_size=1, max_size=3), st.booleans()]
        values = draw(st.one_of(*[st.lists(values, min_size=1, max_size=6, unique=True) for values in kinds]))
        return Choice(name, tuple(values), ordered=draw(st.sampled_from([None, False])))
    scale = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    if kind == "real":
        low = draw(st.floats(1e-6, 10.0) if scale != "linear" else st.floats(-10.0, 10.0))
        high = low + draw(st.floats(0.0, 100.0))
        steps = st.floats(0.01, 5.0) if scale == "linear" else st.floats(1.05, 10.0)
        return Real(name, low, high, scale, draw(st.none() | steps))
    low = draw(st.integers(1, 20) if scale != "linear" else st.integers(-20, 20))
    high = low + draw(st.integers(0, 300))
    steps = st.integers(1, 7) if scale == "linear" else st.integers(2, 4)
    return Integer(name, low, high, scale, draw(st.none() | steps))


@given(domains(), st.integers(0, 2**32))
def test_a_draw_is_of_the_domain(domain: Domain, seed: int) -> None:
    assert domain.contains(domain.sample(np.random.default_rng(seed)))


@given(domains(), st.floats(0.0, 1.0))
def test_every_place_between_0_and_1_is_a_value_of_the_domain(domain: Domain, unit: float) -> None:
    value = domain.from_unit(unit)
    assert domain.contains(value)
    assert 0.0 <= domain.to_unit(value) <= 1.0


@given(domains(), st.integers(0, 2**32))
def test_a_value_survives_the_way_to_the_unit_scale_and_back(domain: Domain, seed: int) -> None:
    value = domain.sample(np.random.default_rng(seed))
    back = domain.from_unit(domain.to_unit(value))
    if isinstance(value, float):
        # A reverse log scale loses digits near its dense end.
        assert back == pytest.approx(value, rel=1e-6, abs=1e-6)
    else:
        assert back == value


@given(domains(), st.integers(1, 12))
def test_levels_are_distinct_values_of_the_domain(domain: Domain, count: int) -> None:
    levels = domain.levels(count)
    assert 1 <= len(levels) <= count
    assert len(set(levels)) == len(levels)
    assert all(domain.contains(level) for level in levels)
    if domain.size is not None:
        assert len(levels) == min(count, domain.size)


@given(domains(), st.floats(-1000, 1000))
def test_clipping_a_number_gives_the_nearest_value_of_the_domain(domain: Domain, number: float) -> None:
    if isinstance(domain, Choice) and isinstance(domain.values[0], (str, bool)):
        with pytest.raises(UsageError, match="none of"):
            domain.clip(number)
        return
    clipped = domain.clip(number)
    assert domain.contains(clipped)
    assert domain.clip(clipped) == clipped


def test_a_grid_holds_its_largest_value() -> None:
    dropout = Real("dropout", 0.0, 0.5, step=0.1)
    assert [dropout.at(index) for index in range(dropout.size or 0)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert dropout.contains(0.30000000000000004)
    assert not dropout.contains(0.25)


def test_a_log_grid_multiplies() -> None:
    batch = Integer("batch_size", 8, 64, "log", 2)
    assert [batch.at(index) for index in range(batch.size or 0)] == [8, 16, 32, 64]


def test_a_reverse_log_grid_ends_at_the_largest_value_as_keras_tuners_does() -> None:
    momentum = Real("momentum", 0.1, 1.0, "reverse_log", 2.0)
    assert [momentum.at(index) for index in range(momentum.size or 0)] == pytest.approx([0.3, 0.7, 0.9, 1.0])


def test_log_integers_never_exceed_their_largest_value_and_reach_it() -> None:
    units = Integer("units", 1, 10, "log")
    assert units.from_unit(1.0) == 10
    drawn = [units.sample(np.random.default_rng(seed)) for seed in range(2000)]
    assert set(drawn) == set(range(1, 11))


def test_draws_on_a_log_scale_are_even_in_the_logarithm() -> None:
    rate = Real("learning_rate", 1e-4, 1e-2, "log")
    random = np.random.default_rng(0)
    logs = [math.log10(rate.sample(random)) for _ in range(4000)]
    assert np.mean(logs) == pytest.approx(-3.0, abs=0.05)
    assert np.mean([value < -3.5 for value in logs]) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Real("rate", 0.5, 0.1), "swap them"),
        (lambda: Real("rate", 0.0, 0.1, "log"), "log scale needs min > 0"),
        (lambda: Real("rate", 0.0, 0.1, step=0.0), "above 0"),
        (lambda: Real("rate", 0.1, 1.0, "log", 1.0), "above 1 on a log scale"),
        (lambda: Real("rate", 0.0, math.inf), "finite"),
        (lambda: Integer("units", 1, 2.5), "whole numbers"),
        (lambda: Choice("kind", ()), "no values"),
        (lambda: Choice("kind", ("a", 1)), "different kinds"),
        (lambda: Choice("kind", (1, 1)), "twice"),
        (lambda: Space(()), "empty"),
        (lambda: Space((Real("a", 0, 1), Real("a", 0, 2))), "defined twice"),
        (lambda: Space((Real("dropout", 0, 1),), frozen=frozenset({"dropuot"})), "did you mean 'dropout'"),
    ],
)
def test_a_domain_that_cannot_be_used_is_refused_when_it_is_built(build: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        build()  # type: ignore[operator]


def test_a_mixed_list_of_numbers_holds_real_numbers() -> None:
    assert Choice("dropout", (0, 0.1, 0.2)).values == (0.0, 0.1, 0.2)
    assert isinstance(Choice("dropout", (0, 0.1)).values[0], float)


def test_truth_values_are_no_numbers() -> None:
    assert not Choice("tie", (True, False)).contains(1)
    assert not Integer("layers", 0, 3).contains(True)
    assert Choice("tie", (True, False)).ordered is False


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.5])
def test_what_is_no_whole_number_is_in_no_range_of_them(value: float) -> None:
    assert not Integer("layers", 0, 3).contains(value)


def test_settings_become_a_space() -> None:
    space = build_method(
        "pbt",
        load_settings(
            assignments=[
                *SMALL,
                "search.space.units={choices: [64, 128]}",
                "search.space.attention={choices: [dot, general]}",
                "search.pbt.frozen=[dropout]",
            ]
        ).search_plan(),
        0,
        1000,
    ).space
    named = {domain.name: domain for domain in space.domains}
    assert named["learning_rate"] == Real("learning_rate", 3e-4, 1e-2, "log")
    assert named["dropout"] == Real("dropout", 0.0, 0.6)
    assert named["batch_size"] == Choice("batch_size", (16, 32, 64, 128), True)
    assert space.structural == {"units", "attention"}
    drawn = space.sample(0, "test")
    assert [domain.name for domain in space.mutable(drawn)] == ["learning_rate", "recurrent_dropout", "batch_size"]


def test_a_hyperparameters_draw_does_not_depend_on_the_others() -> None:
    small = Space((Real("a", 0, 1), Real("b", 0, 1)))
    large = Space((Real("c", 0, 1), Real("b", 0, 1), Real("a", 0, 1)))
    first, second = small.sample(3, "initial", 7), large.sample(3, "initial", 7)
    assert first["a"] == second["a"]
    assert first["b"] == second["b"]
    assert first["a"] != small.sample(3, "initial", 8)["a"]


def test_only_active_hyperparameters_have_values() -> None:
    deep = Condition("kind", ("deep",))
    space = Space((Choice("kind", ("flat", "deep")), Integer("layers", 2, 5, conditions=(deep,)), Constant("seed", 1)))
    seen = {tuple(space.sample(0, "test", key)) for key in range(50)}
    assert seen == {("kind", "seed"), ("kind", "layers", "seed")}
    assert space.complete({"kind": "flat", "layers": 3}, 0, "test") == {"kind": "flat", "seed": 1}
    with pytest.raises(UsageError, match="no hyperparameter 'layers'"):
        space.check({"kind": "flat", "layers": 3, "seed": 1}, "guess 1")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("domain", [Integer("units", 1, 9), Integer("units", 1, 9, "log"), Real("rate", 0.0, 1.0)])
def test_a_number_that_is_not_finite_is_in_no_domain(domain: Real | Integer, value: float) -> None:
    assert not domain.contains(value)
    with pytest.raises(UsageError, match=f"{domain.name} = {value}"):
        Space((domain,)).check({domain.name: value}, "explore function mine")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"dropout": 0.7, "batch_size": 16}, "dropout = 0.7; it has to be a number from 0 to 0.6"),
        ({"dropout": 0.1, "batch_size": 17}, "batch_size = 17; it has to be one of 16, 32"),
        ({"dropout": 0.1}, "batch_size is missing"),
        ({"dropout": 0.1, "batch_sise": 16, "batch_size": 16}, "did you mean 'batch_size'"),
        ({"dropout": math.nan, "batch_size": 16}, "dropout = nan"),
    ],
)
def test_values_that_are_not_of_the_space_are_named(values: dict[str, float], text: str) -> None:
    space = Space((Real("dropout", 0.0, 0.6), Choice("batch_size", (16, 32))))
    with pytest.raises(UsageError, match=text):
        space.check(values, "guess 1")
