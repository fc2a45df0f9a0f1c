"""Which saved states can still be asked for, kept up to date event by event: no look at the whole population."""

from __future__ import annotations

from collections import Counter

from nmt_pbt.experiment.engine import StateReference
from nmt_pbt.search.methods import Method


class KeptStates:
    """The states of one search that are on the disk, and why.

    A state is needed while its method may start a trial from it, while an interval that starts from it is under way,
    and while it is the best so far.

    Args:
        method: Knows which trials' states may still be started from.

    Attributes:
        latest: The latest state of each trial that has one.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self.latest: dict[str, StateReference] = {}
        self._best: tuple[str, StateReference] | None = None
        self._in_use: Counter[str] = Counter()
        self._doubtful: dict[str, str] = {}  # states that may have become needless, with their trials

    def use(self, trial: str | None) -> None:
        """Take note that an interval starts from a trial's latest state; None for one that starts afresh."""
        if trial is not None:
            self._in_use[trial] += 1

    def release(self, trial: str | None) -> None:
        """Take note that an interval which started from a trial's state has ended; None for one that started afresh."""
        if trial is None:
            return
        self._in_use[trial] -= 1
        if not self._in_use[trial]:
            del self._in_use[trial]
            self._doubt(trial)

    def save(self, trial: str, state: StateReference) -> None:
        """Take note of a trial's new state."""
        self._doubt(trial)  # the former one
        self.latest[trial] = state

    def prefer(self, trial: str) -> None:
        """Take note that a trial's latest state is the best so far."""
        if self._best is not None:
            self._doubtful[self._best[1].name] = self._best[0]
        self._best = trial, self.latest[trial]

    def needed(self) -> frozenset[str]:
        """Return the names of all states that can still be asked for; looks at all of them."""
        trials = self._method.needed() | set(self._in_use)
        names = {self.latest[trial].name for trial in trials if trial in self.latest}
        return frozenset(names | ({self._best[1].name} if self._best is not None else set()))

    def needless(self) -> frozenset[str]:
        """Return the names of states that became needless since this was asked last."""
        for trial in self._method.released():
            self._doubt(trial)
        found = frozenset(name for name, trial in self._doubtful.items() if not self._is_needed(trial, name))
        self._doubtful.clear()
        return found

    def _is_needed(self, trial: str, name: str) -> bool:
        if self._best is not None and self._best[1].name == name:
            return True
        is_latest = self.latest[trial].name == name
        return is_latest and (trial in self._in_use or self._method.needs(trial))

    def _doubt(self, trial: str) -> None:
        if trial in self.latest:
            self._doubtful[self.latest[trial].name] = trial
