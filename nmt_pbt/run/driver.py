"""One search as a state machine between its oracle and the scheduler: which jobs are next, and what came of them.

One rule for every method and every engine. Every change of state goes through a journal record: live, the record is
appended and then applied; on resume, the recorded ones are applied again to a fresh oracle, which has to decide as
it did. So a resumed search is where the killed one was.

Results are applied in logical order, not in the order in which they come in: as if each trial under way had a worker
of its own, all of them equally fast. So the records of a search are the same for any number of workers, however uneven
they are and whatever else they do. An asynchronous population alone takes results as they come.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from nmt_pbt.base.errors import AllFailedError, StateError, UsageError
from nmt_pbt.run.job_queue import JobQueue, Ticket, TrainingJobs
from nmt_pbt.run.jobs import Job, JobResult, Result, StateReference, TestingResult
from nmt_pbt.run.journal import (
    Assigned,
    Ended,
    Evaluated,
    Extended,
    Guessed,
    Journal,
    SearchEnded,
    SearchRecord,
    SearchStarted,
    Tested,
)
from nmt_pbt.run.journal_check import JournalCheck
from nmt_pbt.run.logical_order import LogicalOrder
from nmt_pbt.run.progress import Progress, Results, Winner
from nmt_pbt.run.states import Repairs, RetainedStates, SavedStates
from nmt_pbt.run.stop import StopRules
from nmt_pbt.run.winner_test import WinnerTest
from nmt_pbt.search.settings import StopSettings

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

    from nmt_pbt.search.manual import ManualOracle
    from nmt_pbt.search.oracles import JournaledOracle

Listener = Callable[[SearchRecord], None]
_TEST = "test"
"""The purpose of the job that tests the winner."""


class Driver:
    """Runs one method's search with one seed.

    Args:
        oracle: Chooses trials; fresh.
        states: Where states are saved.
        journal: Where it is written down, and what is read back to resume.
        start: The record that opens this search; it names method, seed and objective.
        listener: Told every record of this search, replayed ones too, for a progress display.
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
        self._patience = patience
        self._oracle = oracle
        self._store = states
        self._journal = journal
        self._start = start
        self._listener = listener
        self._test = test
        self._concurrent = oracle.concurrent_trials or start.population
        self._under_way: dict[str, Progress] = {}
        self._in_order = oracle.takes_results_in_order
        self._order = LogicalOrder(self._in_order)
        # Where results count as they come in, what goes out first may decide: a resumed run has to do as this one does.
        self._waiting = JobQueue(choosy=self._in_order)
        self._wanted: set[str] = set()
        self._states = RetainedStates(oracle)
        self._jobs = TrainingJobs(start.method, start.seed, oracle.needs_evidence is not None)
        self._recorded = JournalCheck(journal.path, start)
        self._repairs = Repairs(self._jobs, journal, lambda trial: self._progress_of(oracle.get_trial(trial)))
        self._results = Results(start)
        self._stop = StopRules(stop or StopSettings(), start)
        self._budget = self._spent = 0
        self._extended = False
        self._assigned = 0
        self._started = False
        self._stopped = False
        self._ended = False
        self._tested: Tested | None = None
        self._given_up: str | None = None

    def begin(self, guess: Guessed | None = None) -> None:
        """Take up what the journal holds of this search, and make its first jobs ready.

        Args:
            guess: One more for a search by hand, to be tried after what it has been given so far.

        Raises:
            JournalError: The recorded decisions do not come out again.
            StateError: A state that is needed was lost, and the journal does not tell how it was made.
            UsageError: The search went on for more epochs before.
        """
        self.recall()
        if not self._started:
            self._append(self._start)
        self._extend()
        if guess is not None:
            self._append(guess)
        if self._ended:
            self._finish()
            return
        for progress in list(self._under_way.values()):  # in flight when the run was stopped: given out again first
            if progress.over:
                self._append(self._jobs.ended(progress, self._start.objective))  # what the run was stopped before
            else:
                self._make_ready(progress)
        self._advance()

    def _extend(self) -> None:
        """Go on with what the budget is larger by than recorded; a search that a rule stopped stays so."""
        more = self._start.budget_pairs - self._budget
        if more and self._stop.rule is None and self._given_up is None:
            self._append(Extended(method=self._start.method, seed=self._start.seed, pairs=more))
        if self._extended and self._test is not None and not self._ended:
            self._test.bring_back(self._start, self._states.references(), self._store)

    def recall(self) -> None:
        """Take up what the journal holds of this search, and go no further.

        Raises:
            JournalError: The recorded decisions do not come out again.
        """
        for record in self._journal.of(self._start.method, self._start.seed):
            self._replay(record)

    # --- what the scheduler asks ---

    @property
    def name(self) -> str:
        """The search in words: its method and its seed."""
        return f"{self._start.method}, seed {self._start.seed}"

    @property
    def winner(self) -> Winner | None:
        """The best evaluation so far."""
        return self._results.winner

    @property
    def ended(self) -> bool:
        """Whether the search is over, be its winner tested or not."""
        return self._ended

    @property
    def done(self) -> bool:
        """Whether the search is over, its winner was tested if it is to be, and all states that are kept are there."""
        return self._ended and not self._wanted and (self._tested is not None or self._test is None or not self.winner)

    @property
    def jobs_ready(self) -> int:
        """How many jobs wait for a worker now."""
        return len(self._waiting) or int(self.has_job())

    def has_job(self) -> bool:
        """Tell whether there is a job for a free worker; where results count as they come in, decide on one now."""
        if not self._waiting and not self._ended and not self._in_order:
            self._give_out()
            self._drop_needless()
        return bool(self._waiting)

    @property
    def left_in_sequence(self) -> float:
        """Training pairs that are left to one worker if each trial has one of its own; infinite for a last job."""
        return math.inf if self._ended else self.left_pairs / self._concurrent

    @property
    def left_pairs(self) -> int:
        """Training pairs that are left of the budget."""
        return self._start.budget_pairs - self._spent

    def next(self, fit: Callable[[Job], int]) -> Ticket:
        """Hand over a job that waits.

        Args:
            fit: How well a job fits the worker; of those that fit best the one that waits for longest is taken.
        """
        return self._waiting.take(fit)

    def put_back(self, ticket: Ticket) -> None:
        """Let a job wait again, before all others: nothing came of it."""
        if not self._is_needless(ticket):
            self._waiting.put(ticket.purpose, ticket.job, first=True)

    def take(self, ticket: Ticket, result: Result) -> None:
        """Take in what came of a job.

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
            self._order.come_in(result)
            self._advance()

    def _is_needless(self, ticket: Ticket) -> bool:
        """Tell whether a job was under way when a rule stopped the search: what comes of it does not count."""
        return self._ended and ticket.purpose not in {_TEST, *self._wanted}

    def runners_up(self, count: int) -> list[Winner]:
        """Return the best of the states that are still saved, of other members than the winner's, the best first.

        Args:
            count: How many, at most; one of each member. A search without a population has none.
        """
        return self._results.runners_up(self._oracle.needed(), count)

    def states_needed(self) -> frozenset[str]:
        """Return the names of all saved states that this search can still ask for."""
        return self._states.needed()

    # --- the search ---

    def _advance(self) -> None:
        """Apply every result whose turn it is, and give out every trial that can be decided on."""
        if self._ended:
            return
        while self._stop.rule is None:
            if self._in_order or not self._under_way:
                self._give_out()
            result = self._order.take()
            if result is None:
                break
            self._take_in(self._under_way[result.trial], result)
        self._drop_needless()
        if not self._under_way or self._stop.rule is not None:
            self._waiting.clear()
            self._append(self._search_ended())
            self._finish()

    def _search_ended(self) -> SearchEnded:
        spent = "stopped early" if self._stopped else "budget spent"
        reason = self._given_up or (spent if self.winner is not None else "every trial failed")
        return SearchEnded(
            method=self._start.method,
            seed=self._start.seed,
            spent_pairs=self._spent,
            reason=self._stop.reason or reason,
            rule=self._stop.rule,
        )

    def _give_out(self) -> None:
        # Each trial under way has a state on the disk: however many workers there are, they are to stay within bounds.
        while self._given_up is None and len(self._under_way) < self._concurrent:
            began = time.perf_counter()
            trial = self._create_trial()
            if trial.status != "RUNNING":
                return
            self._append(self._assigned_to(trial))
            progress = self._under_way[trial.trial_id]
            progress.decided = time.perf_counter() - began
            self._make_ready(progress)
            if not self._in_order:
                return  # the next one is decided on when a worker is free for it, by what is known then

    def _assigned_to(self, trial: Trial) -> Assigned:
        progress = self._progress_of(trial)
        return self._jobs.record(progress.assignment, progress.intervals)

    def _create_trial(self) -> Trial:
        # KerasTuner gives a worker its unfinished trial again, so each request comes under a name of its own.
        return self._oracle.create_trial(str(self._assigned))

    def _make_ready(self, progress: Progress) -> None:
        start = self._start_of(progress)
        job = self._jobs.job(progress.assignment, progress.done, progress.intervals[progress.done], start)
        self._waiting.put(progress.assignment.trial, job)

    def _start_of(self, progress: Progress) -> StateReference | None:
        """Return the state the next interval of a trial starts from; None for fresh weights."""
        if progress.source is None:
            return None
        if progress.source not in self._states.latest:
            # Fresh weights instead would be a search that nobody asked for.
            raise StateError(
                f"{self._journal.path}: {self._start.method}, seed {self._start.seed}: trial "
                f"{progress.assignment.trial} starts from trial {progress.source}, of which no state was ever saved; "
                "report this"
            )
        return self._states.latest[progress.source]

    def _take_in(self, progress: Progress, result: JobResult) -> None:
        """Write down a result and act on it."""
        best = result.failure is None and self._results.is_best(result.metrics)
        self._append(self._jobs.evaluated(progress, result, self._start_of(progress), self._start, self._spent, best))
        progress.decided = 0.0
        if progress.over:
            self._append(self._jobs.ended(progress, self._start.objective))
        else:
            self._make_ready(progress)

    def _drop_needless(self) -> None:
        self._store.drop(self._states.needless() - self._repairs.in_use)

    def _progress_of(self, trial: Trial) -> Progress:
        """Return a trial, over or not, as it was before anything of it was trained."""
        assignment = self._oracle.assignment(trial)
        return Progress(assignment, self._oracle.budget.intervals(assignment))

    # --- when it is over ---

    def _finish(self) -> None:
        """See that the states to keep are there, then have the winner tested."""
        winner = self.winner
        if winner is None or self._tested is not None:
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

    # --- records: the only way the search's state changes ---

    def _append(self, record: SearchRecord) -> None:
        # A decision that the machine takes with it is made again; a result is not, once older states are deleted.
        self._journal.append(record, durable=not isinstance(record, Assigned | Ended))
        self._apply(record)

    def _replay(self, record: SearchRecord) -> None:
        if isinstance(record, SearchStarted):
            # A population's budget may have grown since: what it decided before does not rest on that.
            grown = self._oracle.population_size is not None and record.budget_pairs < self._start.budget_pairs
            update = {"budget_pairs": record.budget_pairs} if grown else {}
            self._recorded.check_decision(record, self._start.model_copy(update=update))
        elif isinstance(record, Extended) and self._budget + record.pairs > self._start.budget_pairs:
            raise UsageError(
                f"{self._journal.path}: {self.name} went on for more epochs before than search.more_epochs says; "
                "leave it as it was, or make it larger"
            )
        elif isinstance(record, SearchEnded):
            self._recorded.check_stop(record, self._stop.rule)
        elif isinstance(record, Assigned):
            trial = self._create_trial()
            if trial.status != "RUNNING":
                raise self._recorded.differs(f"trial {record.trial} was given out", f"none is ({trial.status})")
            self._recorded.check_decision(record, self._assigned_to(trial))
        elif isinstance(record, Evaluated | Ended):
            self._recorded.check_result(record, self._under_way.get(record.trial))
        self._apply(record)

    def _apply(self, record: SearchRecord) -> None:
        match record:
            case SearchStarted():
                self._started = True
                self._budget = record.budget_pairs
            case Extended():
                self._budget += record.pairs
                self._extended = True
                self._ended, self._given_up, self._tested = False, None, None
            case Guessed():
                cast("ManualOracle", self._oracle).add(record.values)
                self._ended, self._given_up, self._tested = False, None, None
            case Assigned():
                progress = self._under_way[record.trial] = self._progress_of(self._oracle.get_trial(record.trial))
                self._states.use(progress.source)
                self._assigned += 1
                self._order.begin(record.trial, progress.intervals[0])
                self._stop.assigned(record.trial)
            case Evaluated():
                self._apply_evaluated(record)
            case Ended():
                trial = self._oracle.get_trial(record.trial)
                trial.status = "COMPLETED" if record.status == "completed" else "FAILED"
                trial.message = record.reason or None
                try:
                    self._oracle.end_trial(trial)
                except AllFailedError as error:
                    self._given_up = str(error)  # trials under way go on: one of them may yet succeed
                self._states.release(self._under_way.pop(record.trial).source)
            case SearchEnded():
                self._ended = True
            case Tested():
                self._tested = record
        self._listener(record)

    def _apply_evaluated(self, record: Evaluated) -> None:
        # In the order in which they were submitted: a resumed run gives them out in it again.
        progress = self._under_way[record.trial] = self._under_way.pop(record.trial)
        turn_of = self._order.end(record.trial)
        if turn_of is not None:
            raise self._recorded.differs(f"trial {record.trial} was evaluated", f"it is the turn of trial {turn_of}")
        source = progress.source
        progress.done += 1
        progress.failure = record.failure
        self._states.use(progress.source)
        self._states.release(source)
        self._spent = record.spent_pairs
        best = record.state is not None and self._apply_score(record, progress)
        self._stop.evaluated(record, best)
        if not progress.over:
            self._order.begin(record.trial, progress.intervals[progress.done])

    def _apply_score(self, record: Evaluated, progress: Progress) -> bool:
        """Take in the score of an evaluation; tell whether it is the best so far."""
        metrics = {name: value for name, value in record.metrics.items() if value is not None}
        if record.evidence is not None:
            self._oracle.report_evidence(record.trial, record.evidence)
        self._oracle.update_trial(record.trial, metrics, step=progress.done)
        state = StateReference(self._jobs.state_name(record.trial, record.interval_index), cast(str, record.state))
        self._states.save(record.trial, state)
        score = metrics[self._start.objective]
        progress.scored(score, self._results.is_better(score, progress.best), self._patience)
        self._stopped |= progress.stopped
        assignment = progress.assignment
        result = Winner(record.trial, record.interval_index, record.trained_pairs, metrics, assignment.values, state)
        best = self._results.take(result, score, assignment.member)
        if best:
            self._states.prefer(record.trial)
        return best
