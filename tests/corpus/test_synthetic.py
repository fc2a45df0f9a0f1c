from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.synthetic import TASKS, digit_lines, digit_pairs


def numbers(line: str) -> list[int]:
    return [int(token) for token in line.split(" ")]


@given(task=st.sampled_from(TASKS), symbols=st.integers(1, 60), length=st.integers(1, 25), seed=st.integers(0, 2**31))
def test_the_target_is_what_the_task_says(task: str, symbols: int, length: int, seed: int) -> None:
    answer = {"copy": list, "reverse": lambda tokens: tokens[::-1], "sort": sorted}[task]
    for source, target in islice(digit_pairs(task, generator(seed, "test"), symbols, length), 20):
        assert numbers(target) == answer(numbers(source))
        assert 1 <= len(numbers(source)) <= length
        assert all(0 <= number < symbols for number in numbers(source))


@pytest.mark.parametrize(("symbols", "length"), [(2, 5), (3, 3), (10, 2), (1, 4)])
def test_every_line_comes_once_and_then_none(symbols: int, length: int) -> None:
    sources = [source for source, _ in digit_pairs("copy", generator(0, "test"), symbols, length)]
    assert len(sources) == len(set(sources)) == digit_lines(symbols, length)


def test_no_line_comes_twice_where_there_are_many() -> None:
    sources = [source for source, _ in islice(digit_pairs("copy", generator(0, "test"), 10, 12), 20_000)]
    assert len(set(sources)) == 20_000


def test_lengths_are_drawn_evenly() -> None:
    lengths = [len(numbers(source)) for source, _ in islice(digit_pairs("copy", generator(0, "test"), 50, 10), 5_000)]
    for length in range(4, 11):
        assert lengths.count(length) == pytest.approx(500, rel=0.25)


def test_the_same_seed_gives_the_same_lines_and_another_seed_others() -> None:
    def lines(seed: int) -> list[tuple[str, str]]:
        return list(islice(digit_pairs("sort", generator(seed, "test")), 50))

    assert lines(0) == lines(0)
    assert lines(0) != lines(1)


@pytest.mark.parametrize(("task", "symbols", "length"), [("rotate", 10, 12), ("copy", 0, 12), ("copy", 10, 0)])
def test_impossible_tasks_are_refused(task: str, symbols: int, length: int) -> None:
    with pytest.raises(UsageError):
        next(digit_pairs(task, generator(0, "test"), symbols, length))
