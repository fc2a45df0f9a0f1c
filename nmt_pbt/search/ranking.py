"""Members ranked by score, kept in order as results come in."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

FAILED = -math.inf
"""Score of a trial that failed: below every other, and never a donor's."""


class Entry(NamedTuple):
    """One member's place: by score, higher being better, then by a draw that breaks ties."""

    score: float
    tie: int
    member: int


class Ranking:
    """Members from worst to best. Changing one costs a binary search and a shift of an array.

    Args:
        size: How many there are when all of the population are ranked.
        entries: Those to begin with.
    """

    def __init__(self, size: int, entries: Iterable[Entry] = ()) -> None:
        self._size = size
        self._order = sorted(entries)
        self._of = {entry.member: entry for entry in self._order}

    def copy(self) -> Ranking:
        """Return a ranking with the same members."""
        return Ranking(self._size, self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._order)

    def __contains__(self, member: int) -> bool:
        return member in self._of

    def put(self, member: int, score: float, tie: int) -> None:
        """Place a member, or move it.

        Args:
            member: Its index.
            score: Its score, higher being better; `FAILED` ranks it last.
            tie: A seeded draw that decides between equal scores, so that the order of arrival never does.
        """
        self.remove(member)
        entry = Entry(score, tie, member)
        bisect.insort(self._order, entry)
        self._of[member] = entry

    def remove(self, member: int) -> None:
        """Take a member out, if it is in."""
        entry = self._of.pop(member, None)
        if entry is not None:
            del self._order[bisect.bisect_left(self._order, entry)]

    def count(self, fraction: float) -> int:
        """Return how many members a fraction is, never so many that bottom and top overlap.

        It is rounded up when all members are ranked. As long as some are not, it is rounded down: the worse of the
        first two to have a score is not the bottom quarter of eight.
        """
        share = fraction * len(self._order)
        count = math.ceil(share - 1e-9) if len(self._order) == self._size else math.floor(share + 1e-9)
        return min(count, len(self._order) // 2)

    def is_bottom(self, member: int, fraction: float) -> bool:
        """Return whether a member is in the worst fraction."""
        entry = self._of.get(member)
        return entry is not None and bisect.bisect_left(self._order, entry) < self.count(fraction)

    def top(self, fraction: float) -> list[int]:
        """Return the members of the best fraction, worst first, without failed ones."""
        start = len(self._order) - self.count(fraction)
        return [entry.member for entry in self._order[start:] if entry.score > FAILED]

    def healthy(self) -> list[int]:
        """Return all members that have not failed, worst first."""
        return [entry.member for entry in self._order[self._failures() :]]

    def draw(self, random: np.random.Generator) -> int | None:
        """Return a member that has not failed, each as likely as the others; None if there is none."""
        failures = self._failures()
        if failures == len(self._order):
            return None
        return self._order[int(random.integers(failures, len(self._order)))].member

    def _failures(self) -> int:
        return bisect.bisect_left(self._order, Entry(FAILED, 2**64, 0))

    def is_better(self, first: int, second: int) -> bool:
        """Return whether the first of two ranked members is above the second."""
        return self._of[first] > self._of[second]
