"""FIRE PBT: who is compared with whom, who evaluates whom, and what is taken over."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.registry import METHODS, build_method
from nmt_pbt.search.population.exploit import Adoption
from nmt_pbt.search.population.fire import FIRE
from nmt_pbt.search.population.improvement import chance_of_being_better, faster_by, overlap, smoothed
from nmt_pbt.search.population.member import Snapshot
from nmt_pbt.search.population.ranking import FAILED, Ranking
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL, Session

# --- curves ---


def test_curves_are_laid_over_each_other_from_where_they_are_equally_good() -> None:
    fast, slow = [0.0, 2.5, 4.5, 6.5], [2.0, 2.5, 3.0, 3.5]
    assert overlap(fast, slow) == (1, 0, 3)
    assert overlap(slow, fast) == (0, 1, 3)
    assert faster_by(fast, slow) == pytest.approx(3.5)
    assert faster_by(slow, fast) == pytest.approx(-3.5)


def test_a_curve_that_is_better_throughout_is_moved_down_to_be_compared() -> None:
    assert overlap([10.0, 12.0, 14.0], [0.0, 1.0, 2.0]) is None
    assert faster_by([10.0, 12.0, 14.0], [0.0, 1.0, 2.0]) >= 0.5
    assert faster_by([10.0, 10.1, 10.2], [0.0, 3.0, 6.0]) < 0.5
    assert faster_by([0.0, 1.0, 2.0], [10.0, 12.0, 14.0]) == 0.0


def test_the_chance_is_that_of_a_binomial_test() -> None:
    better, worse = [2.0 * score for score in range(8)], [score + 0.5 for score in range(8)]
    assert chance_of_being_better(better, worse) == pytest.approx(1 / 2**7)  # from the second score of the better one
    assert chance_of_being_better(worse, better) == 1.0
    assert chance_of_being_better([5.0, 6.0], [1.0, 2.0]) == 0.0
    assert chance_of_being_better([1.0, 2.0], [5.0, 6.0]) == 1.0


def test_smoothing_takes_noise_away_and_leaves_the_shape() -> None:
    true = 1 - np.exp(-np.linspace(0, 3, 40))
    noisy = true + np.random.default_rng(0).normal(0, 0.05, 40)
    assert np.abs(smoothed(noisy.tolist()) - true).mean() < 0.7 * np.abs(noisy - true).mean()
    assert smoothed([1.0]).tolist() == [1.0]
    assert smoothed([2.0, 2.0, 2.0]).tolist() == [2.0, 2.0, 2.0]


# --- decisions ---


class Table:
    """Ten members with given scores: 0 to 3 are children, 4 to 7 parents, 8 and 9 evaluators."""

    def __init__(self, scores: Mapping[int, float], generation: int) -> None:
        self.generation = generation
        self.clock = generation + 1.0
        self.ranking = Ranking(10)
        self.best_ranking = Ranking(10)
        self.scores = scores
        for member in range(10):
            self.ranking.put(member, scores.get(member, FAILED), tie=member)

    def state(self, member: int) -> Snapshot:
        score = self.scores[member]
        trial = f"{member}@{self.generation}"
        return Snapshot(trial, member, self.clock, score, (score,), {"rate": member / 10})

    def best(self, member: int) -> Snapshot:
        raise AssertionError

    def may_donate(self, member: int) -> bool:
        return member in self.scores


def strategy(longest: int = 10, significance: float = 0.05) -> FIRE:
    return FIRE(10, 0.2, 0.25, significance, longest)


def decide(fire: FIRE, generation: int, **changed: float) -> dict[int, Adoption]:
    """Let all members decide; scores are 40 for children, 20 for others, but for those named by `m` and a number."""
    scores = {member: 40.0 + member if member < 4 else 20.0 + member for member in range(10)}
    scores.update({int(name[1:]): score for name, score in changed.items()})
    table = Table(scores, generation)
    chosen = {member: fire.choose(member, table, np.random.default_rng(member)) for member in range(10)}
    return {member: adoption for member, adoption in chosen.items() if adoption is not None}


def test_the_parts_are_children_parents_and_evaluators() -> None:
    fire = strategy()
    assert (fire.children, fire.parents, fire.evaluators) == ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9))


def test_children_select_by_score_and_evaluators_take_a_parents_weights_and_the_best_childs_values() -> None:
    chosen = decide(strategy(), 0)
    assert set(chosen) == {0, 8, 9}
    assert (chosen[0].state.member, chosen[0].explore) == (3, True)
    for evaluator, parent in ((8, 4), (9, 5)):
        assert (chosen[evaluator].state.member, chosen[evaluator].explore) == (parent, False)
        assert chosen[evaluator].values == {"rate": 0.3}


def test_an_evaluator_that_turns_out_better_gives_its_weights_to_the_child() -> None:
    fire = strategy()
    decide(fire, 0)
    taken: dict[int, Adoption] = {}
    for generation in range(1, 12):
        # Evaluator 8 begins below child 3, which stands still, and soon passes it; 9 stays far below.
        taken = decide(fire, generation, m8=36.0 + 3 * generation, m9=1.0)
        if 3 in taken:
            break
    assert (taken[3].state.member, taken[3].explore) == (8, False)
    assert generation >= 5  # fewer scores than that could be chance, at 5%
    assert taken[8].state.member in fire.parents  # and it evaluates another one


def test_an_evaluator_that_gets_nowhere_is_given_the_parent_that_has_waited_longest() -> None:
    fire = strategy(longest=4)
    decide(fire, 0)
    begun = [
        (generation, evaluator, adoption.state.member)
        for generation in range(1, 10)
        for evaluator, adoption in decide(fire, generation, m8=1.0, m9=1.0).items()
        if evaluator in fire.evaluators
    ]
    assert begun[:2] == [(4, 8, 6), (4, 9, 7)]
    assert begun[2:4] == [(8, 8, 4), (8, 9, 5)]


def test_parents_select_by_the_improvement_that_their_evaluators_measure() -> None:
    fire = strategy()
    decide(fire, 0)
    # 8 evaluates parent 4, 9 parent 5; their own scores say the opposite.
    decide(fire, 1, m4=30.0, m5=10.0, m8=20.0, m9=20.0)
    chosen = decide(fire, 2, m4=30.0, m5=10.0, m8=20.1, m9=24.0)
    assert (chosen[4].state.member, chosen[4].explore) == (5, True)
    # What was measured of the weights that were given up is over.
    assert chosen[8].state.member == 6


def test_a_child_that_adopts_ends_what_is_compared_with_it() -> None:
    fire = strategy()
    decide(fire, 0)
    chosen = decide(fire, 1, m3=1.0)  # the best child falls to the bottom
    assert chosen[3].state.member == 2
    assert {8, 9} <= set(chosen)  # both begin anew, with the values of the best child there is
    assert chosen[8].values == {"rate": 0.2}


def test_failed_members_neither_evaluate_nor_are_evaluated() -> None:
    fire = strategy()
    scores = {member: 20.0 + member for member in range(10) if member not in (4, 8)}
    table = Table(scores, 0)
    chosen = {member: fire.choose(member, table, np.random.default_rng(0)) for member in scores}
    assert chosen[9] is not None
    assert chosen[9].state.member == 5


def test_what_it_knows_survives_json_and_leads_to_the_same_decisions() -> None:
    fire = strategy()
    for generation in range(4):
        decide(fire, generation, m8=30.0 + 2 * generation)
    again = strategy()
    again.set_state(json.loads(json.dumps(fire.get_state())))
    for generation in range(4, 9):
        assert decide(fire, generation, m8=50.0) == decide(again, generation, m8=50.0)


def test_populations_that_are_too_small_are_refused() -> None:
    FIRE(5, 0.25, 0.25, 0.01, 10)
    with pytest.raises(UsageError, match="a population of 4 has less than 2"):
        FIRE(4, 0.25, 0.25, 0.01, 10)


# --- as a method ---


def test_it_is_a_method_with_a_label_of_its_own() -> None:
    assert METHODS.get("fire-pbt").label == "FIRE-PBT"
    oracle = build_method("fire-pbt", load_settings(assignments=SMALL).search_plan(), 0, 1000)
    fire = oracle.population.exploit  # type: ignore[attr-defined]
    assert isinstance(fire, FIRE)
    assert (len(fire.children), len(fire.parents), len(fire.evaluators)) == (2, 2, 2)
    assert fire.significance == 0.01
    driven = Session(oracle, 1.0).run(workers=3)
    assert driven.pairs == oracle.budget.total
