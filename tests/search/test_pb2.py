from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.explore import Observation
from nmt_pbt.search.population.pb2 import MOST, PB2
from nmt_pbt.search.population.strategies import explore_named
from nmt_pbt.space.domains import Choice, Condition, Integer, Real
from nmt_pbt.space.space import Space

SPACE = Space(
    (
        Real("rate", 1e-4, 1e-1, "log"),
        Integer("units", 1, 9),
        Choice("batch", (16, 32, 64)),
        Choice("kind", ("a", "b")),
        Real("frozen", 0.0, 1.0),
    ),
    frozen=frozenset({"frozen"}),
)


def taught(explorer: PB2, space: Space, gain: float, rounds: int = 12) -> PB2:
    """Show an explorer intervals that go the better, the nearer the rate is to 0.01."""
    for number in range(rounds):
        values = space.sample(0, "test", number)
        rise = gain - abs(math.log10(float(values["rate"])) + 2.0)
        explorer.observe(space, values, Observation(float(number), 0.0), Observation(number + 1.0, rise), 1.0)
    return explorer


def test_it_finds_the_rate_that_helps_most() -> None:
    space = Space((Real("rate", 1e-4, 1e-1, "log"),))
    explorer = taught(PB2(), space, gain=0.0)
    rates = []
    for seed in range(8):
        values = explorer.propose(space, {"rate": 1e-4}, Observation(12.0, 0.0), np.random.default_rng(seed))
        explorer.observe(space, values, Observation(12.0, 0.0), None, 1.0)
        rates.append(abs(math.log10(float(values["rate"])) + 2.0))
    assert np.median(rates) < 0.5


def test_members_that_decide_together_spread_out() -> None:
    space = Space((Real("rate", 1e-4, 1e-1, "log"),))
    explorer = taught(PB2(), space, gain=0.0, rounds=5)
    moment, random = Observation(5.0, 0.0), np.random.default_rng(0)
    together = [explorer.propose(space, {"rate": 1e-4}, moment, random)["rate"] for _ in range(4)]
    assert len({round(math.log10(float(rate)), 1) for rate in together}) >= 3


def test_values_are_of_the_space_and_frozen_ones_stay() -> None:
    explorer = taught(PB2(), SPACE, gain=1.0)
    start: dict[str, Value] = {"rate": 0.01, "units": 5, "batch": 32, "kind": "a", "frozen": 0.25}
    kinds = set()
    for seed in range(20):
        values = explorer.propose(SPACE, start, Observation(12.0, 0.5), np.random.default_rng(seed))
        SPACE.check(values, "pb2")
        assert values["frozen"] == 0.25
        kinds.add(values["kind"])
        explorer.observe(SPACE, values, Observation(12.0, 0.5), None, 1.0)
    assert kinds == {"a", "b"}


def test_until_enough_is_known_values_are_perturbed() -> None:
    explorer = PB2(resample_probability=0.0)
    values = explorer.propose(SPACE, SPACE.sample(0, "test"), Observation(1.0, 0.0), np.random.default_rng(0))
    before = SPACE.sample(0, "test")
    assert math.isclose(abs(math.log(float(values["rate"]) / float(before["rate"]))), math.log(1.25))


def test_what_is_under_way_is_forgotten_when_it_ends() -> None:
    explorer = taught(PB2(), SPACE, gain=1.0, rounds=4)
    moment = Observation(4.0, 0.5)
    values = explorer.propose(SPACE, SPACE.sample(0, "test"), moment, np.random.default_rng(0))
    assert len(explorer.get_state()["under_way"]) == 1
    explorer.observe(SPACE, values, moment, Observation(5.0, 0.7), 1.0)
    assert explorer.get_state()["under_way"] == []
    assert len(explorer.get_state()["seen"]) == 5


def test_what_it_learned_survives_json_and_leads_to_the_same_choice() -> None:
    explorer = taught(PB2(), SPACE, gain=1.0)
    again = PB2()
    again.set_state(json.loads(json.dumps(explorer.get_state())))
    start, moment = SPACE.sample(0, "start"), Observation(12.0, 0.5)
    choices = [one.propose(SPACE, start, moment, np.random.default_rng(3)) for one in (explorer, again)]
    assert choices[0] == choices[1]


def test_it_remembers_a_bounded_number_of_intervals() -> None:
    explorer = taught(PB2(), SPACE, gain=1.0, rounds=MOST + 20)
    seen = explorer.get_state()["seen"]
    assert len(seen) == MOST
    assert seen[-1]["age"] == MOST + 19


def test_it_has_a_name_and_refuses_what_makes_no_sense() -> None:
    assert isinstance(explore_named("pb2"), PB2)
    with pytest.raises(UsageError, match="resample_probability"):
        PB2(resample_probability=1.5)


def test_a_choice_that_switches_another_value_on_is_not_under_way_for_ever() -> None:
    space = Space(
        (
            Choice("kind", ("a", "b")),
            Real("rate", 1e-4, 1e-1, "log"),
            Real("slope", 0.0, 1.0, conditions=(Condition("kind", ("b",)),)),
        )
    )
    explorer = PB2(resample_probability=1.0)
    switched = 0
    for number in range(12):
        values = {"kind": "a", "rate": 1e-3}
        moved = explorer.propose(space, values, Observation(number, 0.0), np.random.default_rng(number))
        whole = space.complete(moved, 0, "activate", number)
        switched += "slope" in whole
        explorer.observe(space, whole, Observation(number, 0.0), Observation(number + 1, 1.0), 1.0)
        assert explorer.get_state()["under_way"] == []
    assert switched
