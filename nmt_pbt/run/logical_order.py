"""In which order the results of a search count, whichever comes in first."""

from __future__ import annotations

import heapq

from nmt_pbt.run.jobs import JobResult


class LogicalOrder:
    """The intervals under way of one search, and what has come in of them.

    In logical order each trial has a worker of its own, all of them equally fast: an interval ends as many pairs after
    its beginning as it trains. Of two that end together, the one that began first is the first.

    Args:
        in_order: Whether results count in logical order; else they count as they come in.
    """

    def __init__(self, in_order: bool) -> None:
        self._in_order = in_order
        self._ends: list[tuple[int, int, str]] = []
        self._now = self._begun = 0
        self._came: dict[str, JobResult] = {}

    def begin(self, trial: str, pairs: int) -> None:
        """Record that a trial begins an interval of so many pairs."""
        if self._in_order:
            self._begun += 1
            heapq.heappush(self._ends, (self._now + pairs, self._begun, trial))

    def end(self, trial: str) -> str | None:
        """Record that the interval under way of a trial is over.

        Returns:
            None; or the trial whose turn it would have been, which then is where it was.
        """
        if not self._in_order:
            return None
        end, _, first = self._ends[0]
        if first != trial:
            return first
        heapq.heappop(self._ends)
        self._now = end
        return None

    def come_in(self, result: JobResult) -> None:
        """Keep a result until its turn comes."""
        self._came[result.trial] = result

    @property
    def waiting(self) -> int:
        """How many results have come in whose turn has not."""
        return len(self._came)

    def take(self) -> JobResult | None:
        """Return the result whose turn it is, if it has come in."""
        if not self._came:
            return None
        trial = self._ends[0][2] if self._in_order else next(iter(self._came))
        return self._came.pop(trial, None)
