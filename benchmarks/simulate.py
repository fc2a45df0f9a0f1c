"""A search on many workers of uneven speed that fail, simulated: the real driver, oracle and journal; no training.

    python benchmarks/simulate.py --population 1000 --workers 100 --generations 30

    python benchmarks/simulate.py --comparison --population 8 --generations 20 --seeds 5 --workers 16

The second form simulates a whole comparison, pbt, random, grid and bayes with each seed: all searches at once, as the
program runs them, and one after the other beside it.

Time is virtual: an interval takes what its worker's speed says, and the next event is the next interval that ends. A
worker's speed is one of `--workers` that are spread evenly (on a log scale) from 1 to `--uneven`. A worker dies in some
intervals: it is back after a while and trains the interval again from its start, as with Ray. Some trials end in NaN.
What the search itself takes is real: CPU seconds of this process but for the simulation's own, journal included.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import math
import platform
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nmt_pbt.run.driver import Driver
from nmt_pbt.run.jobs import JobResult, StateReference, TrainingJob
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.records import Assigned, Evaluated, RunStarted, SearchStarted, search_started
from nmt_pbt.run.scheduler import Scheduler
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

EPOCH = 1000
"""Sentence pairs of an interval."""
BACK_AFTER = 2.0
"""Intervals of the fastest worker that a dead one is away for."""

Call = TypeVar("Call", bound=Callable[..., Any])


@dataclass(frozen=True)
class Cluster:
    """The simulated workers.

    Attributes:
        workers: How many.
        uneven: How many times as long the slowest one takes for an interval as the fastest, which takes 1.
        deaths: Share of intervals in which the worker dies, at a moment evenly drawn.
        failures: Share of trials that end in NaN.
    """

    workers: int = 100
    uneven: float = 10.0
    deaths: float = 0.01
    failures: float = 0.005


def timed(method: Call) -> Call:
    """Count the CPU seconds of a method as the simulation's own."""

    @wraps(method)
    def counting(engine: SimulatedEngine, *arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return method(engine, *arguments)
        finally:
            engine.own_cpu += time.process_time() - begun

    return counting  # type: ignore[return-value]


class SimulatedEngine:
    """Keeps the contracts of an engine and of its states, with a clock that jumps to the next event.

    Attributes:
        now: The virtual time, in intervals of the fastest worker.
        last_given: When the last interval was given out.
        idle: Time that all workers together waited for an interval before they got one.
        worked: Time that they spent on intervals, what was lost included.
        lost: Time they spent on intervals that they died in.
        away: Time they were dead.
        most_states: Most states there were at once.
        own_cpu: CPU seconds of the simulation itself.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = np.random.default_rng(seed)
        lengths = np.geomspace(1.0, cluster.uneven, cluster.workers)
        self._lengths = {f"worker{index}": float(length) for index, length in enumerate(lengths)}
        self.workers = tuple(self._lengths)
        self._events: list[tuple[float, int, str, TrainingJob]] = []
        self._submitted = 0
        self._skill: dict[str, tuple[float, int]] = {}
        self._free_since = dict.fromkeys(self.workers, 0.0)
        self.now = self.last_given = self.idle = self.worked = self.lost = self.away = self.own_cpu = 0.0
        self.most_states = 0

    @timed
    def submit(self, worker: str, job: TrainingJob) -> None:
        """Note when the interval will end."""
        length = self._lengths[worker] * job.pairs / EPOCH
        self.idle += self.now - self._free_since[worker]
        self.last_given = end = self.now
        while self._random.random() < self._cluster.deaths:
            wasted = length * self._random.random()
            self.worked += wasted
            self.lost += wasted
            self.away += BACK_AFTER
            end += wasted + BACK_AFTER
        self.worked += length
        self._submitted += 1
        heapq.heappush(self._events, (end + length, self._submitted, worker, job))

    @timed
    def wait(self) -> JobResult:
        """Go to the next interval that ends."""
        self.now, _, worker, job = heapq.heappop(self._events)
        self._free_since[worker] = self.now
        if self._random.random() < self._cluster.failures:
            return JobResult(worker, job.trial, failure="nan")
        skill, age = self._skill[job.start.name] if job.start is not None else (0.0, 0)
        # The best learning rate falls with age: what is learnt in an interval depends on how near the value is.
        rate, age = math.log(float(job.values["learning_rate"])), age + job.pairs
        reach = 40.0 - 3.0 * (rate + 5.5 + 0.02 * age / EPOCH) ** 2 - 20.0 * (float(job.values["dropout"]) - 0.3) ** 2
        skill += 0.1 * (max(reach, 0.0) - skill)
        self._skill[job.save_as] = skill, age
        self.most_states = max(self.most_states, len(self._skill))
        score = skill + 0.3 * float(self._random.normal())
        metrics = {"val_bleu": score, "val_chrf": 2 * score, "val_loss": -score, "train_loss": -score}
        return JobResult(worker, job.trial, metrics, age, StateReference(job.save_as, f"{self._submitted:064x}"))

    @timed
    def drop(self, names: frozenset[str]) -> None:
        """Forget the states named."""
        for name in names:
            self._skill.pop(name, None)

    def problem(self, name: str, expected_hash: str) -> str | None:
        """Tell what is wrong with a state: nothing ever is."""
        return None

    def load(self, name: str, expected_hash: str) -> MemberState:
        """Nobody asks for what is in a state."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to let go."""

    def utilisation(self, until: float) -> float:
        """Return the share of the time that workers were alive in which they had an interval to train.

        Args:
            until: The end of that time: of the search, or when the last interval was given out.
        """
        waiting = self.idle + sum(max(0.0, until - free) for free in self._free_since.values())
        return 1 - waiting / (len(self.workers) * until - self.away)


@dataclass
class Watch:
    """Follows the journal's records: how far members are apart, how long they wait, and whose children they are."""

    engine: SimulatedEngine
    members: int
    generations: int
    exploits: int = 0
    most_lag: int = 0
    longest_wait: float = 0.0
    finished: int = 0
    decided_cpu: list[float] = field(default_factory=list)
    _done: Counter[int] = field(default_factory=Counter)
    _behind: int = 0
    _of: dict[str, tuple[int, int]] = field(default_factory=dict)
    _free_since: dict[int, float] = field(default_factory=dict)
    founder: dict[str, str] = field(default_factory=dict)
    latest: dict[int, str] = field(default_factory=dict)

    def __call__(self, record: object) -> None:
        """Take in a record."""
        begun = time.process_time()
        if isinstance(record, Assigned):
            self.decided_cpu.append(begun - self.engine.own_cpu)
            self._assigned(record)
        elif isinstance(record, Evaluated):
            self._evaluated(record)
        self.engine.own_cpu += time.process_time() - begun

    def _assigned(self, record: Assigned) -> None:
        member = record.member or 0
        self.exploits += record.inherited
        self.founder[record.trial] = self.founder[record.parent] if record.parent is not None else record.trial
        self.latest[member] = record.trial
        self._of[record.trial] = member, record.generation
        waited = self.engine.now - self._free_since.get(member, 0.0)
        self.longest_wait = max(self.longest_wait, waited)

    def _evaluated(self, record: Evaluated) -> None:
        member, generation = self._of.pop(record.trial)
        self._free_since[member] = self.engine.now
        self._done[generation] += 1
        self.finished += generation == self.generations - 1
        while self._done[self._behind] == self.members:
            self._behind += 1
        self.most_lag = max(self.most_lag, max(self._done) + 1 - self._behind)


@dataclass(frozen=True)
class Outcome:
    """What one simulated search came to; the columns of the table.

    Attributes:
        utilisation: Share of the time that workers were alive in which they had an interval to train.
        until_given_out: The same until the last interval was given out: without the end, when there is none left.
        lost: Share of the work that was lost with workers that died.
        duration: Intervals of the fastest worker.
        decisions: Intervals given out.
        cpu: Milliseconds of CPU a decision: oracle, driver and journal.
        cpu_late: The same over the last tenth.
        wall: Milliseconds of wall-clock a decision, waiting for the disk included.
        journal: Bytes of the journal a decision.
        memory: Bytes that the process grew by, a decision.
        lag: Generations between the members furthest ahead and behind, at most.
        wait: Longest time a member waited for a worker, in intervals of the fastest.
        finished: Members that ended all their generations.
        exploits: Share of decisions that were exploits.
        founders: First trials that the last population descends from.
        states: Most states there were at once.
        best: The winner's score.
    """

    utilisation: float
    until_given_out: float
    lost: float
    duration: float
    decisions: int
    cpu: float
    cpu_late: float
    wall: float
    journal: float
    memory: float
    lag: int
    wait: float
    finished: int
    exploits: float
    founders: int
    states: int
    best: float


def settings_for(population: int, generations: int, synchronous: bool) -> TranslationSettings:
    """Return the settings of a search by PBT alone."""
    return load_settings(
        None,
        [],
        {
            "search.methods": ["pbt"],
            "search.population": population,
            "training.epochs": float(generations),
            "search.pbt.synchronous": synchronous,
        },
    )


def simulate(settings: TranslationSettings, cluster: Cluster, folder: Path, seed: int = 0) -> Outcome:
    """Run one search.

    Args:
        settings: Of the search.
        cluster: Who works.
        folder: Where the journal is written.
        seed: Of the search and of the simulation.
    """
    method = build_method("pbt", settings.search_plan(), seed, EPOCH)
    population, generations = settings.search.population, round(settings.training.epochs)
    start = SearchStarted(
        method="pbt",
        seed=seed,
        objective="val_bleu",
        direction="max",
        budget_pairs=method.budget.total,
        interval_pairs=EPOCH,
        pairs_per_epoch=EPOCH,
        population=population,
    )
    engine = SimulatedEngine(cluster, seed)
    watch = Watch(engine, population, generations)
    before = _memory()
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(RunStarted(settings="simulated", data="simulated"))
        began, cpu_began = time.perf_counter(), time.process_time()
        search = Driver(method, engine, journal, start, watch)
        search.begin()
        Scheduler(engine).run([search])
        winner = search.winner
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began - engine.own_cpu
        grown = _memory() - before
    decisions = len(watch.decided_cpu)
    late = watch.decided_cpu[-(decisions // 10) - 1 :]
    return Outcome(
        utilisation=engine.utilisation(engine.now),
        until_given_out=engine.utilisation(engine.last_given),
        lost=engine.lost / engine.worked,
        duration=engine.now,
        decisions=decisions,
        cpu=1e3 * cpu / decisions,
        cpu_late=1e3 * (late[-1] - late[0]) / (len(late) - 1),
        wall=1e3 * (wall - engine.own_cpu) / decisions,
        journal=(folder / "journal.jsonl").stat().st_size / decisions,
        memory=grown / decisions,
        lag=watch.most_lag,
        wait=watch.longest_wait,
        finished=watch.finished,
        exploits=watch.exploits / decisions,
        founders=len({watch.founder[trial] for trial in watch.latest.values()}),
        states=engine.most_states,
        best=float(winner.metrics["val_bleu"] or 0.0) if winner is not None else math.nan,
    )


METHODS = ("pbt", "random", "grid", "bayes")


@dataclass(frozen=True)
class Comparison:
    """What a simulated comparison came to.

    Attributes:
        utilisation: Share of the time that workers were alive in which they had an interval to train.
        until_given_out: The same until the last interval was given out: without the end, when there is none left.
        duration: Intervals of the fastest worker.
    """

    utilisation: float
    until_given_out: float
    duration: float


def compare(population: int, generations: int, seeds: int, cluster: Cluster, folder: Path, at_once: bool) -> Comparison:
    """Run a comparison of four methods.

    Args:
        population: Members, and trials of the other methods.
        generations: Intervals of each.
        seeds: Searches of each method.
        cluster: Who works.
        folder: Where the journal is written.
        at_once: All searches side by side; else one after the other.
    """
    engine = SimulatedEngine(cluster, 0)
    plan = settings_for(population, generations, synchronous=True).search_plan()
    with Journal(folder / f"{at_once}.jsonl") as journal:
        journal.append(RunStarted(settings="simulated", data="simulated"))
        searches = []
        for seed in range(seeds):
            for name in METHODS:
                oracle = build_method(name, plan, seed, EPOCH)
                searches.append(Driver(oracle, engine, journal, search_started(name, oracle, plan, seed)))
        for together in [searches] if at_once else [[search] for search in searches]:
            for search in together:
                search.begin()
            Scheduler(engine).run(together)
    return Comparison(engine.utilisation(engine.now), engine.utilisation(engine.last_given), engine.now)


ROWS: tuple[tuple[str, str], ...] = (
    ("utilisation of workers that are alive", "{utilisation:.2%}"),
    ("the same until the last interval is given out", "{until_given_out:.2%}"),
    ("work lost with workers that died", "{lost:.2%}"),
    ("duration, in intervals of the fastest worker", "{duration:,.1f}"),
    ("decisions", "{decisions:,}"),
    ("CPU a decision, ms", "{cpu:.3f}"),
    ("CPU a decision in the last tenth, ms", "{cpu_late:.3f}"),
    ("wall-clock a decision, ms", "{wall:.3f}"),
    ("decisions a second", "{rate:,.0f}"),
    ("journal, bytes a decision", "{journal:,.0f}"),
    ("memory, bytes a decision", "{memory:,.0f}"),
    ("members that ended all generations", "{finished:,}"),
    ("furthest ahead to furthest behind, generations at most", "{lag}"),
    ("longest wait of a member for a worker, intervals of the fastest", "{wait:.1f}"),
    ("exploits, share of decisions", "{exploits:.1%}"),
    ("first trials that the last population descends from", "{founders}"),
    ("states at once, at most", "{states:,}"),
    ("best score", "{best:.2f}"),
)


def main() -> None:
    """Simulate asynchronous and synchronous PBT and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--population", type=int, default=1000, help="members")
    parser.add_argument("--generations", type=int, default=50, help="intervals of each member")
    parser.add_argument("--workers", type=int, default=100, help="simulated workers")
    parser.add_argument("--uneven", type=float, default=10.0, help="the slowest worker's time by the fastest's")
    parser.add_argument("--deaths", type=float, default=0.01, help="share of intervals in which the worker dies")
    parser.add_argument("--failures", type=float, default=0.005, help="share of trials that end in NaN")
    parser.add_argument("--only", choices=("asynchronous", "synchronous"), help="one of the two modes")
    parser.add_argument("--comparison", action="store_true", help=f"{', '.join(METHODS)}, with each of --seeds")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each method of a comparison")
    arguments = parser.parse_args()
    cluster = Cluster(arguments.workers, arguments.uneven, arguments.deaths, arguments.failures)
    if arguments.comparison:
        print_comparison(arguments, cluster)
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(
        f"population {arguments.population:,}, {arguments.generations} generations, {cluster.workers:,} workers uneven "
        f"by {cluster.uneven:g}x, {cluster.deaths:.1%} deaths, {cluster.failures:.1%} failures\n"
    )
    found = {}
    for mode in ("asynchronous", "synchronous"):
        if arguments.only in (None, mode):
            settings = settings_for(arguments.population, arguments.generations, mode == "synchronous")
            with tempfile.TemporaryDirectory() as folder:
                found[mode] = simulate(settings, cluster, Path(folder))
    print("| | " + " | ".join(found) + " |")
    print("| --- |" + " ---: |" * len(found))
    for title, form in ROWS:
        cells = [form.format(**asdict(outcome), rate=1e3 / outcome.wall) for outcome in found.values()]
        print(f"| {title} | " + " | ".join(cells) + " |")


def print_comparison(arguments: argparse.Namespace, cluster: Cluster) -> None:
    """Simulate a comparison, all searches at once and one after the other, and print a table."""
    print(
        f"{len(METHODS)} methods, {arguments.seeds} seeds, population {arguments.population}, {arguments.generations} "
        f"intervals, {cluster.workers} workers uneven by {cluster.uneven:g}x, {cluster.deaths:.1%} deaths\n"
    )
    print("| searches | utilisation | until the last interval is given out | duration |")
    print("| --- | ---: | ---: | ---: |")
    for title, at_once in (("all at once", True), ("one after the other", False)):
        with tempfile.TemporaryDirectory() as folder:
            found = compare(
                *(arguments.population, arguments.generations, arguments.seeds), cluster, Path(folder), at_once
            )
        print(f"| {title} | {found.utilisation:.1%} | {found.until_given_out:.1%} | {found.duration:,.0f} |")


def _memory() -> int:
    """Return the bytes this process has in memory."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
