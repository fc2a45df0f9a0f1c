from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.search.population.ranking import FAILED, Ranking

moves = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.sampled_from([FAILED, 0.0, 1.0]) | st.floats(-5, 5)), max_size=60
)


@given(moves, st.floats(0.01, 0.5))
def test_a_ranking_is_the_sorted_list_of_what_was_put_in_last(
    moves: list[tuple[int, float | None]], part: float
) -> None:
    ranking, plain = Ranking(10), {}
    for number, (member, score) in enumerate(moves):
        if score is None:
            ranking.remove(member)
            plain.pop(member, None)
        else:
            ranking.put(member, score, tie=number)
            plain[member] = (score, number)
    order = sorted(plain, key=plain.__getitem__)
    share = part * len(order)
    count = min(math.ceil(share - 1e-9) if len(order) == 10 else math.floor(share + 1e-9), len(order) // 2)
    assert len(ranking) == len(order)
    assert [member for member in range(10) if ranking.is_bottom(member, part)] == sorted(order[:count])
    best = order[len(order) - count :] if count else []
    assert ranking.top(part) == [member for member in best if plain[member][0] > FAILED]
    assert ranking.healthy() == [member for member in order if plain[member][0] > FAILED]
    for first, second in itertools.pairwise(order):
        assert ranking.is_better(second, first)


def test_bottom_and_top_never_overlap() -> None:
    ranking = Ranking(3)
    for member in range(3):
        ranking.put(member, float(member), tie=0)
    assert ranking.count(0.5) == 1
    assert not any(ranking.is_bottom(member, 0.5) for member in ranking.top(0.5))


def test_a_fraction_is_rounded_down_as_long_as_some_have_no_score() -> None:
    ranking = Ranking(5)
    for member in range(4):
        ranking.put(member, float(member), tie=0)
        assert ranking.count(0.3) == (1 if member == 3 else 0)
    ranking.put(4, 4.0, tie=0)
    assert ranking.count(0.3) == 2
