"""PB2-Mix: a bandit for categories beside the process for values on a scale."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from nmt_pbt.base.types import Value
from nmt_pbt.search.methods.registry import METHODS, build_method
from nmt_pbt.search.population.categories import Round, agreement, choose, probabilities, rounds_of
from nmt_pbt.search.population.explore import Observation
from nmt_pbt.search.population.pb2 import PB2
from nmt_pbt.search.population.pb2_mix import PB2Mix
from nmt_pbt.space.domains import Choice, Condition, Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL

KINDS = ("a", "b", "c")
MANY = tuple("abcdefghij")


def rewarded(best: str, members: int, categories: tuple[str, ...], number: int) -> Round:
    """A round in which members have categories in turn, of which one brings everything."""
    chosen = [categories[(number + member) % len(categories)] for member in range(members)]
    return Round(chosen, [1.0 if value == best else 0.2 for value in chosen])


@pytest.mark.parametrize(("members", "categories"), [(6, KINDS), (3, MANY)])
def test_the_bandit_comes_to_prefer_what_helps_and_leaves_every_category_a_chance(
    members: int, categories: tuple[str, ...]
) -> None:
    rounds = [rewarded("b", members, categories, number) for number in range(40)]
    chances = probabilities(categories, rounds)
    assert chances.sum() == pytest.approx(1.0)
    assert chances.argmax() == 1
    assert chances.max() > 2 / len(categories)
    assert chances.min() > 0.1 / len(categories)


def test_the_bandit_follows_when_another_category_helps() -> None:
    rounds = [rewarded("a", 6, KINDS, number) for number in range(25)]
    assert probabilities(KINDS, rounds).argmax() == 0
    rounds += [rewarded("c", 6, KINDS, number) for number in range(25)]
    assert probabilities(KINDS, rounds).argmax() == 2


def test_nothing_seen_leaves_all_categories_alike() -> None:
    assert probabilities(KINDS, []).tolist() == pytest.approx([1 / 3] * 3)


def test_no_category_is_expected_more_than_once_in_a_round_of_few_members() -> None:
    rounds = [rewarded("b", 3, MANY, number) for number in range(200)]
    assert probabilities(MANY, rounds).max() <= 1 / 3 + 1e-9


def test_few_members_that_decide_together_choose_different_categories() -> None:
    rounds = [rewarded("b", 3, MANY, number) for number in range(40)]
    chosen: list[Value] = []
    for number in range(3):
        chosen.append(choose(MANY, rounds, chosen, np.random.default_rng(number)))
    assert len(set(chosen)) == 3


def test_intervals_that_began_together_are_a_round() -> None:
    rounds = rounds_of([2.0, 1.0, 2.0, 1.0], ["a", "b", "c", "gone"], [4.0, 2.0, 3.0, 0.0], KINDS)
    assert rounds == [Round(["b"], [0.5]), Round(["a", "c"], [1.0, 0.75])]
    assert rounds_of([1.0], ["a"], [3.0], KINDS) == [Round(["a"], [0.5])]


def test_agreement_is_the_share_of_equal_categories() -> None:
    first, second = {"kind": "a", "mood": "x"}, {"kind": "a"}
    assert agreement([first, second], [first, second], ["kind", "mood"]).tolist() == [[1.0, 0.5], [0.5, 1.0]]


SPACE = Space((Choice("kind", KINDS), Real("rate", 1e-4, 1e-1, "log")))
BEST = {"a": -3.5, "b": -1.5, "c": -2.5}
"""The logarithm of the best rate with each category."""


def rise(values: dict[str, Value], generation: int) -> float:
    """How much an interval brings: one category helps, first b, then c, each with a rate of its own."""
    kind = str(values["kind"])
    off = abs(math.log10(float(values["rate"])) - BEST[kind])
    return 3.0 * (kind == ("b" if generation < 12 else "c")) - off


def taught(explorer: PB2, generations: int, members: int = 6) -> list[tuple[dict[str, Value], int]]:
    """Let members explore in every generation, from the same values; return what they chose, with the generation."""
    chosen = []
    score = 0.0
    values: dict[str, Value] = {"kind": "a", "rate": 1e-2}
    for generation in range(generations):
        start = Observation(float(generation), score)
        moved = [
            explorer.propose(SPACE, values, start, np.random.default_rng([generation, member]))
            for member in range(members)
        ]
        for one in moved:
            SPACE.check(one, "pb2-mix")
            end = Observation(generation + 1.0, score + rise(one, generation))
            explorer.observe(SPACE, one, start, end, 1.0)
            chosen.append((one, generation))
        score += 1.0
    return chosen


def test_categories_and_rates_are_found_together_and_again_when_they_change() -> None:
    chosen = taught(PB2Mix(), 36)
    early = Counter(values["kind"] for values, generation in chosen if 6 <= generation < 12)
    late = Counter(values["kind"] for values, generation in chosen if generation >= 30)
    assert early.most_common(1)[0][0] == "b"
    assert late.most_common(1)[0][0] == "c"
    misses = [
        abs(math.log10(float(values["rate"])) - BEST[str(values["kind"])])
        for values, generation in chosen
        if generation in (10, 11, 34, 35)
    ]
    assert np.median(misses) < 0.4
    gained = [rise(values, generation) for values, generation in chosen if generation >= 3]
    resampled = [rise(values, generation) for values, generation in taught(PB2(), 36) if generation >= 3]
    assert np.mean(gained) > np.mean(resampled)


def test_without_categories_it_is_pb2() -> None:
    space = Space((Real("rate", 1e-4, 1e-1, "log"),))
    explorers = PB2(), PB2Mix()
    for explorer in explorers:
        for number in range(8):
            values = space.sample(0, "test", number)
            start, end = Observation(float(number), 0.0), Observation(number + 1.0, float(values["rate"]))
            explorer.observe(space, values, start, end, 1.0)
    moment = Observation(8.0, 0.1)
    one, other = (explorer.propose(space, {"rate": 1e-3}, moment, np.random.default_rng(0)) for explorer in explorers)
    assert one == other


def test_a_space_of_categories_alone_is_searched() -> None:
    space = Space((Choice("kind", KINDS),))
    explorer = PB2Mix()
    for number in range(30):
        kind = KINDS[number % 3]
        start, end = Observation(number // 6, 0.0), Observation(number // 6 + 1, float(kind == "c"))
        explorer.observe(space, {"kind": kind}, start, end, 1.0)
    kinds = [
        explorer.propose(space, {"kind": "a"}, Observation(5.0, float(seed)), np.random.default_rng(seed))["kind"]
        for seed in range(40)
    ]
    assert Counter(kinds).most_common(1)[0][0] == "c"


def test_what_it_learned_survives_json_and_leads_to_the_same_choice() -> None:
    explorer, again = PB2Mix(), PB2Mix()
    taught(explorer, 5)
    again.set_state(json.loads(json.dumps(explorer.get_state())))
    start, moment = SPACE.sample(0, "start"), Observation(5.0, 0.5)
    one, other = (it.propose(SPACE, start, moment, np.random.default_rng(3)) for it in (explorer, again))
    assert one == other


def test_a_category_may_switch_other_values_on() -> None:
    space = Space(
        (
            Choice("kind", ("a", "b")),
            Real("rate", 1e-4, 1e-1, "log"),
            Real("slope", 0.0, 1.0, conditions=(Condition("kind", ("b",)),)),
        )
    )
    explorer, kinds = PB2Mix(), set()
    for number in range(16):
        values: dict[str, Value] = {"kind": "a", "rate": 1e-3}
        moment = Observation(float(number), 0.0)
        moved = explorer.propose(space, values, moment, np.random.default_rng(number))
        whole = space.complete(moved, 0, "activate", number)
        space.check(whole, "pb2-mix")
        kinds.add(whole["kind"])
        explorer.observe(space, whole, moment, Observation(number + 1.0, 1.0), 1.0)
        assert explorer.get_state()["under_way"] == []
    assert kinds == {"a", "b"}


def test_it_is_a_method_with_a_label_of_its_own() -> None:
    assert METHODS.get("pb2-mix").label == "PB2-Mix"
    oracle = build_method("pb2-mix", load_settings(assignments=SMALL).search_plan(), 0, 1000)
    assert isinstance(oracle.population.explore, PB2Mix)  # type: ignore[attr-defined]
