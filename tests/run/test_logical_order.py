"""In which order results count, whichever comes in first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.run.jobs import JobResult
from nmt_pbt.run.logical_order import LogicalOrder


def played(lengths: dict[str, list[int]], choices: list[int]) -> list[str]:
    """Return the trials in the order in which their intervals counted; `choices` say which job is done next."""
    order, left = LogicalOrder(in_order=True), {trial: list(intervals) for trial, intervals in lengths.items()}
    running: list[str] = []
    for trial in left:
        order.begin(trial, left[trial][0])
        running.append(trial)
    counted: list[str] = []
    draws = iter(choices)
    while running:
        trial = running.pop(next(draws, 0) % len(running))
        order.come_in(JobResult("worker", trial))
        while (result := order.take()) is not None:
            assert order.end(result.trial) is None
            counted.append(result.trial)
            left[result.trial].pop(0)
            if left[result.trial]:
                order.begin(result.trial, left[result.trial][0])
                running.append(result.trial)
    assert not order.waiting
    return counted


@given(
    st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.integers(0, 100), max_size=40),
)
def test_the_order_does_not_depend_on_who_is_done_first(lengths: list[list[int]], choices: list[int]) -> None:
    trials = {str(number): intervals for number, intervals in enumerate(lengths)}
    assert played(trials, choices) == played(trials, [])


def test_an_interval_of_half_the_pairs_ends_before_the_others() -> None:
    assert played({"a": [2, 2], "b": [1, 1, 1, 1]}, []) == ["b", "a", "b", "b", "a", "b"]


def test_of_two_that_end_together_the_one_that_began_first_counts_first() -> None:
    assert played({"a": [3], "b": [1, 2], "c": [3]}, []) == ["b", "a", "c", "b"]


def test_a_result_out_of_turn_is_told() -> None:
    order = LogicalOrder(in_order=True)
    order.begin("a", 1)
    order.begin("b", 2)
    assert order.end("b") == "a"
    assert order.end("a") is None


def test_without_order_results_count_as_they_come_in() -> None:
    order = LogicalOrder(in_order=False)
    for trial, pairs in (("a", 1), ("b", 2)):
        order.begin(trial, pairs)
    order.come_in(JobResult("worker", "b"))
    order.come_in(JobResult("worker", "a"))
    found = order.take()
    assert found is not None
    assert found.trial == "b"
