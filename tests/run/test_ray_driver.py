"""The process that decides is killed while Ray workers train: they end with it, and the run goes on."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.records import Evaluated
from tests.run import ray_program
from tests.run.cheap import CheapTask, inline, opened, search

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
ROOT = Path(__file__).parents[2]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ray_program.__file__, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
    )


def parent_and_state(process: int) -> tuple[int, str]:
    """Return a process's parent and its state; (0, "gone") if there is no such process any more."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, "gone"
    return int(fields[1]), fields[0]


def family(process: int) -> set[int]:
    """Return a process and all that it started, and what these started."""
    every = [int(found.name) for found in Path("/proc").glob("[0-9]*")]
    members, before = {process}, set()
    while members != before:
        before = set(members)
        members |= {one for one in every if parent_and_state(one)[0] in before}
    return members


def running(processes: set[int]) -> set[int]:
    return {one for one in processes if parent_and_state(one)[1] not in ("gone", "Z")}


def intervals(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return sum(isinstance(record, Evaluated) for record in read_journal(journal)) if journal.exists() else 0


def story(folder: Path) -> list[str]:
    """Return what was decided and what came of it, without who did it and in which order."""
    left_out = {"worker": "", "spent_pairs": 0, "samples": []}  # of the last two, each depends on who was ready first
    return sorted(str({**without_times(record), **left_out}) for record in read_journal(folder / "journal.jsonl"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_driver_killed_in_mid_interval_takes_its_workers_along_and_the_run_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path / "whole") as journal:
        search("pbt", ray_program.SETTINGS, CheapTask(), inline(tmp_path / "whole", CheapTask()), journal)
    folder = tmp_path / "killed"
    with start(folder) as process:
        assert process.stdout is not None
        workers = {int(number) for number in process.stdout.readline().split()}
        while process.poll() is None and intervals(folder) < 5:
            time.sleep(0.02)
        time.sleep(ray_program.SECONDS / 2)
        started = family(process.pid)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(workers) == 2
    assert workers <= started
    left = content(folder)
    assert 5 <= intervals(folder) < 12
    deadline = time.monotonic() + 60
    while running(workers):
        assert time.monotonic() < deadline, f"workers that go on without a driver: {running(workers)}"
        time.sleep(0.1)
    assert content(folder) == left
    for agent in running(started):  # two of Ray's own, which would leave a minute later
        with contextlib.suppress(ProcessLookupError):
            os.kill(agent, signal.SIGKILL)
    with start(folder) as again:
        again.communicate(timeout=200)
    assert again.returncode == 0
    assert story(folder) == story(tmp_path / "whole")
    assert len(list((folder / "states").iterdir())) <= 10
