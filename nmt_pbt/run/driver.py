"""The loop between an oracle and an engine: gives trials to free workers, tells the oracle, writes the journal.

One rule for every method and every engine. Every change of state goes through a journal record: live, the record is
appended and then applied; on resume, the recorded ones are applied again to a fresh oracle, which has to decide as
it did. So a resumed search is where the killed one was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from nmt_pbt.base.errors import AllFailedError, StateError
from nmt_pbt.run.jobs import Engine, JobResult, Progress, Results, StateReference, TrainingJob, TrainingJobs, Winner
from nmt_pbt.run.journal import (
    Assigned,
    Ended,
    Evaluated,
    Guessed,
    Journal,
    SearchEnded,
    SearchRecord,
    SearchStarted,
)
from nmt_pbt.run.journal_check import JournalCheck
from nmt_pbt.run.states import Repairs, RetainedStates
from nmt_pbt.search.plan import SearchPlan

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

    from nmt_pbt.search.manual import ManualOracle
    from nmt_pbt.search.oracles import JournaledOracle

Listener = Callable[[SearchRecord], None]


def search_started(method: str, oracle: JournaledOracle, plan: SearchPlan, seed: int) -> SearchStarted:
    """Return the record that opens a search.

    Args:
        method: Its method's name.
        oracle: The oracle that was built for it.
        plan: What it searches.
        seed: Its seed.
    """
    budget, objective = oracle.budget, oracle.objective
    return SearchStarted(
        method=method,
        seed=seed,
        objective=objective.name,
        direction=objective.direction,
        budget_pairs=budget.total,
        interval_pairs=budget.pairs(plan.settings.interval),
        pairs_per_epoch=budget.pairs_per_epoch,
        population=oracle.population_size or plan.settings.population,
    )


class Driver:
    """Runs one method's search with one seed.

    Args:
        oracle: Chooses trials; fresh.
        engine: Where trials run.
        journal: Where it is written down, and what is read back to resume.
        start: The record that opens this search; it names method, seed and objective.
        listener: Told every record of this search, replayed ones too, for a progress display.
        patience: Evaluations in a row without a better objective that end a trial; what is left of its budget is not
            spent. None never does.
    """

    def __init__(
        self,
        oracle: JournaledOracle,
        engine: Engine,
        journal: Journal,
        start: SearchStarted,
        listener: Listener = lambda record: None,
        patience: int | None = None,
    ) -> None:
        self._patience = patience
        self._oracle = oracle
        self._engine = engine
        self._journal = journal
        self._start = start
        self._listener = listener
        self._under_way: dict[str, Progress] = {}
        self._states = RetainedStates(oracle)
        self._jobs = TrainingJobs(start.method, start.seed, oracle.needs_evidence is not None)
        self._recorded = JournalCheck(journal.path, start)
        self._repairs = Repairs(self._jobs, journal, self._progress_of)
        self._sent: dict[str, TrainingJob] = {}
        self._began = 0.0
        self._free_since: dict[str, float] = {}
        self._results = Results(start)
        self._spent = 0
        self._assigned = 0
        self._started = False
        self._stopped = False
        self._ended = False
        self._given_up: str | None = None

    def run(self, guess: Guessed | None = None) -> Winner | None:
        """Search until the budget is spent; resumes what the journal holds of this search.

        Args:
            guess: One more for a search by hand, to be tried after what it has been given so far.

        Returns:
            The winner on the dev split; None when every trial failed, which the journal then says.

        Raises:
            JournalError: The recorded decisions do not come out again.
            SearchError: The engine cannot go on.
            StateError: A state that is needed was lost, and training it again gave another one.
        """
        for record in self._journal.of(self._start.method, self._start.seed):
            self._replay(record)
        if not self._started:
            self._append(self._start)
        if guess is not None:
            self._append(guess)
        if not self._ended:
            self._search()
            spent = "stopped early" if self._stopped else "budget spent"
            reason = self._given_up or (spent if self._results.winner is not None else "every trial failed")
            self._append(
                SearchEnded(method=self._start.method, seed=self._start.seed, spent_pairs=self._spent, reason=reason)
            )
        winner = self._results.winner
        if winner is not None:
            self._have(winner.state)
        return winner

    def runners_up(self, count: int) -> list[Winner]:
        """Return the best of the states that are still saved, of other members than the winner's, the best first.

        Args:
            count: How many, at most; one of each member. A search without a population has none.
        """
        found = self._results.runners_up(self._oracle.needed(), count)
        for result in found:
            self._have(result.state)
        return found

    # --- the loop ---

    def _search(self) -> None:
        for progress in [progress for progress in self._under_way.values() if progress.over]:
            self._end(progress)  # what the run was stopped before
        self._engine.keep(self._states.needed())
        waiting = list(self._under_way.values())  # in flight when the run was stopped: given out again first
        self._began = time.perf_counter()
        busy: set[str] = set()
        for progress in list(waiting):
            if progress.worker in self._engine.workers and progress.worker not in busy:
                waiting.remove(progress)
                self._submit(progress.worker, progress)
                busy.add(progress.worker)
        while True:
            for worker in self._engine.workers:
                if worker not in busy:
                    if (next_one := self._next(worker, waiting)) is None:
                        break  # nor is there anything for the others
                    self._submit(worker, next_one)
                    busy.add(worker)
            if not busy and self._engine.workers:
                return
            result = self._engine.wait()
            if result is None or self._is_of_repair(result):
                continue
            self._free_since[result.worker] = time.perf_counter()
            progress = self._take_in(result)
            if progress.over:
                busy.discard(result.worker)
            else:
                self._submit(result.worker, progress)

    def _next(self, worker: str, waiting: list[Progress]) -> Progress | None:
        """Return what a free worker does next; None when there is nothing for it now."""
        if waiting:
            return waiting.pop(0)
        # Each trial under way has a state on the disk: however many workers there are, they are to stay within bounds.
        if self._given_up is not None or len(self._under_way) >= 2 * self._start.population:
            return None
        began = time.perf_counter()
        trial = self._create_trial(worker)
        if trial.status != "RUNNING":
            return None
        assigned = self._assigned_to(worker, trial)
        self._append(assigned)
        progress = self._under_way[assigned.trial]
        progress.decided = time.perf_counter() - began
        return progress

    def _assigned_to(self, worker: str, trial: Trial) -> Assigned:
        assignment = self._oracle.assignment(trial)
        return self._jobs.record(worker, assignment, self._oracle.budget.intervals(assignment))

    def _create_trial(self, worker: str) -> Trial:
        # KerasTuner gives a worker its unfinished trial again. Here a trial may pass to another worker on resume, so
        # each request comes under a name of its own.
        return self._oracle.create_trial(f"{worker}-{self._assigned}")

    def _submit(self, worker: str, progress: Progress) -> None:
        start = self._start_of(progress)
        self._give(worker, self._jobs.job(progress.assignment, progress.done, progress.intervals[progress.done], start))
        free_since = self._free_since.get(worker, self._began)
        progress.waited = max(0.0, time.perf_counter() - free_since - progress.decided)

    def _give(self, worker: str, job: TrainingJob) -> None:
        self._sent[worker] = job
        self._engine.submit(worker, job)

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

    def _take_in(self, result: JobResult) -> Progress:
        """Write down a result and act on it."""
        progress = self._under_way[result.trial]
        start = self._start_of(progress)
        self._append(
            Evaluated(
                method=self._start.method,
                seed=self._start.seed,
                trial=result.trial,
                interval_index=progress.done,
                worker=result.worker,
                trained_pairs=result.trained_pairs,
                spent_pairs=self._spent + progress.intervals[progress.done],
                metrics=dict(result.metrics) if result.failure is None else {self._start.objective: None},
                started=start.hash if start is not None else None,
                state=result.state.hash if result.state is not None else None,
                failure=result.failure,
                evidence=result.evidence,
                samples=list(result.samples) if self._is_best(result) else [],
                seconds=result.seconds.model_copy(
                    update={"decide": round(progress.decided, 6), "idle": round(progress.waited, 6)}
                ),
            )
        )
        progress.decided = 0.0
        if progress.over:
            self._end(progress)
        self._engine.drop(self._states.needless() - self._repairs.in_use)
        return progress

    def _is_best(self, result: JobResult) -> bool:
        return result.failure is None and self._results.is_best(result.metrics)

    def _end(self, progress: Progress) -> None:
        stopped = f"no better {self._start.objective} {self._patience} times" if progress.stopped else ""
        self._append(
            Ended(
                method=self._start.method,
                seed=self._start.seed,
                trial=progress.assignment.trial,
                status="completed" if progress.failure is None else "failed",
                reason=progress.failure or stopped,
            )
        )

    # --- states that were lost ---

    def _is_of_repair(self, result: JobResult) -> bool:
        """Tell whether a result is no trial's, but about a lost state; sees then that this is made again."""
        worker = result.worker
        if result.lost is not None:
            sent = self._sent[worker]
            if sent.start is None:
                raise StateError(result.lost)
            self._give(worker, self._repairs.begin(worker, sent.start, result.lost, sent))
        elif self._repairs.is_under_way(worker):
            following, used = self._repairs.go_on(result)
            if used is not None:
                self._engine.drop(frozenset({used.name}) - self._states.needed() - self._repairs.in_use)
            if following is not None:
                self._give(worker, following)
        else:
            return False
        return True

    def _have(self, state: StateReference) -> None:
        """See that a state is there, when no trial is under way."""
        problem = self._engine.problem(state)
        if problem is None:
            return
        while not self._engine.workers:
            self._engine.wait()
        worker = self._engine.workers[0]
        self._give(worker, self._repairs.begin(worker, state, problem))
        while self._repairs.is_under_way(worker):
            result = self._engine.wait()
            if result is not None:
                self._is_of_repair(result)

    def _progress_of(self, trial: str) -> Progress:
        """Return a trial, over or not, as it was before anything of it was trained."""
        assignment = self._oracle.assignment(self._oracle.get_trial(trial))
        return Progress(assignment, "", self._oracle.budget.intervals(assignment))

    # --- records: the only way the search's state changes ---

    def _append(self, record: SearchRecord) -> None:
        # A decision that the machine takes with it is made again; a result is not, once older states are deleted.
        self._journal.append(record, durable=not isinstance(record, Assigned | Ended))
        self._apply(record)

    def _replay(self, record: SearchRecord) -> None:
        if isinstance(record, SearchStarted):
            self._recorded.check_decision(record, self._start)
        elif isinstance(record, Assigned):
            trial = self._create_trial(record.worker)
            if trial.status != "RUNNING":
                raise self._recorded.differs(f"trial {record.trial} was given out", f"none is ({trial.status})")
            self._recorded.check_decision(record, self._assigned_to(record.worker, trial))
        elif isinstance(record, Evaluated | Ended):
            self._recorded.check_result(record, self._under_way.get(record.trial))
        self._apply(record)

    def _apply(self, record: SearchRecord) -> None:
        match record:
            case SearchStarted():
                self._started = True
            case Guessed():
                cast("ManualOracle", self._oracle).add(record.values)
                self._ended, self._given_up = False, None
            case Assigned():
                progress = replace(self._progress_of(record.trial), worker=record.worker)
                self._under_way[record.trial] = progress
                self._states.use(progress.source)
                self._assigned += 1
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
        self._listener(record)

    def _apply_evaluated(self, record: Evaluated) -> None:
        # In the order in which they were submitted: a resumed run gives them out in it again.
        progress = self._under_way[record.trial] = self._under_way.pop(record.trial)
        source = progress.source
        progress.done += 1
        progress.failure = record.failure
        self._states.use(progress.source)
        self._states.release(source)
        self._spent = record.spent_pairs
        if record.state is None:
            return
        metrics = {name: value for name, value in record.metrics.items() if value is not None}
        if record.evidence is not None:
            self._oracle.report_evidence(record.trial, record.evidence)
        self._oracle.update_trial(record.trial, metrics, step=progress.done)
        state = StateReference(self._jobs.state_name(record.trial, record.interval_index), record.state)
        self._states.save(record.trial, state)
        score = metrics[self._start.objective]
        if self._results.is_better(score, progress.best):
            progress.best, progress.no_better = score, 0
        else:
            progress.no_better += 1
            progress.stopped = progress.no_better == self._patience
            self._stopped |= progress.stopped
        assignment = progress.assignment
        result = Winner(record.trial, record.interval_index, record.trained_pairs, metrics, assignment.values, state)
        if self._results.take(result, score, assignment.member):
            self._states.prefer(record.trial)
