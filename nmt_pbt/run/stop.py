"""Rules by which a whole search ends before its budget is spent."""

from __future__ import annotations

from nmt_pbt.base.text import counted
from nmt_pbt.run.clock import SearchClock
from nmt_pbt.run.records import Evaluated, SearchStarted, StopRule
from nmt_pbt.search.settings import StopSettings


class StopRules:
    """Tells when one search is to end, by its own records in the order in which they count.

    The same records give the same answer, so that a resumed search stops where the killed one would have. What depends
    on no worker, the rules of score and intervals, stops a search at the same record wherever it is run; the rule of
    seconds does not, for it asks how long jobs took.

    Args:
        settings: The rules; those that are None never end a search.
        start: The record that opens the search.

    Attributes:
        rule: The rule that came true; None while none has.
        reason: What it says, in a few words.
    """

    def __init__(self, settings: StopSettings, start: SearchStarted) -> None:
        self.rule: StopRule | None = None
        self.reason = ""
        self._settings = settings
        self._objective = start.objective
        self._sign = 1 if start.direction == "max" else -1
        self._clock = SearchClock(1) if settings.seconds is not None else None
        self._workers: set[str] = set()
        self._intervals_since_best = 0

    def assigned(self, trial: str) -> None:
        """Record that a trial was given out."""
        if self._clock is not None:
            self._clock.assigned(trial)

    def evaluated(self, record: Evaluated, best: bool) -> None:
        """Record an interval that has ended.

        Args:
            record: Its record.
            best: Whether its objective is better than all before.
        """
        settings = self._settings
        self._intervals_since_best = 0 if best else self._intervals_since_best + 1
        seconds = self._seconds(record)
        score = record.metrics.get(self._objective)
        if self.rule is not None:
            return
        if settings.target is not None and score is not None and self._sign * (score - settings.target) >= 0:
            self.rule, self.reason = "target", f"{self._objective} reached the target {settings.target:g}"
        elif self._intervals_since_best == settings.patience_intervals:
            intervals = counted(settings.patience_intervals, "interval")
            self.rule, self.reason = "patience_intervals", f"no better {self._objective} in {intervals}"
        elif settings.seconds is not None and seconds >= settings.seconds:
            self.rule, self.reason = "seconds", f"it had taken {counted(settings.seconds, 'second')}"

    def _seconds(self, record: Evaluated) -> float:
        """Return how long the search would have taken so far with the workers it had, and no other search beside it."""
        if self._clock is None:
            return 0.0
        if self._workers and record.worker not in self._workers:
            self._clock.joined()
        self._workers.add(record.worker)
        self._clock.evaluated(record)
        return self._clock.seconds
