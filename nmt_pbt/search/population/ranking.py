"""Members ranked by score, kept in order as results come in."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
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


MOST_RUNGS = 8
"""Rankings kept; members further behind are compared in the oldest of them."""


class GenerationRankings:
    """Rankings by generation, and one by latest scores.

    Args:
        size: Members of the population.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._latest = Ranking(size)
        self._rungs: dict[int, Ranking] = {}

    def put(self, member: int, generation: int, score: float, tie: int) -> None:
        """Record a member's score.

        Args:
            member: Its index.
            generation: The interval that ended.
            score: Higher being better; `FAILED` ranks last.
            tie: A seeded draw between equal scores.
        """
        self._latest.put(member, score, tie)
        if generation not in self._rungs and generation > max(self._rungs, default=-1):
            self._rungs[generation] = self._latest.copy()
            if len(self._rungs) > MOST_RUNGS:
                del self._rungs[min(self._rungs)]
        for rung, ranking in self._rungs.items():
            if rung >= generation:
                ranking.put(member, score, tie)

    def withdraw(self, member: int, generation: int) -> None:
        """Forget the score of a member that gave up its state, where it has no score of that generation or later.

        Args:
            member: Its index.
            generation: The interval it is to train next.
        """
        self._latest.remove(member)
        for rung, ranking in self._rungs.items():
            if rung >= generation:
                ranking.remove(member)

    def at(self, generation: int) -> Ranking:
        """Return the ranking of a generation that some member has ended; the oldest kept for one before that."""
        if not self._rungs:
            return self._latest
        return self._rungs[max(generation, min(self._rungs))]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "latest": _plain(self._latest),
            "rungs": [[generation, _plain(ranking)] for generation, ranking in self._rungs.items()],
        }

    @classmethod
    def from_json(cls, size: int, plain: dict[str, Any]) -> GenerationRankings:
        """Build from what `to_json` returned, also after it went through JSON."""
        rungs = cls(size)
        rungs._latest = _ranking(size, plain["latest"])
        rungs._rungs = {generation: _ranking(size, entries) for generation, entries in plain["rungs"]}
        return rungs


def _plain(ranking: Ranking) -> list[list[Any]]:
    # JSON has no infinity: a failure is null.
    return [[entry.member, entry.score if entry.score > FAILED else None, entry.tie] for entry in ranking]


def _ranking(size: int, entries: Sequence[Sequence[Any]]) -> Ranking:
    return Ranking(size, [Entry(FAILED if score is None else score, tie, member) for member, score, tie in entries])
