"""Ray workers on this machine: the same search, and nothing lost when one is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from nmt_pbt.experiment.engine import Leg
from nmt_pbt.experiment.ray_engine import RayEngine
from nmt_pbt.journal import Assigned, Evaluated, read_journal, without_times
from nmt_pbt.training.state import StateStore
from tests.experiment.cheap import CheapTask, PassingOn, cheap_settings, inline, opened, search

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)
SETTINGS = cheap_settings("search.pbt.synchronous=true")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RayEngine]:
    engine = RayEngine(CheapTask(), StateStore(tmp_path / "states"), workers=2)
    while len(engine.workers) < 2:  # a search may otherwise be over before the second worker is up
        assert engine.wait() is None
    yield engine
    engine.close()


def lineage(folder: Path) -> tuple[list[Any], list[Any]]:
    """Return what was assigned and what came of it, without who did it and in which order."""
    records = read_journal(folder / "journal.jsonl")
    assigned = [{**without_times(record), "worker": ""} for record in records if isinstance(record, Assigned)]
    results = [(record.trial, record.state, record.metrics) for record in records if isinstance(record, Evaluated)]
    return sorted(assigned, key=lambda record: record["trial"]), sorted(results)


@pytest.fixture
def expected(tmp_path: Path) -> tuple[list[Any], list[Any]]:
    """What the same search does in one process."""
    folder = tmp_path / "inline"
    with opened(folder) as journal:
        search("pbt", SETTINGS, CheapTask(), inline(folder, CheapTask()), journal)
    return lineage(folder)


def test_two_workers_find_what_one_process_finds(tmp_path: Path, engine: RayEngine, expected: object) -> None:
    with opened(tmp_path) as journal:
        search("pbt", SETTINGS, CheapTask(), engine, journal)
        workers = {record.worker for record in journal.records if isinstance(record, Assigned)}
    assert workers == {"worker0", "worker1"}
    assert lineage(tmp_path) == expected


class KillsWorker(PassingOn):
    """Kills the process of a worker right after it was given its third leg."""

    def __init__(self, engine: RayEngine) -> None:
        super().__init__(engine)
        self._processes, self._given, self.killed = engine.processes, 0, 0

    def submit(self, worker: str, leg: Leg) -> None:
        self.engine.submit(worker, leg)
        self._given += 1
        if self._given == 3:
            self.killed = self._processes[worker]
            os.kill(self.killed, signal.SIGKILL)


def test_the_trial_of_a_killed_worker_is_given_out_again(tmp_path: Path, engine: RayEngine, expected: object) -> None:
    killing = KillsWorker(engine)
    with opened(tmp_path) as journal:
        search("pbt", SETTINGS, CheapTask(), killing, journal)
    assert killing.killed
    assert killing.killed not in engine.processes.values()
    assert lineage(tmp_path) == expected
