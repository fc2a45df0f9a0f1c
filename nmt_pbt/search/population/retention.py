"""Which trials' states may still be started from, kept up to date as members move on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nmt_pbt.search.population.member import Member


class Keeping:
    """Counts, for each trial, the members that may still make it be started from.

    An older result of a member is of use as long as another member has still to decide upon that generation.

    Args:
        members: All of the population.
        generations: Intervals of each.
    """

    def __init__(self, members: Iterable[Member], generations: int) -> None:
        self._members = list(members)
        self._generations = generations
        self._held: list[tuple[str, ...]] = [() for _ in self._members]
        self._count: Counter[str] = Counter()
        self._released: set[str] = set()
        self._pending: list[int] = [self._next_decision(member) for member in self._members]
        self._waiting = Counter(self._pending)
        self._oldest = min(self._waiting)
        for member in self._members:
            self._hold(member)

    @property
    def trials(self) -> set[str]:
        """The trials: at most two for each member."""
        return set(self._count)

    def __contains__(self, trial: str) -> bool:
        return trial in self._count

    def released(self) -> set[str]:
        """Return the trials that ceased to be kept since this was asked last."""
        released, self._released = self._released, set()
        return {trial for trial in released if trial not in self._count}

    def update(self, member: Member) -> None:
        """Record that a member has moved on."""
        before, now = self._pending[member.index], self._next_decision(member)
        if now != before:
            self._pending[member.index] = now
            self._waiting[now] += 1
            self._waiting[before] -= 1
            if not self._waiting[before]:
                del self._waiting[before]
                if before == self._oldest:
                    self._oldest = min(self._waiting)
                    for other in self._members:
                        self._hold(other)
        self._hold(member)

    def _next_decision(self, member: Member) -> int:
        """Return the generation upon which a member decides next; that after the last one when it is done."""
        if member.given >= self._generations:
            return self._generations
        # What is planned is decided; what is under way will be decided upon when it has ended.
        return member.given if member.plan is not None else member.given - 1

    def _hold(self, member: Member) -> None:
        states = [member.state, member.best]
        states += [state for generation, state in member.results.items() if generation >= self._oldest]
        held = tuple(dict.fromkeys(state.trial for state in states if state is not None))
        before = self._held[member.index]
        if held == before:
            return
        self._held[member.index] = held
        self._count.update(held)
        self._count.subtract(before)
        for trial in before:
            if not self._count[trial]:
                del self._count[trial]
                self._released.add(trial)
