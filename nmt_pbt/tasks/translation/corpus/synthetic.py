"""Digit sequences to copy, reverse or sort: tasks whose right answer is known, for tests and speed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

TASKS = ("copy", "reverse", "sort")

_MOST_LISTED = 100_000


def digit_pairs(
    task: str, random: np.random.Generator, symbols: int = 10, max_length: int = 12
) -> Iterator[tuple[str, str]]:
    """Yield lines of digits and what the task makes of them; each source line comes once.

    Lengths are drawn evenly, so that short lines, of which there are few, run out before long ones.

    Args:
        task: `copy`, `reverse` or `sort` (ascending, as numbers).
        random: Where the draws come from.
        symbols: How many different tokens there are: `0`, `1`, ... `symbols - 1`.
        max_length: Tokens in the longest line; the shortest has one.

    Yields:
        Source and target, tokens separated by a space; `digit_lines` of them in all.

    Raises:
        UsageError: No such task, or a number below 1.
    """
    if task not in TASKS:
        raise UsageError(f"{task}: no such task; known: {', '.join(TASKS)}")
    if symbols < 1 or max_length < 1:
        raise UsageError(f"{task}: {symbols} symbols and length {max_length} make no line; give at least 1 of each")
    lines = _listed(random, symbols, max_length) if digit_lines(symbols, max_length) <= _MOST_LISTED else None
    for tokens in lines if lines is not None else _drawn(random, symbols, max_length):
        yield " ".join(map(str, tokens)), " ".join(map(str, _answer(task, tokens)))


def digit_lines(symbols: int, max_length: int) -> int:
    """Return how many different lines there are: the sum of `symbols ** length` over lengths 1 to `max_length`."""
    return sum(symbols**length for length in range(1, max_length + 1))


def _answer(task: str, tokens: tuple[int, ...]) -> tuple[int, ...]:
    if task == "copy":
        return tokens
    return tokens[::-1] if task == "reverse" else tuple(sorted(tokens))


def _drawn(random: np.random.Generator, symbols: int, max_length: int) -> Iterator[tuple[int, ...]]:
    """Draw lines one by one: right where there are far more than anybody asks for."""
    seen: set[tuple[int, ...]] = set()
    while True:
        lengths = random.integers(1, max_length + 1, size=1024)
        tokens = random.integers(0, symbols, size=(1024, max_length)).tolist()
        for length, row in zip(lengths.tolist(), tokens, strict=True):
            line = tuple(row[:length])
            if line not in seen:
                seen.add(line)
                yield line


def _listed(random: np.random.Generator, symbols: int, max_length: int) -> Iterator[tuple[int, ...]]:
    """Shuffle the lines of each length and deal them from a length drawn evenly, until all are dealt."""
    piles = []
    for length in range(1, max_length + 1):
        lines = list(product(range(symbols), repeat=length))
        piles.append([lines[index] for index in random.permutation(len(lines)).tolist()])
    while piles:
        chosen = int(random.integers(len(piles)))
        yield piles[chosen].pop()
        if not piles[chosen]:
            del piles[chosen]
