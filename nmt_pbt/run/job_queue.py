"""The jobs of one search that wait for a worker."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nmt_pbt.run.jobs import Job

_LOOKED_AT = 64
"""So many of the jobs that wait are looked at when one is chosen for a worker."""


@dataclass(frozen=True)
class Ticket:
    """A job that waits for a worker, or has one.

    Attributes:
        purpose: What it is for: the trial that it brings forward, or a state that is to be there again.
        job: The job.
    """

    purpose: str
    job: Job


class JobQueue:
    """Jobs in the order in which they came; one for each purpose.

    Args:
        choosy: Whether a worker may get a later job that fits it better.
    """

    def __init__(self, choosy: bool) -> None:
        self._looked_at = _LOOKED_AT if choosy else 1
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tickets)

    def put(self, purpose: str, job: Job, first: bool = False) -> None:
        """Let a job wait, behind all others or before them."""
        self._tickets[purpose] = Ticket(purpose, job)
        self._tickets.move_to_end(purpose, last=not first)

    def take(self, fit: Callable[[Job], int]) -> Ticket:
        """Hand over a job.

        Args:
            fit: How well a job fits the worker; of those that fit best the one that waits for longest is taken.
        """
        oldest = itertools.islice(self._tickets.values(), self._looked_at)
        return self._tickets.pop(max(oldest, key=lambda ticket: fit(ticket.job)).purpose)
