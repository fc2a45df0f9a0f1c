"""One search as a state machine between its oracle and the scheduler: which jobs are next, and what came of them.

The driver is the same for every method and every engine. What a search has come to (`recorded_search.py`) changes only
through journal records: live, a record is appended and then applied; on resume, the recorded ones are applied again.

Results are applied in logical order, not in the order in which they come in: as if each trial under way had a worker
of its own, all of them equally fast. So the records of a search are the same for any number of workers, even if these
differ in speed or do other work. Only an asynchronous population takes results as they come.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import StateError
from nmt_pbt.run.job_queue import JobQueue, Ticket
from nmt_pbt.run.jobs import Job, JobResult, Result, TestingResult
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.progress import Progress, Winner
from nmt_pbt.run.recorded_search import RecordedSearch
from nmt_pbt.run.records import Assigned, Ended, Extended, Guessed, SearchRecord, SearchStarted
from nmt_pbt.run.states import Repairs, SavedStates
from nmt_pbt.run.winner_test import WinnerTest
from nmt_pbt.search.settings import StopSettings

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle

Listener = Callable[[SearchRecord], None]
"""Told every record of a search, replayed ones too."""
_TEST = "test"
"""The purpose of the job that tests the winner."""


def combined_listener(*listeners: Listener) -> Listener:
    """Return a listener that tells each of several, in their order."""

    def tell(record: SearchRecord) -> None:
        for listener in listeners:
            listener(record)

    return tell


class Driver:
    """Runs one method's search with one seed.

    Args:
        oracle: Chooses trials; fresh.
        states: Where states are saved.
        journal: Where the search is recorded, and from which it is resumed.
        start: The record that opens this search; it names method, seed and objective.
        listener: Called with every record of this search, replayed ones too, for a progress display.
        patience: Evaluations in a row without a better objective that end a trial; what is left of its budget is not
            spent. None never does.
        test: Tests the winner when the search is over; None does not.
        stop: Rules that end the search before its budget is spent; None never does.
    """

    def __init__(
        self,
        oracle: JournaledOracle,
        states: SavedStates,
        journal: Journal,
        start: SearchStarted,
        listener: Listener = lambda record: None,
        patience: int | None = None,
        test: WinnerTest | None = None,
        stop: StopSettings | None = None,
    ) -> None:
        self._search = RecordedSearch(oracle, journal.path, start, patience, stop or StopSettings())
        self._start = start
        self._store = states
        self._journal = journal
        self._listener = listener
        self._test = test
        self._concurrent = oracle.concurrent_trials or start.population
        # Where results count as they come in, what goes out first may decide: a resumed run has to do as this one does.
        self._waiting = JobQueue(choosy=self._search.in_order)
        self._wanted: set[str] = set()
        self._states, self._jobs = self._search.states, self._search.jobs
        self._repairs = Repairs(self._jobs, journal, lambda trial: self._search.progress_of(oracle.get_trial(trial)))

    def begin(self, guess: Guessed | None = None) -> None:
        """Replay what the journal holds of this search, and make its first jobs ready.

        Args:
            guess: A further guess for a search by hand, to be tried after all earlier ones.

        Raises:
            JournalError: The recorded decisions do not come out again.
            StateError: A state that is needed was lost, and the journal does not tell how it was made.
            UsageError: The search went on for more epochs before.
        """
        self.recall()
        if not self._search.started:
            self._append(self._start)
        self._extend()
        if guess is not None:
            self._append(guess)
        if self._search.ended:
            self._finish()
            return
        for progress in list(self._search.under_way.values()):  # under way when the run was stopped: given out first
            if progress.over:
                self._append(self._jobs.ended(progress, self._start.objective))  # stopped just before this record
            else:
                self._make_ready(progress)
        self._advance()

    def _extend(self) -> None:
        """Go on if the budget is larger than recorded; a search that a rule stopped stays stopped."""
        more = self._start.budget_pairs - self._search.budget_pairs
        if more and self._search.stop.rule is None and self._search.given_up is None:
            self._append(Extended(method=self._start.method, seed=self._start.seed, pairs=more))
        if self._search.extended and self._test is not None and not self._search.ended:
            self._test.bring_back(self._start, self._states.references(), self._store)

    def recall(self) -> None:
        """Replay what the journal holds of this search, and do nothing else.

        Raises:
            JournalError: The recorded decisions do not come out again.
        """
        for record in self._journal.of(self._start.method, self._start.seed):
            self._search.replay(record)
            self._listener(record)

    # --- what the scheduler asks ---

    @property
    def name(self) -> str:
        """The search in words: its method and its seed."""
        return self._search.name

    @property
    def winner(self) -> Winner | None:
        """The best evaluation so far."""
        return self._search.winner

    @property
    def ended(self) -> bool:
        """Whether the search is over, whether or not its winner was tested."""
        return self._search.ended

    @property
    def done(self) -> bool:
        """Whether the search is over, its winner is tested if that was asked for, and all states to keep are there."""
        tested = self._search.tested is not None or self._test is None or not self.winner
        return self.ended and not self._wanted and tested

    @property
    def jobs_ready(self) -> int:
        """How many jobs wait for a worker now."""
        return len(self._waiting) or int(self.has_job())

    def has_job(self) -> bool:
        """Return whether there is a job for a free worker; an asynchronous search decides on one now."""
        if not self._waiting and not self._search.ended and not self._search.in_order:
            self._give_out()
            self._drop_needless()
        return bool(self._waiting)

    @property
    def left_in_sequence(self) -> float:
        """Training pairs left for each worker if every trial under way has its own; infinite after the end."""
        return math.inf if self.ended else self.left_pairs / self._concurrent

    @property
    def left_pairs(self) -> int:
        """Training pairs left of the budget."""
        return self._start.budget_pairs - self._search.spent_pairs

    def next(self, fit: Callable[[Job], int]) -> Ticket:
        """Return a waiting job, which waits no longer.

        Args:
            fit: How well a job fits the worker. Of the jobs that fit best, the one that has waited longest is taken.
        """
        return self._waiting.take(fit)

    def put_back(self, ticket: Ticket) -> None:
        """Let a job that was not done wait again, before all others."""
        if not self._is_needless(ticket):
            self._waiting.put(ticket.purpose, ticket.job, first=True)

    def take(self, ticket: Ticket, result: Result) -> None:
        """Process the result of a job.

        Args:
            ticket: As `next` gave it.
            result: The result.

        Raises:
            SearchError: The search cannot go on.
            StateError: A state that is needed was lost, and training it again gave another one.
        """
        purpose = ticket.purpose
        if self._is_needless(ticket):
            if isinstance(result, JobResult) and result.state is not None:
                self._store.drop({result.state.name} - self._states.needed())
        elif result.lost is not None:
            if ticket.job.start is None:
                raise StateError(result.lost)
            self._waiting.put(
                purpose, self._repairs.begin(purpose, ticket.job.start, result.lost, ticket.job), first=True
            )
        elif isinstance(result, TestingResult):
            self._take_in_test(result)
        elif self._repairs.is_under_way(purpose):
            self._go_on_repairing(purpose, result)
        else:
            self._search.order.come_in(result)
            self._advance()

    def _is_needless(self, ticket: Ticket) -> bool:
        """Return whether a rule stopped the search while this job was under way: its result does not count."""
        return self._search.ended and ticket.purpose not in {_TEST, *self._wanted}

    def runners_up(self, count: int) -> list[Winner]:
        """Return the best saved states of members other than the winner's, the best first.

        Args:
            count: How many at most, one of each member. A search without a population has none.
        """
        return self._search.results.runners_up(self._search.oracle.needed(), count)

    def states_needed(self) -> frozenset[str]:
        """Return the names of all saved states that this search may still need."""
        return self._states.needed()

    # --- the search ---

    def _advance(self) -> None:
        """Apply every result whose turn it is, and give out every trial that can be decided on."""
        if self._search.ended:
            return
        while self._search.stop.rule is None:
            if self._search.in_order or not self._search.under_way:
                self._give_out()
            result = self._search.order.take()
            if result is None:
                break
            self._take_in(self._search.under_way[result.trial], result)
        self._drop_needless()
        if not self._search.under_way or self._search.stop.rule is not None:
            self._waiting.clear()
            self._append(self._search.search_ended())
            self._finish()

    def _give_out(self) -> None:
        # Each trial under way has a state on the disk: however many workers there are, they are to stay within bounds.
        while self._search.given_up is None and len(self._search.under_way) < self._concurrent:
            began = time.perf_counter()
            trial = self._search.create_trial()
            if trial.status != "RUNNING":
                return
            self._append(self._search.assigned_to(trial))
            progress = self._search.under_way[trial.trial_id]
            progress.decided = time.perf_counter() - began
            self._make_ready(progress)
            if not self._search.in_order:
                return  # the next one is decided on when a worker is free for it, by what is known then

    def _make_ready(self, progress: Progress) -> None:
        start = self._search.start_of(progress)
        job = self._jobs.job(progress.assignment, progress.done, progress.intervals[progress.done], start)
        self._waiting.put(progress.assignment.trial, job)

    def _take_in(self, progress: Progress, result: JobResult) -> None:
        """Record a result and act on it."""
        best = result.failure is None and self._search.results.is_best(result.metrics)
        start, spent_pairs = self._search.start_of(progress), self._search.spent_pairs
        self._append(self._jobs.evaluated(progress, result, start, self._start, spent_pairs, best))
        progress.decided = 0.0
        if progress.over:
            self._append(self._jobs.ended(progress, self._start.objective))
        else:
            self._make_ready(progress)

    def _drop_needless(self) -> None:
        self._store.drop(self._states.needless() - self._repairs.in_use)

    # --- when it is over ---

    def _finish(self) -> None:
        """Make sure that the states to keep are there, then have the winner tested."""
        winner = self.winner
        if winner is None or self._search.tested is not None:
            return
        kept = [winner, *self.runners_up(self._test.runners_up if self._test is not None else 0)]
        for state in {result.state.name: result.state for result in kept}.values():
            problem = self._store.problem(state.name, state.hash)
            if problem is not None:
                self._wanted.add(state.name)
                self._waiting.put(state.name, self._repairs.begin(state.name, state, problem))
        self._have_tested()

    def _have_tested(self) -> None:
        if self._test is not None and self.winner is not None and not self._wanted:
            self._waiting.put(_TEST, self._test.job(self._start, self.winner))

    def _take_in_test(self, result: TestingResult) -> None:
        test, winner = self._test, self.winner
        assert test is not None, "it gave out a test"
        assert winner is not None, "it gave out a test"
        test.keep(self._start, winner, self.runners_up(test.runners_up), result, self._store)
        self._append(test.record(self._start, winner, result))
        self._store.drop(self._states.needed())

    def _go_on_repairing(self, purpose: str, result: JobResult) -> None:
        following, used = self._repairs.go_on(purpose, result)
        if used is not None:
            self._store.drop(frozenset({used.name}) - self._states.needed() - self._repairs.in_use)
        if following is not None:
            self._waiting.put(purpose, following, first=True)
        elif purpose in self._wanted:
            self._wanted.remove(purpose)
            self._have_tested()

    def _append(self, record: SearchRecord) -> None:
        # A decision that the machine takes with it is made again; a result is not, once older states are deleted.
        self._journal.append(record, durable=not isinstance(record, Assigned | Ended))
        self._search.apply(record)
        self._listener(record)
