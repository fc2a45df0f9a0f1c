"""Ray workers on this machine: the same search, and nothing lost when one is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("ray") is None:  # it must not be imported before the engine does
    pytest.skip("Ray is not installed", allow_module_level=True)

from nmt_pbt.cli.main import _stop
from nmt_pbt.run.jobs import TrainingJob
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.ray_engine import RayEngine
from nmt_pbt.run.records import Assigned, Evaluated
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, PassingOn, cheap_settings, inline, opened, search

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)
SETTINGS = cheap_settings("search.pbt.synchronous=true")


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as the kernel writes them."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayEngine]:
    before = signal.signal(signal.SIGTERM, _stop)
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")  # nobody asked for that cluster
    engine = RayEngine(CheapTask(), StateStore(tmp_path / "states"), workers=2)
    while len(engine.workers) < 2:  # a search may otherwise be over before the second worker is up
        assert engine.wait() is None
    yield engine
    engine.close()
    signal.signal(signal.SIGTERM, before)


def listening(process: int) -> set[str]:
    """Return the addresses that a process, and what it started, can be reached at."""
    family, more = {process}, True
    while more:
        parents = {int(stat.parent.name): parent_of(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
        found = family | {child for child, parent in parents.items() if parent in family}
        more, family = found != family, found
    links = [os.readlink(link) for one in family for link in Path(f"/proc/{one}/fd").iterdir() if link.is_symlink()]
    mine = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in mine}


def parent_of(stat: Path) -> int:
    try:
        return int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has just ended


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
    assert signal.getsignal(signal.SIGTERM) is _stop  # it stops as it does without Ray: in one line, to be resumed
    assert listening(os.getpid()) <= LOOPBACK
    with opened(tmp_path) as journal:
        search("pbt", SETTINGS, CheapTask(), engine, journal)
        workers = {record.worker for record in journal.records if isinstance(record, Evaluated)}
    assert workers == {"worker0", "worker1"}
    assert lineage(tmp_path) == expected
    for method in ("random", "grid"):  # whatever the method, and the same worker processes
        results = []
        for folder, runs in ((tmp_path / method, engine), (tmp_path / f"{method}1", inline(tmp_path, CheapTask()))):
            with opened(folder) as journal:
                search(method, cheap_settings(), CheapTask(), runs, journal)
            results.append(lineage(folder)[1])
        assert sorted(state for _, state, _ in results[0]) == sorted(state for _, state, _ in results[1])


class KillsWorker(PassingOn):
    """Kills the process of a worker right after it was given its third job."""

    def __init__(self, engine: RayEngine) -> None:
        super().__init__(engine)
        self._processes, self._given, self.killed = engine.processes, 0, 0

    def submit(self, worker: str, job: TrainingJob) -> None:
        self.engine.submit(worker, job)
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


class LosesStates(PassingOn):
    """Deletes the state that a job is to start from, where the worker has not got it, three times."""

    def __init__(self, engine: RayEngine, folder: Path) -> None:
        super().__init__(engine)
        self._folder, self.lost = folder, 0

    def submit(self, worker: str, job: TrainingJob) -> None:
        if job.start is not None and self.lost < 3:
            file = self._folder / f"{job.start.name}.safetensors"
            self.lost += file.exists()
            file.unlink(missing_ok=True)
        self.engine.submit(worker, job)


def test_workers_share_a_gpu_join_late_and_make_lost_states_again(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    here = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "num_gpus": 1, **here})
    try:
        task, states = CheapTask(largest_batch=100), StateStore(tmp_path / "states")
        engine = RayEngine(task, states, workers=3, address=cluster.address, gpus=0.5)
        while len(engine.workers) < 2:
            assert engine.wait() is None
        assert len(engine.workers) == 2  # two halves of the one GPU
        cluster.add_node(num_cpus=1, num_gpus=1, **here)
        assert engine.wait() is None
        assert len(engine.workers) == 3
        losing = LosesStates(engine, tmp_path / "states")
        with opened(tmp_path) as journal:
            search("pbt", SETTINGS, task, losing, journal)
        engine.close()
    finally:
        cluster.shutdown()
    assert losing.lost == 3
    with opened(tmp_path / "alone") as journal:
        search("pbt", SETTINGS, task, inline(tmp_path / "alone", task), journal)
        assert "out of memory" in {record.failure for record in journal.records if isinstance(record, Evaluated)}
    assert lineage(tmp_path) == lineage(tmp_path / "alone")
