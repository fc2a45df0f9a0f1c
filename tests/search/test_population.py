"""The population's rules, without KerasTuner and without training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.search.population.exploit import (
    Adoption,
    Backtrack,
    Exploit,
    PresentScores,
    Standings,
    Tournament,
    Truncation,
)
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.member import Turn
from nmt_pbt.search.population.population import Pause, Population
from nmt_pbt.space.domains import Integer, Real
from nmt_pbt.space.space import Space

SPACE = Space((Real("rate", 1e-4, 1e-1, "log"), Real("dropout", 0.0, 0.6), Integer("units", 1, 9)))


def population(**changes: Any) -> Population:
    arguments: dict[str, Any] = {
        "space": SPACE,
        "size": 6,
        "interval": 1.0,
        "epochs": 5.0,
        "seed": 0,
        "exploit": Truncation(1 / 3),
        "explore": Perturb(),
    }
    return Population(**{**arguments, **changes})


def score(turn: Turn) -> float:
    """Some score that depends on what was chosen, so that different decisions show."""
    return math.log(float(turn.values["rate"])) + float(turn.values["dropout"]) + 0.1 * turn.age


def run(
    people: Population,
    workers: int = 1,
    pick: Callable[[int], int] = lambda count: 0,
    fails: Callable[[Turn], bool] = lambda turn: False,
    watch: Callable[[Population], None] = lambda people: None,
    turns: int = 10**9,
) -> list[Turn]:
    """Drive a population: `pick` says which of the busy workers finishes next."""
    busy: list[Turn] = []
    log: list[Turn] = []
    while True:
        while len(busy) < workers and len(log) < turns:
            turn = people.next_turn(f"{len(log):04d}")
            if isinstance(turn, Pause):
                assert turn is Pause.FINISHED or busy
                break
            assert all(SPACE.domains[index].contains(turn.values[name]) for index, name in enumerate(SPACE.names))
            busy.append(turn)
            log.append(turn)
        if not busy:
            return log
        turn = busy.pop(pick(len(busy)))
        people.record(turn.trial, [] if fails(turn) else [score(turn)], reason="out of memory")
        watch(people)


@given(
    st.integers(2, 9),
    st.integers(1, 12),
    st.floats(0.3, 5.0),
    st.floats(0.1, 7.0),
    st.booleans(),
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.2]),
)
def test_every_slot_trains_exactly_its_epochs(
    size: int, workers: int, interval: float, epochs: float, synchronous: bool, seed: int, failing: float
) -> None:
    interval = min(interval, epochs)
    random = np.random.default_rng(seed)
    people = population(size=size, interval=interval, epochs=epochs, synchronous=synchronous, seed=seed)
    try:
        log = run(people, workers, lambda count: int(random.integers(count)), lambda turn: random.random() < failing)
    except SearchError:
        return  # all failed in a row: possible by chance with two members
    for member in range(size):
        turns = [turn for turn in log if turn.member == member]
        assert [turn.generation for turn in turns] == list(range(people.generations))
        assert math.fsum(turn.epochs for turn in turns) == pytest.approx(epochs, rel=1e-9)
        assert all(0 < turn.epochs <= interval + 1e-9 for turn in turns)


def test_the_last_interval_is_shorter_when_it_does_not_divide() -> None:
    log = run(population(size=2, interval=3.0, epochs=8.0))
    assert [turn.epochs for turn in log if turn.member == 0] == [3.0, 3.0, 2.0]


def test_an_interval_is_not_split_by_a_rounding_error() -> None:
    assert population(interval=0.1, epochs=0.3).generations == 3


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 4]), st.booleans())
def test_synchronous_lineage_is_the_same_for_any_workers_and_any_order(seed: int, workers: int, failing: bool) -> None:
    random = np.random.default_rng(seed)
    fails = (lambda turn: turn.member in (1, 2, 4) and turn.generation == 1) if failing else (lambda turn: False)
    one = run(population(synchronous=True), fails=fails)
    other = run(population(synchronous=True), workers, lambda count: int(random.integers(count)), fails)
    assert sorted(one, key=lambda turn: turn.trial) == sorted(other, key=lambda turn: turn.trial)
    assert any(turn.inherited for turn in one)


def test_synchronous_members_decide_only_when_all_have_arrived() -> None:
    people = population(synchronous=True)
    turns = [people.next_turn(str(index)) for index in range(6)]
    for turn in turns[:5]:
        assert isinstance(turn, Turn)
        people.record(turn.trial, [score(turn)])
        assert people.next_turn("x") is Pause.WAIT
        assert people.exploits == 0
    last = turns[5]
    assert isinstance(last, Turn)
    people.record(last.trial, [score(last)])
    assert people.exploits == 2
    assert isinstance(people.next_turn("x"), Turn)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert run(population(), 3) == run(population(), 3)
    assert run(population(), 3) != run(population(seed=1), 3)


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("after", range(0, 28, 3))
def test_a_population_goes_on_from_its_state_as_if_it_had_not_stopped(synchronous: bool, after: int) -> None:
    whole = run(population(synchronous=synchronous), 2)
    first = population(synchronous=synchronous)
    log = []
    busy: list[Turn] = []
    people = first
    for number in range(len(whole)):
        if number == after:
            people = population(synchronous=synchronous)
            people.set_state(json.loads(json.dumps(first.get_state())))
        turn = people.next_turn(f"{number:04d}")
        while turn is Pause.WAIT or (isinstance(turn, Pause) and busy):
            done = busy.pop(0)
            people.record(done.trial, [score(done)])
            turn = people.next_turn(f"{number:04d}")
        assert isinstance(turn, Turn)
        log.append(turn)
        busy.append(turn)
        if len(busy) == 2:
            done = busy.pop(0)
            people.record(done.trial, [score(done)])
    assert log == whole


def test_a_state_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="population of 4 cannot go on from one of 6"):
        population(size=4).set_state(population().get_state())


def test_the_member_furthest_behind_goes_next_and_none_starves() -> None:
    people = population(epochs=20.0)
    random = np.random.default_rng(0)
    busy: list[Turn] = []
    for number in range(1000):
        waiting = [member.given for member in people.members if member.turn is None and member.given < 20]
        turn = people.next_turn(str(number)) if len(busy) < 3 else Pause.WAIT
        if isinstance(turn, Turn):
            assert turn.generation == min(waiting)
            busy.append(turn)
        elif busy:
            done = busy.pop(int(random.integers(len(busy))))
            people.record(done.trial, [score(done)])
    assert [member.given for member in people.members] == [20] * 6


def test_one_slow_worker_holds_back_only_its_own_member() -> None:
    log = run(population(epochs=10.0), 2, pick=lambda count: count - 1)
    slow = log[0]
    others = [turn for turn in log[1:] if turn.member != slow.member]
    assert len(others) == 5 * 10


@pytest.mark.parametrize(("synchronous", "most"), [(True, 6), (False, 12)])
def test_few_states_are_needed(synchronous: bool, most: int) -> None:
    def few(people: Population) -> None:
        assert len(people.needed()) <= most

    random = np.random.default_rng(0)
    run(population(epochs=20.0, synchronous=synchronous), 4, lambda count: int(random.integers(count)), watch=few)


@pytest.mark.parametrize("strategy", [Truncation(1 / 3), Tournament(), Backtrack(1 / 3)])
@pytest.mark.parametrize("synchronous", [False, True])
def test_no_state_that_has_been_dropped_is_ever_asked_for(strategy: Exploit, synchronous: bool) -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        people = population(epochs=12.0, exploit=strategy, synchronous=synchronous)
        under_way: list[Turn] = []
        kept: set[str] = set()
        for number in range(400):
            turn = people.next_turn(str(number)) if len(under_way) < 4 else Pause.WAIT
            if isinstance(turn, Turn):
                assert turn.parent is None or turn.parent in kept
                under_way.append(turn)
            elif under_way:
                done = under_way.pop(int(random.integers(len(under_way))))
                kept.add(done.trial)
                people.record(done.trial, [score(done)] if random.random() < 0.9 else [])
            # States are deleted for good as soon as they are not needed.
            kept &= people.needed()
            assert len(kept) <= 2 * people.size
            assert {turn.parent for turn in under_way if turn.parent is not None} <= kept


def test_with_one_worker_an_asynchronous_run_is_the_synchronous_one() -> None:
    fails = lambda turn: (turn.member + 2 * turn.generation) % 7 == 0  # noqa: E731
    for seed in range(10):
        one, other = (run(population(seed=seed, synchronous=way), fails=fails) for way in (False, True))
        assert one == other


def test_members_that_take_turns_are_compared_after_equally_many_intervals() -> None:
    """A member that has just trained is not better for it."""
    people = population(size=4, exploit=Truncation(0.25), epochs=30.0)
    busy: list[Turn] = []
    adopters = []
    for number in range(200):
        turn = people.next_turn(str(number)) if len(busy) < 2 else Pause.WAIT
        if isinstance(turn, Turn):
            adopters += [turn.member] if turn.inherited else []
            busy.append(turn)
        elif busy:
            done = busy.pop(0)
            # What a member is worth grows by 10 in each interval; member 2 is always a little behind the others.
            people.record(done.trial, [10.0 * (done.generation + 1) - (done.member == 2)])
    assert adopters == [2] * len(adopters)
    assert len(adopters) > 20


def test_a_member_that_adopts_takes_over_the_donors_age() -> None:
    people = population(size=2, epochs=4.0, exploit=Truncation(0.5))
    for name in "ab":
        people.next_turn(name)
    people.record("b", [5.0])
    ahead = people.next_turn("c")
    assert isinstance(ahead, Turn)
    assert (ahead.member, ahead.generation, ahead.age) == (1, 1, 1.0)
    people.record("c", [6.0])
    ahead = people.next_turn("d")
    assert isinstance(ahead, Turn)
    assert (ahead.member, ahead.generation, ahead.age) == (1, 2, 2.0)
    people.record("d", [7.0])
    people.record("a", [0.0])
    child = people.next_turn("e")
    assert isinstance(child, Turn)
    # The donor's state after its first interval is gone; the next one there is has trained for two.
    assert (child.member, child.generation, child.parent, child.inherited, child.age) == (0, 1, "c", True, 2.0)


@pytest.mark.parametrize("workers", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("strategy", [Truncation(1 / 3), Tournament(), Backtrack(1 / 3)])
def test_no_lineage_is_longer_than_a_slot_among_workers_of_equal_speed(
    strategy: Exploit, workers: int, synchronous: bool
) -> None:
    fails = lambda turn: (turn.member + 2 * turn.generation) % 7 == 0  # noqa: E731
    for seed in range(5):
        people = population(exploit=strategy, epochs=12.0, seed=seed, synchronous=synchronous)
        log = run(people, workers, fails=fails)
        assert any(turn.inherited for turn in log)
        assert max(turn.age + turn.epochs for turn in log) <= 12.0


def test_a_member_that_has_just_adopted_has_no_score_until_it_has_one_of_its_own() -> None:
    people = population(size=4, epochs=6.0, exploit=Truncation(0.5), explore=None)
    for name in "abcd":
        people.next_turn(name)
    for name, value in zip("abcd", (0.0, 1.0, 2.0, 3.0), strict=True):
        people.record(name, [value])
    adopter = people.next_turn("e")
    assert isinstance(adopter, Turn)
    assert (adopter.member, adopter.inherited) == (0, True)
    # Those at its generation still see what it was worth then; those further on see nothing of it.
    assert 0 in people.rungs.at(0)
    ahead = people.next_turn("f")
    assert isinstance(ahead, Turn)
    people.record("f", [1.5])
    assert 0 not in people.rungs.at(1)


def test_ties_are_drawn_by_the_seed_not_by_the_order() -> None:
    def who(seed: int) -> int:
        people = population(size=2, seed=seed, exploit=Truncation(0.5), synchronous=True)
        for name in "ab":
            people.next_turn(name)
        for name in "ab":
            people.record(name, [1.0])
        turns = [people.next_turn(name) for name in "cd"]
        adopters = [turn.member for turn in turns if isinstance(turn, Turn) and turn.inherited]
        assert len(adopters) == 1
        return adopters[0]

    assert {who(seed) for seed in range(12)} == {0, 1}


@pytest.mark.parametrize("bad", [[], [math.nan], [3.0, math.inf]])
def test_a_member_that_failed_ranks_last_never_donates_and_is_exploited_away(bad: list[float]) -> None:
    people = population(size=4, exploit=Truncation(0.5))
    for name, value in zip("abcd", ([1.0], [2.0], bad, [3.0]), strict=True):
        people.next_turn(name)
        people.record(name, value)
    assert people.rungs.at(0).is_bottom(2, 0.25)
    turns = [people.next_turn(name) for name in "efgh"]
    rescued = next(turn for turn in turns if isinstance(turn, Turn) and turn.member == 2)
    assert rescued.inherited
    assert rescued.parent in {"b", "d"}
    assert "c" not in people.needed()


def test_a_member_that_failed_while_nobody_can_donate_starts_afresh() -> None:
    people = population(size=2, burn_in=3.0)
    people.next_turn("a")
    people.next_turn("b")
    people.record("a", [])
    people.record("b", [1.0])
    again = people.next_turn("c")
    assert isinstance(again, Turn)
    assert (again.member, again.parent, again.age, again.generation) == (0, None, 0.0, 1)
    assert again.values != SPACE.sample(0, "initial", 0)


def test_only_when_all_members_fail_does_the_search_stop_and_say_why() -> None:
    run(population(), fails=lambda turn: turn.member != 3)
    with pytest.raises(SearchError, match="all 6 members failed, the last one with: out of memory"):
        run(population(), fails=lambda turn: True)


def test_members_younger_than_burn_in_neither_adopt_nor_donate() -> None:
    log = run(population(epochs=9.0, burn_in=4.0), 3)
    inherited = [turn for turn in log if turn.inherited]
    assert inherited
    assert min(turn.age for turn in inherited) >= 4.0
    assert min(turn.generation for turn in inherited) >= 4


def test_without_explore_values_are_only_copied() -> None:
    log = run(population(explore=None, epochs=8.0))
    first = [dict(turn.values) for turn in log if turn.generation == 0]
    assert all(dict(turn.values) in first for turn in log)
    assert any(turn.inherited for turn in log)


def test_without_exploit_values_move_and_weights_stay() -> None:
    log = run(population(exploit=None, trigger=Truncation(1 / 3), epochs=8.0))
    assert not any(turn.inherited for turn in log)
    latest: dict[int, Turn] = {}
    moves = 0
    for turn in log:
        if turn.member in latest:
            assert turn.parent == latest[turn.member].trial
            moves += turn.values != latest[turn.member].values
        latest[turn.member] = turn
    assert moves > 5


def test_initial_values_can_be_given() -> None:
    mine: Mapping[str, Any] = {"rate": 0.01, "dropout": 0.5, "units": 3}
    log = run(population(initial=[mine, {"rate": 0.02}]))
    assert log[0].values == mine
    assert log[1].values["rate"] == 0.02
    assert log[1].values["dropout"] == SPACE.sample(0, "initial", 1)["dropout"]
    assert log[2].values == SPACE.sample(0, "initial", 2)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"size": 1}, "at least 2 members"),
        ({"interval": 0.0}, "interval 0"),
        ({"interval": 9.0}, "at most the 5 epochs"),
        ({"burn_in": -1.0}, "burn_in"),
        ({"initial": [{"rate": 7.0}]}, "initial values of member 0: rate = 7.0"),
        ({"initial": [{"rat": 0.01}]}, "did you mean 'rate'"),
        ({"initial": [{}] * 7}, "initial values for 7 members"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        population(**changes)


@pytest.mark.parametrize("fraction", [0.0, 0.6, -1.0, math.nan])
def test_a_fraction_that_makes_no_sense_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        Truncation(fraction)


class OwnStateOtherValues(PresentScores):
    """Lets every member go on from its own state, with a dropout that tells of the generation."""

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        state = standings.state(member)
        return Adoption(state, {**state.values, "dropout": 0.1 * (standings.generation + 1)}, explore=False)


def test_an_exploit_may_give_a_member_other_values_for_its_own_state() -> None:
    people = population(exploit=OwnStateOtherValues(), synchronous=True)
    again = population(exploit=OwnStateOtherValues(), synchronous=True)
    turns = run(people, turns=15)
    again.set_state(json.loads(json.dumps(people.get_state())))
    turns += run(again)
    assert len(turns) == 30
    assert people.exploits == again.exploits == 0
    for turn in turns:
        if turn.generation:
            assert turn.values["dropout"] == 0.1 * turn.generation
            assert not turn.inherited
