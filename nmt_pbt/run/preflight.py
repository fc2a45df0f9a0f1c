"""Checks before a run begins or goes on: disk, memory, engine, what is left to do. Without TensorFlow."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.machine import memory_here
from nmt_pbt.base.text import counted
from nmt_pbt.run.records import AnyRecord, Evaluated, Extended, SearchEnded, SearchStarted, Tested
from nmt_pbt.search.methods.registry import is_replay, method_spec, waits_for_pbt
from nmt_pbt.settings.tree import EngineSettings, RunSettings

_BESIDES = 32 * 1024**2  # bytes of a run beside its states: journal, report, translations
_PROCESS = 256 * 1024**2  # bytes of memory of a worker's process beside its model, at least: TensorFlow


@dataclass(frozen=True)
class Need:
    """Room on the disk.

    Attributes:
        states: Most saved states there are at once.
        models: Models that are kept in the end, at most.
        state: Bytes of one state, and of one model, at most.
        prepared: Bytes of the data prepared for the workers, at most; 0 until that is known.
    """

    states: int
    models: int
    state: int
    prepared: int = 0

    @property
    def bytes(self) -> int:
        """All of it."""
        return (self.states + self.models) * self.state + self.besides

    @property
    def besides(self) -> int:
        """Bytes beside states and models."""
        return _BESIDES + self.prepared

    def __str__(self) -> str:
        return (
            f"{_megabytes(self.bytes)} of disk at most: {counted(self.states, 'state')} at once and "
            f"{counted(self.models, 'model')} in the end, {_megabytes(self.state)} each, and "
            f"{_megabytes(self.besides)} besides"
        )


def need_of(settings: RunSettings, state_bytes: int) -> Need:
    """Return what a run needs.

    Args:
        settings: Its settings.
        state_bytes: Of a state of the largest model that it may train, at most.
    """
    search = settings.search
    plan = settings.search_plan()
    specs = [method_spec(name, search) for name in search.methods]
    sections = [spec.section_of(search) for spec in specs]
    states = [spec.most_states(plan, section) for spec, section in zip(specs, sections, strict=True)]
    models = [spec.most_models(plan, section) for spec, section in zip(specs, sections, strict=True)]
    return Need(
        states=search.seeds * sum(most + 2 for most in states),  # of each search its best, and one being saved, too
        models=search.seeds * sum(min(settings.kept_models, most) for most in models),
        state=state_bytes,
    )


def check_room(need: Need, run: Path) -> None:
    """Refuse a run for which the disk has no room.

    Args:
        need: What the run needs in all.
        run: The run's folder, or where it is to be; what it holds counts as room.

    Raises:
        UsageError: There is less.
    """
    there = next(folder for folder in (run, *run.absolute().parents) if folder.exists())
    held = sum(file.stat().st_size for file in run.rglob("*") if file.is_file()) if there == run else 0
    room = shutil.disk_usage(there).free + held
    if room < need.bytes:
        raise UsageError(
            f"{run}: the disk has room for {_megabytes(room)}, the run needs {need}; make room, choose another --out, "
            "or lower search.population"
        )


def check_memory(need: Need, engine: EngineSettings) -> None:
    """Refuse a run whose workers cannot fit into this machine's memory. That of a cluster is not known.

    Args:
        need: What the run needs on the disk. Training needs memory for a state and for the gradients.
        engine: Where its workers run.

    Raises:
        UsageError: There is less memory than their models and TensorFlow take before any data are read.
    """
    if engine.address is not None:
        return
    processes = max(1, engine.workers)
    memory = memory_here().total_bytes
    wanted = processes * (_PROCESS + need.state * 4 // 3)
    if memory < wanted:
        raise UsageError(
            f"this machine or its container has {_megabytes(memory)} of memory, training needs {_megabytes(wanted)} at "
            f"least: {counted(processes, 'process', 'processes')} with a model whose state takes "
            f"{_megabytes(need.state)}; make the model smaller (model.units, model.embedding_units, layers), or "
            "engine.workers fewer"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MB"


_ADDRESS = re.compile(r"(?:ray://)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_SECONDS = 5.0  # to answer


def check_engine(engine: EngineSettings) -> None:
    """Refuse an engine that cannot run here, in a second or so and without importing it.

    Args:
        engine: The settings of a run.

    Raises:
        UsageError: Ray is not installed, nobody listens at the address, or a setting is of another engine.
    """
    if engine.name == "inline" and engine.workers > 1:
        raise UsageError(f"engine.workers {engine.workers}: inline has one; use --engine processes")
    if engine.name != "ray":
        for name, value in (("address", engine.address), ("gpus", engine.gpus)):
            if value:
                raise UsageError(f"engine.{name} {value}: is for workers of Ray; add --engine ray, or leave it out")
        return
    if importlib.util.find_spec("ray") is None:
        raise UsageError("engine ray: Ray is not installed; pip install 'nmt-pbt[ray]', or use --engine processes")
    if engine.address not in (None, "auto"):
        _check_address(engine.address or "")


def _check_address(address: str) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UsageError(
            f"engine.address {address!r}: expected HOST:PORT, ray://HOST:PORT or auto, for instance 10.0.0.1:6379"
        )
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Ray at {address}: cannot be reached ({reason}); see that it runs, or leave out --address"
        ) from None


def is_finished(records: Sequence[AnyRecord], settings: RunSettings) -> bool:
    """Return whether every search of a run is over, and its winner, if it has one, is tested.

    Args:
        records: The journal's records.
        settings: What the run is to go on with, which may name more methods and seeds than it was begun with.

    Returns:
        Also False for a run without any winner: resuming it reports that error.
    """
    seeds = range(settings.seed, settings.seed + settings.search.seeds)
    planned = [(name, seed) for name in settings.search.methods for seed in seeds]
    tested = any(isinstance(record, Tested) for record in records)
    if goes_on(records, settings):
        return False
    plan = settings.search_plan()
    scheduled = not any(waits_for_pbt(name, plan) for name in settings.search.methods)
    return tested and searches_over(records, planned, scheduled)


def goes_on(records: Sequence[AnyRecord], settings: RunSettings) -> bool:
    """Return whether a search that is over, and that no rule stopped, has a larger budget now.

    Args:
        records: The journal's records.
        settings: What the run is to go on with.
    """
    if not settings.search.more_epochs:
        return False
    epochs = settings.search_plan().budget_epochs
    budgets: dict[tuple[str, int], float] = {}
    for record in records:
        if isinstance(record, SearchStarted):
            planned = epochs * record.pairs_per_epoch - record.population / 2  # members' shares are rounded to pairs
            budgets[record.method, record.seed] = record.budget_pairs - planned
        elif isinstance(record, Extended):
            budgets[record.method, record.seed] += record.pairs
        elif isinstance(record, SearchEnded) and record.rule is not None:
            budgets[record.method, record.seed] = 0
    winning = _with_winner(records)
    return any(missing < 0 for search, missing in budgets.items() if search in winning)


def ended_by_rules(records: Sequence[AnyRecord], elsewhere: str) -> list[str]:
    """Return what to tell whoever goes on with a run of which stop rules ended searches: a line for each rule.

    Args:
        records: The journal's records.
        elsewhere: How a new run is begun in another folder.
    """
    ended: dict[str, list[SearchEnded]] = {}
    for record in records:
        if isinstance(record, SearchEnded) and record.rule is not None:
            ended.setdefault(record.rule, []).append(record)
    return [
        f"search.stop.{rule} ended {counted(len(found), 'search', 'searches')} for good ({found[0].method}, seed "
        f"{found[0].seed}: {found[0].reason}); to search on, begin a new run with search.stop.{rule}=null "
        f"and {elsewhere}"
        for rule, found in ended.items()
    ]


def _with_winner(records: Sequence[AnyRecord]) -> set[tuple[str, int]]:
    """Return method and seed of the searches in which a trial succeeded."""
    return {(r.method, r.seed) for r in records if isinstance(r, Evaluated) and r.failure is None}


def check_going_on(records: Sequence[AnyRecord], settings: RunSettings) -> None:
    """Refuse more epochs for only some searches of a run: budgets have to stay equal.

    Args:
        records: The journal's records.
        settings: What the run is to go on with.

    Raises:
        UsageError: A search of the run would not go on.
    """
    seeds = range(settings.seed, settings.seed + settings.search.seeds)
    left_out = [
        f"{record.method}, seed {record.seed}"
        for record in records
        if isinstance(record, SearchStarted)
        and (record.method not in settings.search.methods or record.seed not in seeds)
    ]
    if settings.search.more_epochs and left_out:
        raise UsageError(
            f"search.more_epochs {settings.search.more_epochs:g}: {left_out[0]} of this run would not go on, and "
            "budgets would not be equal; go on with all methods and seeds, or begin a new run"
        )


def searches_over(records: Sequence[AnyRecord], planned: Iterable[tuple[str, int]], scheduled: bool) -> bool:
    """Return whether searches have ended, and the winners of those that have one were tested.

    Args:
        records: The journal's records.
        planned: Method and seed of each search.
        scheduled: Whether replays train by a given schedule. If not, they train by the schedule that PBT found with
            their seed, and are over if it found none.
    """
    tested, ended = set[tuple[str, int]](), set[tuple[str, int]]()
    for record in records:
        match record:
            case Tested():
                tested.add((record.method, record.seed))
            case SearchEnded():
                ended.add((record.method, record.seed))
            case Extended():
                tested.discard((record.method, record.seed))
                ended.discard((record.method, record.seed))
    over = tested | ended - _with_winner(records)
    nothing_found = set() if scheduled else {seed for method, seed in over - tested if method == "pbt"}
    return all((name, seed) in over or (is_replay(name) and seed in nothing_found) for name, seed in planned)
