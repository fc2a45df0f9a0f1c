"""The main job: each method searches the same space for the same budget; each winner is tested once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import NARROW, NOT_FINITE, SearchError
from nmt_pbt.run.driver import Driver, Listener
from nmt_pbt.run.engines import build_engine
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.preflight import check_going_on
from nmt_pbt.run.records import Evaluated, SearchEnded, SearchRecord, Tested, search_started
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.schedule import found_schedule
from nmt_pbt.run.scheduler import Scheduler
from nmt_pbt.run.winner_test import WinnerTest
from nmt_pbt.search.methods.registry import build_method, in_order, waits_for_pbt
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment
from nmt_pbt.settings.tree import RunSettings
from nmt_pbt.tasks.answers import declared
from nmt_pbt.tasks.protocol import Task
from nmt_pbt.tasks.state import StateStore

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


BuildOracle = Callable[[str, SearchPlan, int, int, Sequence[Segment]], "JournaledOracle"]


def compare(
    run: RunDirectory,
    settings: RunSettings,
    task: Task,
    listener: Callable[[SearchRecord], None] = lambda record: None,
    tell: Callable[[str], None] = lambda text: None,
    build_oracle: BuildOracle = build_method,
) -> None:
    """Search with each method and seed, and test each winner; goes on from whatever the run already holds.

    Args:
        run: An existing run directory.
        settings: Its settings.
        task: What is trained.
        listener: Called with every record, replayed ones too.
        tell: Called with a line on how many workers there are, if the machine decided that.
        build_oracle: Builds the oracle of a method for one search; see `search.methods.registry.build_method`.

    Raises:
        UsageError: Another process writes this run, or settings or data changed since it was begun, or not all of its
            searches would go on with more epochs.
        JournalError: The journal is damaged, or does not replay.
        SearchError: Every trial of every method failed.
    """
    if settings.search.more_epochs:
        check_going_on(run.records(), settings)
    data_digest, pairs_per_epoch = declared(task, "data_digest", str), declared(task, "pairs_per_epoch", int)
    with run.writing(settings, data_digest) as journal:
        task.begin(run.path)
        states = StateStore(run.states)
        searches = _Searches(run, settings, pairs_per_epoch, journal, states, listener, build_oracle)
        first = searches.ready()
        states.keep(frozenset().union(*(search.states_needed() for search in first)))
        engine = build_engine(settings.engine, task, states, sum(search.jobs_ready for search in first), tell)
        try:
            Scheduler(engine, task.structural).run(first, searches.ready)
        finally:
            engine.close()
        states.keep(frozenset())  # what was under way when a rule stopped a search may have come after that
        _check_any_succeeded(run, journal)


@dataclass
class _Searches:
    """The searches of a run: which of them can begin, and how."""

    run: RunDirectory
    settings: RunSettings
    pairs_per_epoch: int
    journal: Journal
    states: StateStore
    listener: Listener
    build_oracle: BuildOracle
    _begun: dict[tuple[str, int], Driver | None] = field(default_factory=dict)  # None: nothing is left to do

    def ready(self) -> list[Driver]:
        """Begin the searches that can begin now and have not: each one, but a replay of what is yet to be found."""
        plan = self.settings.search_plan()
        found = []
        for seed in range(self.settings.seed, self.settings.seed + self.settings.search.seeds):
            for name in in_order(plan):
                if (name, seed) in self._begun:
                    continue
                if waits_for_pbt(name, plan) and not self._is_over("pbt", seed):
                    continue
                driver = None
                if (done := self._tested(name, seed)) and not self.settings.search.more_epochs:
                    self.listener(done)
                elif (driver := self._driver(plan, name, seed)) is not None:
                    driver.begin()
                    found.append(driver)
                self._begun[name, seed] = driver
        return [driver for driver in found if not driver.done]

    def _driver(self, plan: SearchPlan, name: str, seed: int) -> Driver | None:
        schedule: list[Segment] = []
        if waits_for_pbt(name, plan):
            found = found_schedule(self.journal.of("pbt", seed), "pbt", seed, self.run.path.name)
            if found is None:
                return None  # every trial of PBT failed, which the journal says
            schedule = found.plain
        oracle = self.build_oracle(name, plan, seed, self.pairs_per_epoch, schedule)
        start = search_started(name, oracle, plan, seed)
        test = WinnerTest(self.run, self.settings.kept_models - 1)
        stop = self.settings.search.stop
        return Driver(oracle, self.states, self.journal, start, self.listener, self.settings.patience, test, stop)

    def _tested(self, method: str, seed: int) -> Tested | None:
        return next((record for record in self.journal.of(method, seed) if isinstance(record, Tested)), None)

    def _is_over(self, method: str, seed: int) -> bool:
        if (method, seed) not in self._begun:
            return False
        driver = self._begun[method, seed]
        return driver is None or driver.ended


def _check_any_succeeded(run: RunDirectory, journal: Journal) -> None:
    reasons, failures = [], set()
    for record in journal:
        match record:
            case Tested():
                return
            case SearchEnded():
                reasons.append(record.reason)
            case Evaluated():
                failures.add(record.failure)
    reason = reasons[-1]
    if failures == {NOT_FINITE}:
        reason = f"train or evaluate returned what is not finite in every trial; return finite numbers, or {NARROW}"
    raise SearchError(f"{run.path}: no search of this run has a winner; the last one: {reason}")
