"""Worker processes of one machine: the same records as one process, whoever is killed and when."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.run import process_engine
from nmt_pbt.run.jobs import Job, TrainingJob
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.process_engine import ProcessEngine
from nmt_pbt.run.records import RunStarted, Tested
from nmt_pbt.search.methods.registry import METHODS
from nmt_pbt.tasks.state import StateStore
from tests.run import process_program
from tests.run.cheap import CheapTask, cheap_settings, opened, search
from tests.run.test_ray_driver import family, running

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def by_search(folder: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return the records of each search, in their order."""
    found = defaultdict(list)
    for record in read_journal(folder / "journal.jsonl"):
        if not isinstance(record, RunStarted):
            found[record.method, record.seed].append(without_times(record))
    return found


def start(folder: Path, workers: int, seconds: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, process_program.__file__, str(folder), str(workers), str(seconds)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell without job control starts what runs in its background deaf to SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The records of each search of the comparison in one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    process_program.main(folder, 1)
    return by_search(folder)


@pytest.mark.parametrize("workers", [2, 4])
def test_searches_side_by_side_on_processes_find_what_each_finds_in_one(
    tmp_path: Path, alone: dict[tuple[str, int], list[dict[str, Any]]], workers: int
) -> None:
    process_program.main(tmp_path / "run", workers)
    searches_in_all = len(METHODS.names) * process_program.SEEDS
    assert len(alone) == searches_in_all
    assert by_search(tmp_path / "run") == alone
    records = read_journal(tmp_path / "run" / "journal.jsonl")
    assert len({record.worker for record in records if record.event == "evaluated"}) == workers
    searches = [(record.method, record.seed) for record in records if record.event == "evaluated"]
    changes = sum(before != after for before, after in itertools.pairwise(searches))
    assert changes > 50  # side by side, not one after the other
    assert sum(isinstance(record, Tested) for record in records) == searches_in_all
    assert StateStore(tmp_path / "run" / "states").names() == set()


class LoudTask(CheapTask):
    """A task whose libraries write when they are imported, as TensorFlow does."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        os.write(2, b"could not find cuda drivers\n")
        self.__dict__.update(state)


def test_what_libraries_of_a_worker_write_does_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import keras_tuner  # noqa: F401 - writes as well, here

    capfd.readouterr()
    engine = ProcessEngine(LoudTask(), StateStore(tmp_path / "states"), 1)
    with opened(tmp_path) as journal:
        search("random", cheap_settings(), CheapTask(), engine, journal)
    engine.close()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_no_record_of_any_method(
    tmp_path: Path, alone: dict[tuple[str, int], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, killed = Counter[str](), set[str]()

    class Killing(ProcessEngine):
        """Kills the worker that is given the third job of a method."""

        def submit(self, worker: str, job: Job) -> None:
            super().submit(worker, job)
            if isinstance(job, TrainingJob):
                method = job.save_as.split("-seed")[0]
                jobs[method] += 1
                if jobs[method] == 3:
                    os.kill(self.processes[worker], signal.SIGKILL)
                    killed.add(method)

    monkeypatch.setattr(process_engine, "ProcessEngine", Killing)
    process_program.main(tmp_path / "run", 2)
    assert killed == set(METHODS.names)
    assert by_search(tmp_path / "run") == alone


def kill_again_and_again(folder: Path, kills: int, seed: int) -> int:
    """Run the comparison, and kill at random moments workers, and each fifth time the one that decides.

    Returns:
        How many were killed.
    """
    draw = random.Random(seed)
    killed = 0
    while True:
        process = start(folder, 3, 0.02)
        while process.poll() is None:
            time.sleep(draw.uniform(0.05, 1.0))
            everyone = family(process.pid)
            workers = running(everyone - {process.pid})
            if killed >= kills or not workers:
                continue
            killed += 1
            if killed % 5 == 2:
                process.kill()
                process.wait()
                deadline = time.monotonic() + 30
                while running(workers):
                    assert time.monotonic() < deadline, f"orphans: {running(workers)}"
                    time.sleep(0.05)
            else:
                os.kill(draw.choice(sorted(workers)), signal.SIGKILL)
        error = process.communicate()[1]
        if process.returncode == 0:
            return killed
        assert process.returncode == -signal.SIGKILL or "workers died at it" in error, error


def test_whoever_is_killed_each_search_has_the_records_of_one_that_was_not(
    tmp_path: Path, alone: dict[tuple[str, int], list[dict[str, Any]]]
) -> None:
    assert kill_again_and_again(tmp_path / "run", 4, seed=4) >= 2
    assert by_search(tmp_path / "run") == alone


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_kills_change_no_record(tmp_path: Path, alone: dict[tuple[str, int], list[dict[str, Any]]]) -> None:
    killed = kill_again_and_again(tmp_path / "run0", 100, seed=0)
    assert by_search(tmp_path / "run0") == alone
    for number in itertools.count(1):  # a run may be over before so many were killed
        if killed >= 100:
            return
        folder = tmp_path / f"run{number}"
        killed += kill_again_and_again(folder, 100 - killed, seed=number)
        assert by_search(folder) == alone


def test_ctrl_c_ends_all_workers_at_once_and_the_run_goes_on(
    tmp_path: Path, alone: dict[tuple[str, int], list[dict[str, Any]]]
) -> None:
    process = start(tmp_path / "run", 3, 0.5)
    while not (workers := running(family(process.pid) - {process.pid})):
        time.sleep(0.05)
    journal = tmp_path / "run" / "journal.jsonl"
    while not journal.exists() or journal.read_text(encoding="utf-8").count("evaluated") < 2:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=20)
    while running(workers):  # among them the one that keeps account of shared resources, which follows
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    process_program.main(tmp_path / "run", 2)
    assert by_search(tmp_path / "run") == alone


def test_a_job_that_kills_every_worker_ends_the_search_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ProcessEngine(CheapTask(seconds=5.0), StateStore(tmp_path / "states"), 1)
    submit = engine.submit

    def killing(worker: str, job: Job) -> None:
        submit(worker, job)
        os.kill(engine.processes[worker], signal.SIGKILL)

    monkeypatch.setattr(engine, "submit", killing)
    with opened(tmp_path) as journal, pytest.raises(SearchError, match=r"trial .*: 3 workers died at it \(SIGKILL\)"):
        search("random", cheap_settings(), CheapTask(), engine, journal)
    engine.close()


class CutOff(CheapTask):
    """A task at which a worker dies in the middle of telling its result, once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.once = folder / "once"

    def build(self, structural: object) -> Any:
        if not self.once.exists():
            self.once.touch()

            def announced(pipe: Connection, data: bytes) -> None:
                pipe._send(len(data).to_bytes(4, "big") + bytes(data[: len(data) // 2]))  # type: ignore[attr-defined]
                os.kill(os.getpid(), signal.SIGKILL)

            Connection._send_bytes = announced  # type: ignore[attr-defined]
        return super().build(structural)


def test_a_worker_that_dies_in_the_middle_of_a_message_costs_nothing(tmp_path: Path) -> None:
    engine = ProcessEngine(CutOff(tmp_path), StateStore(tmp_path / "states"), 1)
    with opened(tmp_path) as journal:
        search("random", cheap_settings(), CheapTask(), engine, journal)
    engine.close()
    assert (tmp_path / "once").exists()


class Missing(CheapTask):
    """A task whose data are gone."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise UsageError("data: missing; bring them back")


def test_a_task_that_cannot_be_had_in_a_worker_is_told_at_once_with_the_reason(tmp_path: Path) -> None:
    engine = ProcessEngine(Missing(), StateStore(tmp_path / "states"), 1)
    try:
        with opened(tmp_path) as journal, pytest.raises(UsageError, match="data: missing; bring them back"):
            search("random", cheap_settings(), CheapTask(), engine, journal)
    finally:
        engine.close()


class Faulty(CheapTask):
    """A task whose code has a fault."""

    def build(self, structural: object) -> Any:
        raise KeyError("a fault of the user's")


def test_a_fault_in_the_users_code_comes_with_the_place_where_it_is(tmp_path: Path) -> None:
    engine = ProcessEngine(Faulty(), StateStore(tmp_path / "states"), 1)
    try:
        with opened(tmp_path) as journal, pytest.raises(RuntimeError, match="a fault of the user's") as caught:
            search("random", cheap_settings(), CheapTask(), engine, journal)
    finally:
        engine.close()
    told = "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])  # Python 3.10 has no notes
    assert "test_processes.py" in told
    assert "in build" in told
