"""The sentences that a run shows are drawn by its seed, and fewer are the first of more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.corpus.parallel import sample_lines


@given(st.integers(0, 2**40), st.integers(0, 60), st.integers(0, 20))
def test_they_are_different_lines_of_the_split_as_many_as_asked_for_or_as_there_are(seed, lines, count):
    found = sample_lines(seed, lines, count)
    assert len(found) == min(lines, count)
    assert len(set(found)) == len(found)
    assert all(0 <= line < lines for line in found)
    assert found == sample_lines(seed, lines, 20)[:count]


def test_another_seed_shows_others():
    assert sample_lines(0, 1000, 5) != sample_lines(1, 1000, 5)
