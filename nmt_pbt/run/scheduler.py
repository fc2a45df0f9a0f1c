"""Gives free workers to searches: one pool of workers serves all the searches of a run, side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from nmt_pbt.base.errors import SearchError
from nmt_pbt.base.types import Value
from nmt_pbt.run.driver import Driver
from nmt_pbt.run.job_queue import Ticket
from nmt_pbt.run.jobs import MAX_DEATHS, Engine, Job, JobResult, Result, StateReference, Undone

_SLACK = 0.1
"""A worker may serve one search for so much of the time that is left, though another one has more left in sequence."""


@dataclass(frozen=True)
class _Live:
    """The model that a worker used last: whose it was, the values that decide its shape, the saved state it is at."""

    search: Driver
    shape: Mapping[str, Value]
    at: StateReference | None


class Scheduler:
    """Runs searches until all of them are done.

    A free worker gets a job of the search that would take the longest if it had a worker for each of its trials: one
    whose trials wait for each other would otherwise be the last to end, alone. But it stays with the search that it
    served, whose models it has built, as long as no other is behind by more than a tenth of the time that is left. Of
    a search's jobs it gets one that starts from the state its model is at, or else one for a model of the same shape,
    if there are such. A job at which a worker died goes to the next that is free.

    Args:
        engine: Where jobs run.
        structural: Names of the hyperparameters that decide a model's shape.
    """

    def __init__(self, engine: Engine, structural: Set[str] = frozenset()) -> None:
        self._engine = engine
        self._structural = structural
        self._searches: list[Driver] = []
        self._given: dict[str, tuple[Driver, Ticket, float]] = {}  # and how long the worker was idle before, in seconds
        self._live: dict[str, _Live] = {}
        self._free_since: dict[str, float] = {}
        self._deaths: Counter[tuple[Driver, str]] = Counter()  # at a search's job of one purpose

    def run(self, searches: Sequence[Driver], more: Callable[[], Sequence[Driver]] = tuple) -> None:
        """Run searches side by side.

        Args:
            searches: Searches that have begun and are not done.
            more: Asked for further ones whenever one is done: those that waited for it.

        Raises:
            SearchError: A search or the engine cannot go on.
        """
        began = time.perf_counter()
        self._searches = list(searches)
        while self._searches:
            self._give_out(began)
            if not self._given and self._engine.workers and not any(search.done for search in self._searches):
                raise SearchError("no search has anything to do, and none is over; report this")
            if self._given or not self._engine.workers:
                self._hear()
            open_searches = [search for search in self._searches if not search.done]
            if len(open_searches) < len(self._searches):
                self._searches = [*open_searches, *more()]

    def _give_out(self, began: float) -> None:
        for worker in self._engine.workers:
            if worker in self._given:
                continue
            chosen = self._choose(worker)
            if chosen is None:
                return  # nor is there anything for the others
            search, ticket = chosen
            self._given[worker] = search, ticket, time.perf_counter() - self._free_since.get(worker, began)
            self._engine.submit(worker, ticket.job)

    def _choose(self, worker: str) -> tuple[Driver, Ticket] | None:
        ready = [search for search in self._searches if search.has_job()]
        if not ready:
            return None
        search = max(ready, key=lambda search: search.left_in_sequence)
        live = self._live.get(worker)
        if live is None:
            return search, search.next(lambda job: 0)
        if live.search in ready and search.left_in_sequence - live.search.left_in_sequence <= self._slack():
            search = live.search
        return search, search.next(lambda job: 2 * (job.start == live.at) + (self._shape(job) == live.shape))

    def _slack(self) -> float:
        """Return how many training pairs are a tenth of what is left to each worker."""
        return _SLACK * sum(search.left_pairs for search in self._searches) / len(self._engine.workers)

    def _shape(self, job: Job) -> Mapping[str, Value]:
        return {name: value for name, value in job.values.items() if name in self._structural}

    def _hear(self) -> None:
        match self._engine.wait():
            case None:  # a worker has joined
                pass
            case Undone(worker, cause):
                self._take_back(worker, cause)
            case result:
                self._take_in(result)

    def _take_back(self, worker: str, cause: str) -> None:
        search, ticket, _ = self._given.pop(worker)
        self._free_since[worker] = time.perf_counter()
        self._live.pop(worker, None)
        self._deaths[search, ticket.purpose] += 1
        if (deaths := self._deaths[search, ticket.purpose]) >= MAX_DEATHS:
            raise SearchError(
                f"{search.name}, {ticket.job}: {deaths} workers died at it ({cause}); mend that, often a lack of "
                "memory, then resume the run"
            )
        search.put_back(ticket)

    def _take_in(self, result: Result) -> None:
        search, ticket, idle = self._given.pop(result.worker)
        self._free_since[result.worker] = time.perf_counter()
        at = None
        if isinstance(result, JobResult):
            at = result.state
            result = replace(result, seconds=result.seconds.model_copy(update={"idle": round(idle, 6)}))
        self._live[result.worker] = _Live(search, self._shape(ticket.job), at)
        del self._deaths[search, ticket.purpose]
        search.take(ticket, result)
