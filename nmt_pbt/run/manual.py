"""Tuning by hand: one guess after the other in a run, beside what its searches tried.

The user sees dev scores, as the other methods do. The test split is decoded only on request, so that it does not steer
the guesses; the report marks guesses that were made after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.run.job_queue import TrainingJobs
from nmt_pbt.run.records import (
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    Guessed,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Tested,
)
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.methods.registry import is_replay
from nmt_pbt.settings.tree import RunSettings

if TYPE_CHECKING:
    from nmt_pbt.run.records import SearchRecord
    from nmt_pbt.tasks.protocol import Task
    from nmt_pbt.tasks.state import StateStore

METHOD = "manual"


@dataclass(frozen=True)
class Tried:
    """What a run has tried: a trial with constant values, or the winner of a population.

    Attributes:
        method: The method that tried it.
        seed: The seed of the search.
        trial: The trial.
        values: Its hyperparameters; for a population's winner, those in force when it won.
        score: Its best score on dev; None where it has none.
        epochs: How many epochs it was trained when it had that score.
        note: A remark: why it failed, or whose winner it is.
    """

    method: str
    seed: int
    trial: str
    values: Mapping[str, Value]
    score: float | None
    epochs: float
    note: str = ""


def tried(records: Sequence[AnyRecord]) -> list[Tried]:
    """Return what a run has tried, the best first; trials without a score come last.

    Args:
        records: The journal's records.
    """
    starts = {(record.method, record.seed): record for record in records if isinstance(record, SearchStarted)}
    given = {(r.method, r.seed, r.trial): r for r in records if isinstance(r, Assigned)}
    best: dict[tuple[str, int, str], Evaluated] = {}
    notes: dict[tuple[str, int, str], str] = {}
    for record in records:
        if isinstance(record, Evaluated):
            key = record.method, record.seed, record.trial
            if key not in best or _better(record, best[key], starts[key[:2]]):
                best[key] = record
        elif isinstance(record, Ended) and record.status == "failed":
            notes[record.method, record.seed, record.trial] = f"failed: {record.reason}"
    members: dict[tuple[str, int], tuple[str, int, str]] = {}
    shown = []
    for key, assigned in given.items():
        if assigned.member is None:
            shown.append(key)
        elif key in best:
            winner = members.setdefault(key[:2], key)
            if _better(best[key], best[winner], starts[key[:2]]):
                members[key[:2]] = key
    shown += members.values()
    for key in members.values():
        notes[key] = "best of its models" if is_replay(key[0]) else "winner of its population"
    found = [_tried(given[key], best.get(key), starts[key[:2]], notes.get(key, "")) for key in shown]
    sign = -1 if any(start.direction == "max" for start in starts.values()) else 1
    return sorted(found, key=lambda one: (one.score is None, sign * (one.score or 0.0)))


def _tried(assigned: Assigned, best: Evaluated | None, start: SearchStarted, note: str) -> Tried:
    score = best.metrics.get(start.objective) if best is not None else None
    epochs = best.trained_pairs / start.pairs_per_epoch if best is not None else 0.0
    note = note or ("" if best is not None else "not evaluated yet")
    return Tried(assigned.method, assigned.seed, assigned.trial, assigned.values, score, epochs, note)


def _better(one: Evaluated, than: Evaluated, start: SearchStarted) -> bool:
    mine, other = one.metrics.get(start.objective), than.metrics.get(start.objective)
    if mine is None or other is None:
        return other is None and mine is not None
    return mine > other if start.direction == "max" else mine < other


def is_under_way(records: Sequence[AnyRecord]) -> bool:
    """Return whether a run's search by hand was interrupted during its last guess."""
    over = True
    for record in records:
        if not isinstance(record, RunStarted) and record.method == METHOD:
            over = isinstance(record, (SearchEnded, Tested))
    return not over


def check_free_to_guess(run: RunDirectory, records: Sequence[AnyRecord], settings: RunSettings) -> None:
    """Refuse a guess into a run whose listed guesses have not been tried, or whose last one was interrupted.

    Raises:
        UsageError: Says how to go on.
    """
    stopped = [record.rule for record in records if isinstance(record, SearchEnded) and record.method == METHOD]
    if any(stopped):
        raise UsageError(
            f"{run.path}: search.stop.{next(filter(None, stopped))} ended its guesses, and an ended search stays so; "
            "begin a new run"
        )
    started = any(isinstance(record, SearchStarted) and record.method == METHOD for record in records)
    listed = METHOD in settings.search.methods
    if is_under_way(records) and not (listed and not _by_hand(records)):
        raise UsageError(
            f"{run.path}: a guess was interrupted; finish it first with nmt-pbt manual {run.path} --resume"
        )
    if listed and (not started or is_under_way(records)):
        raise UsageError(
            f"{run.path}: the guesses of its settings have not all been tried; continue it first with nmt-pbt compare "
            f"--resume {run.path}"
        )


