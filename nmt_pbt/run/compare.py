"""The main job: each method searches the same space for the same budget; each winner is tested once."""

from __future__ import annotations

import time
from collections.abc import Callable

from nmt_pbt.base.errors import SearchError
from nmt_pbt.run.driver import Driver, search_started
from nmt_pbt.run.jobs import Engine, Winner
from nmt_pbt.run.journal import Journal, OtherTest, SearchEnded, SearchRecord, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.schedule import found_schedule
from nmt_pbt.run.worker import InlineEngine, TrainablePool
from nmt_pbt.search.methods.registry import build_method, in_order, waits_for_pbt
from nmt_pbt.search.segments import Segment
from nmt_pbt.settings.tree import EngineSettings, RunSettings
from nmt_pbt.tasks.protocol import Task
from nmt_pbt.tasks.state import StateStore


def compare(
    run: RunDirectory,
    settings: RunSettings,
    task: Task,
    listener: Callable[[SearchRecord], None] = lambda record: None,
) -> None:
    """Search with each method and seed, and test each winner; goes on from whatever the run already holds.

    Args:
        run: An existing run directory.
        settings: Its settings.
        task: What is trained.
        listener: Told every record, replayed ones too.

    Raises:
        UsageError: Another process writes this run, or settings or data changed since it was begun.
        JournalError: The journal is damaged, or does not replay.
        SearchError: Every trial of every method failed.
    """
    pool = TrainablePool(task)
    with run.writing(settings, task.data_digest) as journal:
        task.begin(run.path)
        states, models = StateStore(run.states), StateStore(run.models)
        engine = build_engine(settings.engine, task, pool, states)
        try:
            for seed in range(settings.seed, settings.seed + settings.search.seeds):
                for name in in_order(settings.search_plan()):
                    if done := _tested(journal, name, seed):
                        listener(done)
                        continue
                    driver = _driver(settings, task.pairs_per_epoch, name, seed, engine, journal, listener)
                    winner = driver.run() if driver is not None else None
                    if driver is None or winner is None:
                        continue
                    for other in driver.runners_up(settings.kept_models - 1):
                        models.save(other.state.name, states.load(other.state.name, other.state.hash))
                    tested = test_winner(run, task, pool, states, name, seed, winner)
                    journal.append(tested)
                    engine.keep(frozenset())
                    listener(tested)
        finally:
            engine.close()
        _check_any_succeeded(run, journal)


def _tested(journal: Journal, method: str, seed: int) -> Tested | None:
    return next((record for record in journal.of(method, seed) if isinstance(record, Tested)), None)


def _check_any_succeeded(run: RunDirectory, journal: Journal) -> None:
    reasons = []
    for record in journal:
        if isinstance(record, Tested):
            return
        if isinstance(record, SearchEnded):
            reasons.append(record.reason)
    raise SearchError(f"{run.path}: no search of this run has a winner; the last one: {reasons[-1]}")


def build_engine(settings: EngineSettings, task: Task, pool: TrainablePool, states: StateStore) -> Engine:
    """Build the engine of the settings.

    Args:
        settings: Which engine, and with how many workers.
        task: Builds trainables.
        pool: Live models of this process, for the engine that needs no other.
        states: Where states are saved.
    """
    if settings.name == "inline":
        return InlineEngine(pool, states, settings.workers)
    from nmt_pbt.run.ray_engine import RayEngine

    threads = settings.threads or 1
    task = task.with_threads(threads)
    return RayEngine(task, states, settings.workers, settings.address, float(threads), settings.gpus)


def _driver(
    settings: RunSettings,
    pairs_per_epoch: int,
    name: str,
    seed: int,
    engine: Engine,
    journal: Journal,
    listener: Callable[[SearchRecord], None],
) -> Driver | None:
    schedule: list[Segment] = []
    plan = settings.search_plan()
    if waits_for_pbt(name, plan):
        found = found_schedule(journal.of("pbt", seed), "pbt", seed, journal.path.parent.name)
        if found is None:
            return None  # every trial of PBT failed, which the journal says
        schedule = found.plain
    oracle = build_method(name, plan, seed, pairs_per_epoch, schedule)
    start = search_started(name, oracle, plan, seed)
    return Driver(oracle, engine, journal, start, listener, settings.patience)


def test_winner(
    run: RunDirectory, task: Task, pool: TrainablePool, states: StateStore, method: str, seed: int, winner: Winner
) -> Tested:
    """Test a search's winner once on the test split, and keep its model.

    Args:
        run: Where the model and what the task makes of the test split are kept.
        task: Tests it.
        pool: Live models.
        states: Where the winner's state is.
        method: Whose winner.
        seed: Of which search.
        winner: The winner.

    Returns:
        The record of it, not yet in the journal.
    """
    began = time.perf_counter()
    state = states.load(winner.state.name, winner.state.hash)
    live = pool.get(winner.values)
    live.at = None
    live.trainable.load(state)
    live.trainable.set_hyperparameters(winner.values)
    name = f"{method}-seed{seed}"
    result = task.test(live.trainable, run.path, name)
    StateStore(run.models).save(name, state)
    return Tested(
        method=method,
        seed=seed,
        trial=winner.trial,
        interval_index=winner.interval_index,
        trained_pairs=winner.trained_pairs,
        dev={metric: value for metric, value in winner.metrics.items() if value is not None},
        test=dict(result.metrics),
        signatures=dict(result.signatures),
        outputs=result.outputs,
        test_set=result.test_set,
        others=[
            OtherTest(
                test_set=other.test_set or "",
                test=dict(other.metrics),
                signatures=dict(other.signatures),
                outputs=other.outputs,
            )
            for other in result.others
        ],
        seconds=round(time.perf_counter() - began, 3),
    )
