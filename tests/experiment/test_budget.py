"""The budget in sentence pairs, and how trials are cut into intervals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.experiment.budget import Budget
from nmt_pbt.search.assignment import Assignment


def assignment(epochs: float, generation: int = 0) -> Assignment:
    return Assignment("0", {}, epochs, generation=generation)


def test_a_trial_of_whole_epochs_is_cut_into_equal_intervals() -> None:
    assert Budget(epoch=100, epochs=4, interval=1).intervals(assignment(4)) == (100, 100, 100, 100)


def test_the_last_interval_takes_what_is_left() -> None:
    assert Budget(epoch=100, epochs=2.5, interval=1).intervals(assignment(2.5)) == (100, 100, 50)


def test_a_sum_of_fractions_does_not_make_an_interval_of_a_rounding_error() -> None:
    assert len(Budget(epoch=1000, epochs=0.3, interval=0.1).intervals(assignment(0.1 + 0.2))) == 3


@given(
    epoch=st.integers(1, 30_000),
    interval=st.floats(0.01, 2.0),
    generations=st.integers(1, 40),
)
def test_the_intervals_of_a_member_add_up_to_its_epochs_exactly(epoch: int, interval: float, generations: int) -> None:
    budget = Budget(epoch, generations * interval, interval)
    member = [budget.intervals(assignment(interval, generation)) for generation in range(generations)]
    assert all(len(intervals) == 1 for intervals in member)
    assert sum(intervals[0] for intervals in member) == budget.total


@given(epoch=st.integers(1, 30_000), interval=st.floats(0.01, 2.0), epochs=st.floats(0.02, 40.0))
def test_one_long_trial_is_worth_the_same_as_its_intervals(epoch: int, interval: float, epochs: float) -> None:
    budget = Budget(epoch, epochs, interval)
    assert sum(budget.intervals(assignment(epochs))) == budget.total
