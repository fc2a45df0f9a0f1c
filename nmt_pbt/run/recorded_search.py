"""What one search has come to, as its journal records tell it.

It changes through records alone. On resume, the recorded ones are applied to a fresh oracle, which has to decide as the
first one did: so a resumed search is where the killed one was.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from nmt_pbt.base.errors import AllFailedError, StateError, UsageError
from nmt_pbt.run.job_queue import TrainingJobs
from nmt_pbt.run.jobs import StateReference
from nmt_pbt.run.journal_check import JournalCheck
from nmt_pbt.run.logical_order import LogicalOrder
from nmt_pbt.run.progress import Progress, Results, Winner
from nmt_pbt.run.records import (
    Assigned,
    Ended,
    Evaluated,
    Extended,
    Guessed,
    SearchEnded,
    SearchRecord,
    SearchStarted,
    Tested,
)
from nmt_pbt.run.states import RetainedStates
from nmt_pbt.run.stop import StopRules
from nmt_pbt.search.settings import StopSettings

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

    from nmt_pbt.search.oracles.base import JournaledOracle
    from nmt_pbt.search.oracles.manual import ManualOracle


class RecordedSearch:
    """One method's search with one seed, as far as its records go.

    Args:
        oracle: Chooses trials; fresh.
        journal: The file that the records are in, to be named in errors.
        start: The record that opens this search.
        patience: Evaluations in a row without a better objective that end a trial; None never does.
        stop: Rules that end the search before its budget is spent.

    Attributes:
        oracle: Has decided as the records say.
        in_order: Whether results count in logical order; else they count as they come in.
        under_way: Trials that are not over, in the order in which their intervals were given out.
        order: Whose turn it is to be evaluated.
        states: The saved states that may still be needed.
        jobs: Makes jobs and records.
        results: The evaluations.
        stop: The rules that may end it.
        budget_pairs: What the search trains in all, as recorded.
        spent_pairs: What it has trained so far.
        started: Whether it was opened.
        extended: Whether it went on with a larger budget.
        ended: Whether it is over, whether or not its winner was tested.
        tested: The test of its winner; None before.
        given_up: Why no more trials are given out; None as long as some may be.
    """

    def __init__(
        self, oracle: JournaledOracle, journal: Path, start: SearchStarted, patience: int | None, stop: StopSettings
    ) -> None:
        self.oracle = oracle
        self.in_order = oracle.takes_results_in_order
        self.under_way: dict[str, Progress] = {}
        self.order = LogicalOrder(self.in_order)
        self.states = RetainedStates(oracle)
        self.jobs = TrainingJobs(start.method, start.seed, oracle.needs_evidence is not None)
        self.results = Results(start)
        self.stop = StopRules(stop, start)
        self.budget_pairs = self.spent_pairs = 0
        self.started = self.extended = self.ended = False
        self.tested: Tested | None = None
        self.given_up: str | None = None
        self._start = start
        self._journal = journal
        self._recorded = JournalCheck(journal, start)
        self._patience = patience
        self._assigned = 0
        self._stopped_early = False

    @property
    def name(self) -> str:
        """The search in words: its method and its seed."""
        return f"{self._start.method}, seed {self._start.seed}"

    @property
    def winner(self) -> Winner | None:
        """The best evaluation so far."""
        return self.results.winner

    def search_ended(self) -> SearchEnded:
        """Return the record that the search is over."""
        spent = "stopped early" if self._stopped_early else "budget spent"
        reason = self.given_up or (spent if self.winner is not None else "every trial failed")
        return SearchEnded(
            method=self._start.method,
            seed=self._start.seed,
            spent_pairs=self.spent_pairs,
            reason=self.stop.reason or reason,
            rule=self.stop.rule,
        )

    def assigned_to(self, trial: Trial) -> Assigned:
        """Return the record that a trial was given out."""
        progress = self.progress_of(trial)
        return self.jobs.record(progress.assignment, progress.intervals)

    def create_trial(self) -> Trial:
        """Let the oracle decide on the next trial."""
        # KerasTuner gives a worker its unfinished trial again, so each request comes under a name of its own.
        return self.oracle.create_trial(str(self._assigned))

    def start_of(self, progress: Progress) -> StateReference | None:
        """Return the state from which the next interval of a trial starts; None for fresh weights."""
        if progress.source is None:
            return None
        if progress.source not in self.states.latest:
            # Fresh weights instead would be a search that nobody asked for.
            raise StateError(
                f"{self._journal}: {self.name}: trial "
                f"{progress.assignment.trial} starts from trial {progress.source}, of which no state was ever saved; "
                "report this"
            )
        return self.states.latest[progress.source]

    def progress_of(self, trial: Trial) -> Progress:
        """Return a trial, finished or not, as it was before any of it was trained."""
        assignment = self.oracle.assignment(trial)
        return Progress(assignment, self.oracle.budget.intervals(assignment))

    # --- records: the only way it changes ---

    def replay(self, record: SearchRecord) -> None:
        """Apply a record that was made before, after checking that the same would be decided now.

        Args:
            record: The next record of this search.

        Raises:
            JournalError: Something else would be decided now.
            UsageError: The search went on for more epochs before.
        """
        if isinstance(record, SearchStarted):
            # A population's budget may have grown since: what it decided before does not rest on that.
            grown = self.oracle.population_size is not None and record.budget_pairs < self._start.budget_pairs
            update = {"budget_pairs": record.budget_pairs} if grown else {}
            self._recorded.check_decision(record, self._start.model_copy(update=update))
        elif isinstance(record, Extended) and self.budget_pairs + record.pairs > self._start.budget_pairs:
            raise UsageError(
                f"{self._journal}: {self.name} went on for more epochs before than search.more_epochs says; "
                "leave it as it was, or make it larger"
            )
        elif isinstance(record, SearchEnded):
            self._recorded.check_stop(record, self.stop.rule)
        elif isinstance(record, Assigned):
            trial = self.create_trial()
            if trial.status != "RUNNING":
                raise self._recorded.differs(f"trial {record.trial} was given out", f"none is ({trial.status})")
            self._recorded.check_decision(record, self.assigned_to(trial))
        elif isinstance(record, Evaluated | Ended):
            self._recorded.check_result(record, self.under_way.get(record.trial))
        self.apply(record)

    def apply(self, record: SearchRecord) -> None:
        """Change as a record says."""
        match record:
            case SearchStarted():
                self.started = True
                self.budget_pairs = record.budget_pairs
            case Extended():
                self.budget_pairs += record.pairs
                self.extended = True
                self.ended, self.given_up, self.tested = False, None, None
            case Guessed():
                cast("ManualOracle", self.oracle).add(record.values)
                self.ended, self.given_up, self.tested = False, None, None
            case Assigned():
                progress = self.under_way[record.trial] = self.progress_of(self.oracle.get_trial(record.trial))
                self.states.use(progress.source)
                self._assigned += 1
                self.order.begin(record.trial, progress.intervals[0])
                self.stop.assigned(record.trial)
            case Evaluated():
                self._apply_evaluated(record)
            case Ended():
                trial = self.oracle.get_trial(record.trial)
                trial.status = "COMPLETED" if record.status == "completed" else "FAILED"
                trial.message = record.reason or None
                try:
                    self.oracle.end_trial(trial)
                except AllFailedError as error:
                    self.given_up = str(error)  # trials under way go on: one of them may yet succeed
                self.states.release(self.under_way.pop(record.trial).source)
            case SearchEnded():
                self.ended = True
            case Tested():
                self.tested = record

    def _apply_evaluated(self, record: Evaluated) -> None:
        # In the order in which they were submitted: a resumed run gives them out in it again.
        progress = self.under_way[record.trial] = self.under_way.pop(record.trial)
        turn_of = self.order.end(record.trial)
        if turn_of is not None:
            raise self._recorded.differs(f"trial {record.trial} was evaluated", f"it is the turn of trial {turn_of}")
        source = progress.source
        progress.done += 1
        progress.failure = record.failure
        self.states.use(progress.source)
        self.states.release(source)
        self.spent_pairs = record.spent_pairs
        best = record.state is not None and self._apply_score(record, progress)
        self.stop.evaluated(record, best)
        if not progress.over:
            self.order.begin(record.trial, progress.intervals[progress.done])

    def _apply_score(self, record: Evaluated, progress: Progress) -> bool:
        """Process the score of an evaluation; return whether it is the best so far."""
        metrics = {name: value for name, value in record.metrics.items() if value is not None}
        if record.evidence is not None:
            self.oracle.report_evidence(record.trial, record.evidence)
        self.oracle.update_trial(record.trial, metrics, step=progress.done)
        state = StateReference(self.jobs.state_name(record.trial, record.interval_index), cast(str, record.state))
        self.states.save(record.trial, state)
        score = metrics[self._start.objective]
        progress.scored(score, self.results.is_better(score, progress.best), self._patience)
        self._stopped_early |= progress.stopped
        assignment = progress.assignment
        result = Winner(record.trial, record.interval_index, record.trained_pairs, metrics, assignment.values, state)
        best = self.results.take(result, score, assignment.member)
        if best:
            self.states.prefer(record.trial)
        return best
