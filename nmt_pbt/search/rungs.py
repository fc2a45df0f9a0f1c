"""The population ranked at each generation, so that members are compared after equally many intervals.

Members that take turns are never all at the same generation. Comparing latest scores would favour whoever has just
trained: so each generation has a ranking of its own, in which a member stands with its score of that generation, or
with its latest one while it is behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nmt_pbt.search.ranking import FAILED, Entry, Ranking

MOST_RUNGS = 8
"""Rankings kept; members further behind are compared in the oldest of them."""


class Rungs:
    """Rankings by generation, and one by latest scores.

    Args:
        size: Members of the population.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._latest = Ranking(size)
        self._rungs: dict[int, Ranking] = {}

    def put(self, member: int, generation: int, score: float, tie: int) -> None:
        """Take in a member's score.

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
    def from_json(cls, size: int, plain: dict[str, Any]) -> Rungs:
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
