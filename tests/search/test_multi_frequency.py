"""Sub-populations at different frequencies: who adopts what, and what it is good for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.population.exploit import Adoption, Exploit, Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.member import Snapshot, Turn
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.search.population.population import Population
from nmt_pbt.search.population.ranking import FAILED, Ranking
from nmt_pbt.space.domains import Real
from nmt_pbt.space.space import Space


class Table:
    """Eight members with given scores; members 0 to 3 are the first sub-population, 4 to 7 the second."""

    def __init__(self, scores: Sequence[float | None], generation: int) -> None:
        self.generation = generation
        self.clock = generation + 1.0
        self.ranking = Ranking(len(scores))
        self.best_ranking = Ranking(len(scores))
        self.states = {}
        for member, score in enumerate(scores):
            self.ranking.put(member, FAILED if score is None else score, tie=member)
            if score is not None:
                values = {"rate": member / 10, "units": member}
                self.states[member] = Snapshot(f"t{member}", member, 5.0, score, (score,), values)

    def state(self, member: int) -> Snapshot:
        return self.states[member]

    def best(self, member: int) -> Snapshot:
        raise AssertionError

    def may_donate(self, member: int) -> bool:
        return member in self.states


PARTS = MultiFrequency(8, (1, 4), frozenset({"units"}))


def choose(member: int, scores: Sequence[float | None], generation: int = 3) -> Adoption | None:
    return PARTS.choose(member, Table(scores, generation), np.random.default_rng(0))


LOCAL = (1.0, 2.0, 3.0, 4.0, 0.1, 0.2, 0.3, 0.4)
"""No member of the second part is better than any of the first."""


def test_each_part_selects_within_itself() -> None:
    first = choose(0, LOCAL)
    assert first is not None
    assert (first.state.trial, first.values, first.explore) == ("t3", {"rate": 0.3, "units": 3}, True)
    second = choose(4, LOCAL)
    assert second is not None
    assert second.state.trial == "t7"
    assert choose(2, LOCAL) is choose(3, LOCAL) is choose(6, LOCAL) is choose(7, LOCAL) is None


def test_a_part_decides_only_at_its_own_frequency() -> None:
    for generation in range(8):
        assert choose(0, LOCAL, generation) is not None
        assert (choose(4, LOCAL, generation) is not None) == (generation in (3, 7))


def test_a_better_migrant_from_a_more_frequent_part_brings_its_weights_but_not_its_values() -> None:
    migrant = choose(5, LOCAL)
    assert migrant is not None
    assert migrant.state.trial == "t3"
    # The values of the part's own best; structural ones belong to the weights.
    assert migrant.values == {"rate": 0.7, "units": 3}
    assert not migrant.explore


def test_a_better_migrant_from_a_less_frequent_part_brings_weights_and_values() -> None:
    migrant = choose(1, (1.0, 2.0, 3.0, 4.0, 0.1, 0.2, 0.3, 9.0))
    assert migrant is not None
    assert (migrant.state.trial, migrant.values, migrant.explore) == ("t7", {"rate": 0.7, "units": 7}, False)


def test_a_migrant_that_is_not_better_does_not_come() -> None:
    assert choose(1, LOCAL) is None
    assert choose(1, (1.0, 2.0, 3.0, 4.0, None, None, None, None)) is None


def test_two_of_a_bracket_do_not_take_the_same_migrant() -> None:
    parts = MultiFrequency(16, (1, 2))
    scores = [*map(float, range(8)), *([0.0] * 6), 20.0, 30.0]
    chosen = [parts.choose(member, Table(scores, 0), np.random.default_rng(0)) for member in (3, 2)]
    assert [adoption.state.trial for adoption in chosen if adoption is not None] == ["t15", "t14"]


@pytest.mark.parametrize("frequencies", [(), (1,), (2, 1), (1, 1), (0, 2), (1, 2, 3)])
def test_parts_that_cannot_be_made_are_refused(frequencies: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="frequencies"):
        MultiFrequency(8, frequencies)


def reached(strategy: Exploit | None, seed: int) -> float:
    """Train on a toy in which greed pays at once and costs in the long run.

    The score is minus what is left to do and the noise. A small rate makes little noise at once, but little progress.
    """
    people = Population(
        Space((Real("rate", 0.01, 1.0, "log"),)),
        size=16,
        interval=1.0,
        epochs=60.0,
        seed=seed,
        exploit=strategy,
        explore=Perturb(resample_probability=0.1),
        synchronous=True,
    )
    left: dict[str | None, float] = {None: 1.0}
    best = -2.0
    while isinstance(turn := people.next_turn(str(len(left))), Turn):
        rate = float(turn.values["rate"])
        left[turn.trial] = left[turn.parent] * (1 - 0.1 * rate)
        score = -left[turn.trial] - rate
        best = max(best, score)
        people.record(turn.trial, [score])
    return best


def test_parts_that_decide_seldom_save_the_population_from_greed() -> None:
    seeds = range(12)
    random, greedy, parts = (
        float(np.median([reached(strategy, seed) for seed in seeds]))
        for strategy in (None, Truncation(0.25), MultiFrequency(16, (1, 5, 10, 30)))
    )
    assert greedy < random < parts
    assert parts - greedy > 0.5
