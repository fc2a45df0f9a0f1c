"""How long a search would have taken if it had had the workers of its run alone."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated


def workers_of(records: Iterable[AnyRecord]) -> int:
    """Return how many workers took part in a run."""
    names = {record.worker for record in records if isinstance(record, (Assigned, Evaluated))}
    return max(1, len(names - {""}))


class SearchClock:
    """Lays the intervals of one search out on workers of its own, in the order of the journal.

    A trial begins when what was known at its decision was known, and each interval when its trial is ready for it and a
    worker is free. An interval takes as long as it took; the time for which its worker had nothing to do, or trained
    for other searches, does not count, nor do the pauses of a run that was stopped and resumed.

    Args:
        workers: How many workers the run had.
    """

    def __init__(self, workers: int) -> None:
        self._free = [0.0] * workers
        self._ready: dict[str, float] = {}
        self._now = 0.0

    @property
    def seconds(self) -> float:
        """Seconds from the beginning of the search to the latest end of an interval."""
        return self._now

    def joined(self) -> None:
        """Record one more worker, which was free from the beginning."""
        heapq.heappush(self._free, 0.0)

    def assigned(self, trial: str) -> None:
        """Record that a trial was decided on, by all that was evaluated before."""
        self._ready[trial] = self._now

    def evaluated(self, record: Evaluated) -> float:
        """Return the seconds from the beginning of the search to the end of an interval."""
        taken = math.fsum(value for name, value in record.seconds.model_dump().items() if name != "idle")
        end = max(heapq.heappop(self._free), self._ready[record.trial]) + taken
        heapq.heappush(self._free, end)
        self._ready[record.trial] = end
        self._now = max(self._now, end)
        return end
