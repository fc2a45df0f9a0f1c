from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.explore import Observation, Perturb, UserExplore
from nmt_pbt.search.population.strategies import explore_named
from nmt_pbt.space.domains import Choice, Constant, Domain, Integer, Real
from nmt_pbt.space.space import Space

HERE = Observation(age=1.0, score=0.0)


@st.composite
def numbers(draw: st.DrawFn) -> Domain:
    scale = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    whole = draw(st.booleans())
    if whole:
        low = draw(st.integers(1, 50) if scale != "linear" else st.integers(-50, 50))
        high = low + draw(st.integers(0, 500))
        step = draw(st.none() | (st.integers(1, 9) if scale == "linear" else st.integers(2, 4)))
        return Integer("x", low, high, scale, step)
    low = draw(st.floats(1e-6, 10.0) if scale != "linear" else st.floats(-10.0, 10.0))
    high = low + draw(st.floats(0.0, 100.0))
    step = draw(st.none() | (st.floats(0.01, 5.0) if scale == "linear" else st.floats(1.05, 10.0)))
    return Real("x", low, high, scale, step)


choices = st.builds(
    lambda values, ordered: Choice("x", tuple(values), ordered),
    st.lists(st.integers(-9, 9), min_size=1, max_size=6, unique=True)
    | st.lists(st.text(min_size=1, max_size=2), min_size=1, max_size=6, unique=True)
    | st.lists(st.booleans(), min_size=1, max_size=2, unique=True),
    st.sampled_from([None, True, False]),
)
perturbs = st.builds(Perturb, st.floats(1.01, 4.0), st.floats(0.01, 1.0), st.sampled_from([0.0, 0.25, 1.0]))


@given(numbers() | choices | st.just(Constant("x", 3)), perturbs, st.integers(0, 2**32))
def test_a_walk_never_leaves_bounds_and_grid(domain: Domain, perturb: Perturb, seed: int) -> None:
    random = np.random.default_rng(seed)
    space = Space((domain,))
    values: dict[str, Value] = {"x": domain.sample(random)}
    for _ in range(20):
        values = perturb.propose(space, values, HERE, random)
        assert domain.contains(values["x"])
        assert type(values["x"]) is type(domain.sample(random))


@given(numbers(), st.integers(0, 2**32))
def test_a_step_away_from_the_bounds_always_moves(domain: Domain, seed: int) -> None:
    random = np.random.default_rng(seed)
    value = domain.sample(random)
    assert isinstance(domain, (Real, Integer))
    if domain.clip(domain.min) < value < domain.clip(domain.max):
        assert Perturb(resample_probability=0).step(domain, value, random) != value


@given(numbers(), st.integers(0, 2**32))
def test_a_bound_is_no_trap(domain: Domain, seed: int) -> None:
    assert isinstance(domain, (Real, Integer))
    if domain.size == 1 or domain.min == domain.max:
        return
    random = np.random.default_rng(seed)
    for bound in (domain.clip(domain.min), domain.clip(domain.max)):
        moved = [Perturb(resample_probability=0).step(domain, bound, random) for _ in range(30)]
        assert any(value != bound for value in moved)


def test_dropout_can_enter_0_and_leave_it() -> None:
    dropout, random = Real("dropout", 0.0, 0.6), np.random.default_rng(0)
    value, visits, left = 0.3, 0, 0
    for _ in range(1000):
        moved = Perturb().step(dropout, value, random)
        visits += moved == 0.0 != value
        left += value == 0.0 != moved
        value = float(moved)
    assert visits > 20
    assert left > 20


class Even:
    """A generator whose draws, `MOVES` of them, are spread evenly: what is counted over them is no luck."""

    def __init__(self) -> None:
        self._draws = iter(np.random.default_rng(1).permutation(MOVES))

    def random(self) -> float:
        return (float(next(self._draws)) + 0.5) / MOVES


MOVES = 10_000


def log_steps(domain: Domain, value: float, perturb: Perturb) -> np.ndarray:
    """Move a value 10,000 times; return the steps of the logarithm."""
    assert isinstance(domain, (Real, Integer))
    random: Any = Even()
    return np.array([math.log(float(perturb.step(domain, value, random)) / value) for _ in range(MOVES)])


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(
        [
            Real("x", 1e-12, 1e12, "log"),
            Real("x", 1e-12, 1e12, "log", 1.1),
            Integer("x", 1, 10**9, "log"),
            Integer("x", 1, 2**40, "log", 2),
        ]
    ),
    st.floats(0.0, math.log(10**6)),
    st.floats(1.05, 3.0),
)
def test_log_steps_do_not_drift(domain: Real | Integer, logarithm: float, factor: float) -> None:
    """Truncation would ratchet whole numbers down, and times 1.2 or 0.8 loses 2% a move.

    At least two steps of the grid away from the bound, where a move ends that would leave it.
    """
    value = domain.clip(max(4.0, math.exp(logarithm)))
    steps = log_steps(domain, value, Perturb(factor))
    assert abs(np.mean(steps)) < 0.01
    assert abs(np.mean(steps)) < 0.01 * np.abs(steps).max()
    assert {np.sign(step) for step in steps} == {-1.0, 1.0}


