from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.search.ranking import FAILED, Ranking

moves = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.sampled_from([FAILED, 0.0, 1.0]) | st.floats(-5, 5)), max_size=60
)


@given(moves, st.floats(0.01, 0.5))
def test_a_ranking_is_the_sorted_list_of_what_was_put_in_last(
    moves: list[tuple[int, float | None]], part: float
) -> None:
    ranking, plain = Ranking(), {}
    for number, (member, score) in enumerate(moves):
        if score is None:
            ranking.remove(member)
            plain.pop(member, None)
        else:
            ranking.put(member, score, tie=number)
            plain[member] = (score, number)
    order = sorted(plain, key=plain.__getitem__)
    count = min(math.ceil(part * len(order) - 1e-9), len(order) // 2)
    assert len(ranking) == len(order)
    assert [member for member in range(10) if ranking.is_bottom(member, part)] == sorted(order[:count])
    best = order[len(order) - count :] if count else []
    assert ranking.top(part) == [member for member in best if plain[member][0] > FAILED]
    assert ranking.healthy() == [member for member in order if plain[member][0] > FAILED]
    for first, second in itertools.pairwise(order):
        assert ranking.is_better(second, first)


def test_bottom_and_top_never_overlap() -> None:
    ranking = Ranking()
    for member in range(3):
        ranking.put(member, float(member), tie=0)
    assert ranking.count(0.5) == 1
    assert not any(ranking.is_bottom(member, 0.5) for member in ranking.top(0.5))