def check_free_to_test(run: RunDirectory, records: Sequence[AnyRecord]) -> None:
    """Refuse to decode the test split when there is no guess, one is under way, or the best one was tested already.

    Raises:
        UsageError: Says which of these.
    """
    mine = [record for record in records if not isinstance(record, RunStarted) and record.method == METHOD]
    if is_under_way(records):
        raise UsageError(
            f"{run.path}: a guess was interrupted; finish it first with nmt-pbt manual {run.path} --resume"
        )
    guesses = [one for one in tried(records) if one.method == METHOD and one.score is not None]
    if not guesses:
        raise UsageError(
            f"{run.path}: no guess by hand has a score; add one with --set, for instance --set dropout=0.3"
        )
    tested = [record for record in mine if isinstance(record, Tested)]
    if tested and tested[-1].trial == guesses[0].trial:
        raise UsageError(f"{run.path}: the best guess, trial {guesses[0].trial}, was tested already; see its report")


def told(records: Sequence[AnyRecord], objective: str) -> str:
    """Return a sentence on how the last guess by hand ranks among all that a run tried.

    Args:
        records: The journal's records.
        objective: The dev metric that decides.
    """
    guesses = [record for record in records if isinstance(record, Assigned) and record.method == METHOD]
    if not guesses:
        return "No guess was tried yet."
    last = guesses[-1]
    order = tried(records)
    place, one = next((n, one) for n, one in enumerate(order, 1) if (one.method, one.trial) == (METHOD, last.trial))
    if one.score is None:
        return f"Guess {last.trial} has no score ({one.note})."
    scored = sum(other.score is not None for other in order)
    return f"Guess {last.trial}: {objective} {one.score:.2f}, rank {place} of {scored}."


def _by_hand(records: Sequence[AnyRecord]) -> bool:
    """Return whether the search by hand got beyond the guesses of the settings."""
    return any(isinstance(record, Guessed) for record in records)


def guess(
    run: RunDirectory,
    settings: RunSettings,
    task: Task,
    values: Mapping[str, Value] | None,
    test: bool = False,
    listener: Callable[[SearchRecord], None] = lambda record: None,
) -> None:
    """Train one more guess, or finish one that was interrupted, or test the best one.

    Args:
        run: The run.
        settings: Its settings.
        task: What it trains.
        values: The guess; None only finishes what was begun.
        test: Test the best guess.
        listener: Called with every record of the search by hand, replayed ones too.

    Raises:
        UsageError: Another process writes this run, or settings, data or program are not those of the run.
        JournalError: The journal is damaged, or does not replay.
    """
    from nmt_pbt.run.driver import Driver
    from nmt_pbt.run.engines import build_engine
    from nmt_pbt.run.records import search_started
    from nmt_pbt.run.scheduler import Scheduler
    from nmt_pbt.run.winner_test import WinnerTest
    from nmt_pbt.search.methods.manual import build_search_by_hand
    from nmt_pbt.search.methods.registry import build_method
    from nmt_pbt.tasks.state import StateStore

    alone = settings.engine.model_copy(update={"workers": 1})
    states, seed = StateStore(run.states / METHOD), settings.seed
    with run.writing(settings, task.data_digest) as journal:
        _restore(run, journal.records, seed, states)
        listed = METHOD in settings.search.methods
        plan, epoch = settings.search_plan(), task.pairs_per_epoch
        oracle = build_method(METHOD, plan, seed, epoch) if listed else build_search_by_hand(plan, seed, epoch)
        start = search_started(METHOD, oracle, plan, seed)
        guessed = None
        if values is not None:
            epochs = float(values.get("epochs", settings.epochs))
            guessed = Guessed(method=METHOD, seed=seed, values=dict(values), pairs=oracle.budget.pairs(epochs))
        search = Driver(
            oracle,
            states,
            journal,
            start,
            listener,
            settings.patience,
            WinnerTest(run) if test else None,
            settings.search.stop,
        )
        search.begin(guessed)
        engine = build_engine(alone, task, states, 1)
        try:
            Scheduler(engine, task.structural).run([search])
        finally:
            engine.close()


def _restore(run: RunDirectory, records: Sequence[AnyRecord], seed: int, states: StateStore) -> None:
    """Copy the best state so far back from the models, where it went when it was tested: it may win again."""
    from nmt_pbt.tasks.state import StateStore, content_hash

    models, name = StateStore(run.models), f"{METHOD}-seed{seed}"
    if not models.exists(name):
        return
    model = models.load(name)
    found = content_hash(model)
    for record in records:
        if isinstance(record, Evaluated) and (record.method, record.seed, record.state) == (METHOD, seed, found):
            saved_as = TrainingJobs(METHOD, seed).state_name(record.trial, record.interval_index)
            if not states.exists(saved_as):
                states.save(saved_as, model)
            return