def test_a_walk_of_10_000_log_steps_ends_near_where_it_began() -> None:
    domain, random = Real("x", 1e-300, 1e300, "log"), np.random.default_rng(0)
    value = 1e-3
    for _ in range(MOVES):
        value = float(Perturb().step(domain, value, random))
    assert abs(math.log(value / 1e-3)) / MOVES < 0.01


def test_a_whole_number_is_moved_by_at_least_1_in_both_directions() -> None:
    random = np.random.default_rng(2)
    for domain in (Integer("x", 1, 100, "log"), Integer("x", 1, 100)):
        for value in (2, 3, 4):
            moved = {Perturb(factor=1.2, fraction_of_range=0.001).step(domain, value, random) for _ in range(100)}
            assert moved == {value - 1, value + 1}


def test_linear_steps_are_a_share_of_the_range_and_do_not_drift() -> None:
    dropout, random = Real("dropout", 0.0, 0.6), np.random.default_rng(3)
    moved = [float(Perturb(fraction_of_range=0.15).step(dropout, 0.3, random)) for _ in range(10_000)]
    assert {round(value, 9) for value in moved} == {0.21, 0.39}
    assert abs(np.mean(moved) - 0.3) < 0.01 * 0.3


def test_reverse_log_steps_multiply_the_distance_from_the_far_end() -> None:
    momentum, random = Real("momentum", 0.1, 1.0, "reverse_log"), np.random.default_rng(4)
    moved = {round(float(Perturb(factor=2.0).step(momentum, 0.9, random)), 9) for _ in range(50)}
    assert moved == {0.7, 1.0}


def test_unordered_choices_are_drawn_afresh() -> None:
    kind, random = Choice("kind", ("a", "b", "c")), np.random.default_rng(5)
    assert {Perturb(resample_probability=0).step(kind, "a", random) for _ in range(50)} == {"a", "b", "c"}


def test_structural_and_frozen_values_stay() -> None:
    space = Space(
        (Real("rate", 0, 1), Integer("units", 1, 9), Real("clip", 0, 1)),
        structural=frozenset({"units"}),
        frozen=frozenset({"clip"}),
    )
    values: dict[str, Value] = {"rate": 0.5, "units": 5, "clip": 0.5}
    for seed in range(20):
        moved = Perturb().propose(space, values, HERE, np.random.default_rng(seed))
        assert (moved["units"], moved["clip"]) == (5, 0.5)
        assert moved["rate"] != 0.5


def test_resampling_happens_as_often_as_asked() -> None:
    space, random = Space((Real("rate", 0.0, 1.0),)), np.random.default_rng(6)
    perturb = Perturb(fraction_of_range=0.1, resample_probability=0.3)
    moved = [float(perturb.propose(space, {"rate": 0.5}, HERE, random)["rate"]) for _ in range(4000)]
    stepped = np.mean([min(abs(value - 0.4), abs(value - 0.6)) < 1e-12 for value in moved])
    assert stepped == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"rate": 1.5, "units": 5}, "explore function mine: rate = 1.5; it has to be a number from 0 to 1"),
        ({"rate": 0.5}, "units is missing"),
        ({"rate": 0.5, "units": 6}, "changed units, which is structural or frozen"),
        ([0.5], "returned list"),
    ],
)
def test_a_users_function_is_held_to_the_space(result: object, text: str) -> None:
    space = Space((Real("rate", 0, 1), Integer("units", 1, 9)), structural=frozenset({"units"}))

    def mine(values: dict[str, Value], space: Space, random: np.random.Generator) -> dict[str, Value]:
        return result  # type: ignore[return-value]

    with pytest.raises(UsageError, match=text):
        UserExplore(mine).propose(space, {"rate": 0.5, "units": 5}, HERE, np.random.default_rng(0))


def test_numpy_numbers_of_a_users_function_become_plain_ones() -> None:
    explore = UserExplore(lambda values, space, random: {"rate": np.float64(0.25)})
    moved = explore.propose(Space((Real("rate", 0, 1),)), {"rate": 0.5}, HERE, np.random.default_rng(0))
    assert type(moved["rate"]) is float


@pytest.mark.parametrize(
    "arguments", [{"factor": 1.0}, {"fraction_of_range": 0.0}, {"resample_probability": 1.5}, {"factor": math.nan}]
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(arguments))):
        Perturb(**arguments)


def test_an_unknown_explorer_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'perturb'"):
        explore_named("pertrub")
