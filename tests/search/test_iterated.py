"""Iterated PBT: when the population restarts, what it restarts with, and how the interval grows."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.registry import METHODS, build_method
from nmt_pbt.search.population.exploit import Adoption
from nmt_pbt.search.population.iterated import IPBT, Restart
from nmt_pbt.search.population.member import Snapshot
from nmt_pbt.search.population.ranking import FAILED, Ranking
from nmt_pbt.space.domains import Choice, Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL, Session

SPACE = Space(
    (Real("rate", 0.0, 1.0), Choice("units", (64, 128)), Real("frozen", 0.0, 1.0)),
    structural=frozenset({"units"}),
    frozen=frozenset({"frozen"}),
)
SIZE = 8
Score = Callable[[int, int], float]
"""Of a generation and a member."""


class Table:
    """Eight members; member m has the rate m / 10, and the weights of its trial of this generation."""

    def __init__(self, score: Score, generation: int, failed: tuple[int, ...] = ()) -> None:
        self.generation = generation
        self.clock = generation + 1.0
        self.ranking = Ranking(SIZE)
        self.best_ranking = Ranking(SIZE)
        self.failed = failed
        self.scores = [FAILED if member in failed else score(generation, member) for member in range(SIZE)]
        for member in range(SIZE):
            self.ranking.put(member, self.scores[member], tie=member)

    def state(self, member: int) -> Snapshot:
        score = self.scores[member]
        values = {"rate": member / 10, "units": 64 if member < 4 else 128, "frozen": 0.25}
        return Snapshot(f"{member}@{self.generation}", member, self.clock, score, (score,), values)

    def best(self, member: int) -> Snapshot:
        raise AssertionError

    def may_donate(self, member: int) -> bool:
        return member not in self.failed


def strategy(**changes: float) -> IPBT:
    return IPBT(SPACE, SIZE, 0, 0.25, Restart(**changes))  # type: ignore[arg-type]


def decide(ipbt: IPBT, generation: int, score: Score, failed: tuple[int, ...] = ()) -> dict[int, Adoption]:
    """Let all members that have not failed decide; return what is adopted."""
    table = Table(score, generation, failed)
    healthy = [member for member in range(SIZE) if member not in failed]
    chosen = {member: ipbt.choose(member, table, np.random.default_rng(member)) for member in healthy}
    return {member: adoption for member, adoption in chosen.items() if adoption is not None}


def standing_still(generation: int, member: int) -> float:
    return float(member)


def rising(generation: int, member: int) -> float:
    return float(member + 3 * generation)


def test_as_long_as_scores_rise_it_is_truncation_at_every_interval() -> None:
    ipbt = strategy()
    for generation in range(20):
        chosen = decide(ipbt, generation, rising)
        assert set(chosen) == {0, 1}
        assert all(adoption.explore and adoption.state.member in (6, 7) for adoption in chosen.values())
    assert (ipbt.iteration, ipbt.intervals) == (0, 1)


def test_with_each_restart_the_interval_grows_by_its_factor() -> None:
    ipbt = strategy(growth=3)
    decided, restarted = [], []
    for generation in range(70):
        before = ipbt.iteration
        if chosen := decide(ipbt, generation, standing_still):
            decided.append(generation)
        if ipbt.iteration > before:
            assert set(chosen) == set(range(SIZE))
            restarted.append(generation)
            assert ipbt.intervals == 3**ipbt.iteration
    # The first score of an iteration is compared with none; three without a rise follow.
    assert restarted == [3, 15, 51]
    assert decided == [0, 1, 2, 3, 6, 9, 12, 15, 24, 33, 42, 51]


def test_a_rise_begins_the_patience_anew() -> None:
    ipbt = strategy()
    heights = [0, 0, 0, 5, 5, 5, 20, 20, 20, 60]
    for generation in range(len(heights)):
        decide(ipbt, generation, lambda now, member: heights[now] + member / 10)
    assert ipbt.iteration == 0


def test_scores_that_rise_too_slowly_are_not_waited_for() -> None:
    ipbt = strategy(slow_decisions=10, patience=1000)
    restarted = next(
        generation
        for generation in range(30)
        if decide(ipbt, generation, lambda now, member: (100.0 if now else 0.0) + 0.1 * now + member / 100)
        and ipbt.iteration
    )
    assert restarted == 10  # the great rise is that from the first score to the second one


def test_at_a_restart_weights_are_those_of_the_top_and_hyperparameters_are_fresh() -> None:
    ipbt = strategy(random_share=0.5)
    for generation in range(3):
        decide(ipbt, generation, standing_still)
    chosen = decide(ipbt, 3, standing_still)
    assert [chosen[member].state.member for member in (6, 7)] == [6, 7]  # the top keeps its own
    assert {adoption.state.member for adoption in chosen.values()} == {6, 7}
    assert not any(adoption.explore for adoption in chosen.values())
    rates = [adoption.values["rate"] for adoption in chosen.values()]
    assert len(set(rates)) == SIZE
    assert not {0.6, 0.7} & set(rates)
    for adoption in chosen.values():  # what belongs to the weights, and what is left alone
        assert (adoption.values["units"], adoption.values["frozen"]) == (128, 0.25)
        SPACE.check(adoption.values, "restart")


def test_a_process_chooses_near_what_earlier_iterations_began_well_with() -> None:
    ipbt = strategy(random_share=0.0)
    chosen: dict[int, Adoption] = {}
    for generation in range(4):
        chosen = decide(ipbt, generation, lambda now, member: -abs(member - 3.0))
    assert abs(float(chosen[0].values["rate"]) - 0.3) < 0.15
    # Those that are chosen after it spread out, as always when members decide together.
    assert np.ptp([float(adoption.values["rate"]) for adoption in chosen.values()]) > 0.5


def test_a_start_is_worth_what_those_reached_that_descend_from_it() -> None:
    ipbt = strategy()
    for generation in range(20):
        # Members 0 and 1 adopt from 6 or 7 and are the best from then on: that is the merit of 6 and 7.
        decide(ipbt, generation, lambda now, member: 20.0 if now and member < 2 else float(member))
        if ipbt.iteration:
            break
    past = {begun["values"]["rate"]: begun["reached"] for begun in ipbt.get_state()["past"]}
    assert max(past, key=lambda rate: past[rate]) in (0.6, 0.7)
    assert past[0.0] == min(past.values())
    assert len(past) == SIZE


def test_a_member_that_failed_counts_for_no_start_until_the_next_restart() -> None:
    ipbt = strategy()
    decide(ipbt, 0, standing_still)
    assert 5 not in decide(ipbt, 1, standing_still, failed=(5,))
    for generation in (2, 3):
        decide(ipbt, generation, lambda now, member: 9.0 if member == 5 else float(member))
    assert ipbt.iteration == 0  # its score was a rise
    past_scores = dict(ipbt.get_state()["reached"])
    assert past_scores[5] == 5.0


def test_what_it_knows_survives_json_and_leads_to_the_same_decisions() -> None:
    ipbt = strategy(patience=2)
    for stop in (2, 5, 9):
        for generation in range(stop - 2, stop):
            decide(ipbt, generation, standing_still)
        again = strategy(patience=2)
        again.set_state(json.loads(json.dumps(ipbt.get_state())))
        twin = strategy(patience=2)
        twin.set_state(ipbt.get_state())
        for generation in range(stop, stop + 12):
            assert decide(twin, generation, standing_still) == decide(again, generation, standing_still)
        assert again.iteration > ipbt.iteration


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="patience and growth"):
        Restart(growth=0)


# --- as a method ---


def test_it_is_a_method_with_settings_of_its_own() -> None:
    assert METHODS.get("ipbt").label == "IPBT"
    settings = load_settings(assignments=[*SMALL, "search.ipbt.patience=1", "search.ipbt.growth=3"])
    oracle = build_method("ipbt", settings.search_plan(), 0, 1000)
    ipbt = oracle.population.exploit  # type: ignore[attr-defined]
    assert isinstance(ipbt, IPBT)
    assert (ipbt.restart, ipbt.size) == (Restart(patience=1, growth=3), 6)


def test_members_that_restart_train_no_more_and_no_less_and_go_on_from_weights_with_other_values() -> None:
    settings = load_settings(assignments=[*SMALL, "search.ipbt.patience=1"])
    oracle = build_method("ipbt", settings.search_plan(), 0, 1000)
    driven = Session(oracle, 1.0, score=lambda assignment, step: 10.0 + (assignment.member or 0)).run(workers=3)
    assert driven.pairs == oracle.budget.total
    ipbt = oracle.population.exploit  # type: ignore[attr-defined]
    assert ipbt.iteration >= 2
    by_trial = {assignment.trial: assignment for assignment in driven.assignments}
    second = [assignment for assignment in driven.assignments if assignment.generation == 2]  # after the first restart
    assert len(second) == 6
    assert all(assignment.parent is not None for assignment in second)
    assert {by_trial[str(one.parent)].member for one in second} <= {4, 5}
    assert all(dict(one.values) != dict(by_trial[str(one.parent)].values) for one in second)
    own = [one for one in second if not one.inherited]
    assert [one.member for one in own] == [4, 5]


def test_free_workers_are_refused() -> None:
    settings = load_settings(assignments=[*SMALL, "search.methods=[ipbt]", "search.pbt.synchronous=false"])
    with pytest.raises(UsageError, match=r"needs search\.pbt\.synchronous true"):
        settings.check_searches()
