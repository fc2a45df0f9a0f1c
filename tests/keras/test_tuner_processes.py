"""`PopulationBasedTraining` in KerasTuner's own chief/worker mode: real processes on loopback, some of them killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.keras.keras_models import Live, data, search, trials, tuner

PROGRAM = Path(__file__).with_name("worker_program.py")
ROOT = Path(__file__).parents[2]
PATIENCE = 200.0  # seconds; a machine may be busy


class Cluster:
    """Processes that search one project."""

    def __init__(self, folder: Path, pause: float) -> None:
        self.folder = folder
        self.pause = pause
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        environment = {
            **os.environ,
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
        }
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(self.folder), str(self.pause)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def begun(self) -> list[list[str]]:
        """Return worker, member and generation of each trial that was begun."""
        path = self.folder / "begun.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def wait_until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, self.logs()
            time.sleep(0.05)

    def finish(self) -> None:
        """Wait for all to end well; there never are too many states meanwhile."""
        states = self.folder / "project" / "states"

        def ended() -> bool:
            assert len(list(states.glob("[!.]*.safetensors"))) <= 2 * 4 + 2
            return all(process.poll() is not None for process in self.processes.values())

        self.wait_until(ended)
        for name, process in self.processes.items():
            assert process.returncode == 0, f"{name}: {self.logs()}"

    def logs(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in self.folder.glob("*.log"))


@contextmanager
def cluster(folder: Path, pause: float) -> Iterator[Cluster]:
    made = Cluster(folder, pause)
    try:
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()


def check(folder: Path, chief_log: str) -> None:
    """What holds after any search: all trials, once; the lineage of one process; the best model can be loaded."""
    assert "trials 12 {'COMPLETED'}" in chief_log
    alone = search(tuner(folder / "alone", Live(), population_size=4, epochs=3, synchronous=True))
    made = tuner(folder, Live(), population_size=4, epochs=3, synchronous=True)
    slots = {}
    for searched in (alone, made):
        slots[searched] = {
            (values["pbt/member"], values["pbt/generation"]): (values, trial.score, searched)
            for trial in trials(searched)
            for values in [trial.hyperparameters.values]
        }
    assert slots[alone].keys() == slots[made].keys()
    for slot, (values, score, _) in slots[alone].items():
        others, other_score, _ = slots[made][slot]
        assert others["learning_rate"] == pytest.approx(values["learning_rate"], rel=1e-6)
        assert others["pbt/inherited"] == values["pbt/inherited"]
        assert other_score == pytest.approx(score, rel=1e-3)
    best = made.get_best_models()[0]
    assert best.evaluate(*data(1, 64), verbose=0)[0] == pytest.approx(made.oracle.get_best_trials(1)[0].score, rel=1e-5)


def test_a_chief_and_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    with cluster(tmp_path, pause=0.5) as processes:
        for name in ("chief", "worker0", "worker1"):
            processes.start(name)
        processes.finish()
        assert {worker for worker, _, _ in processes.begun()} == {"worker0", "worker1"}
        schedules = {
            line
            for name in ("chief", "worker0", "worker1")
            for line in (tmp_path / f"{name}.log").read_text().splitlines()
            if line.startswith("schedule")
        }
        # A worker that is told to stop while the other still trains its last trial tells the schedule so far.
        assert schedules, processes.logs()
        check(tmp_path, (tmp_path / "chief.log").read_text())


def test_a_killed_worker_that_comes_back_and_a_killed_chief_are_survived(tmp_path: Path) -> None:
    with cluster(tmp_path, pause=1.0) as processes:
        for name in ("chief", "worker0", "worker1"):
            processes.start(name)
        processes.wait_until(lambda: [worker for worker, *_ in processes.begun()].count("worker0") == 2)
        processes.kill("worker0")
        lost = [slot for worker, *slot in processes.begun() if worker == "worker0"][-1]
        processes.start("worker0")
        processes.wait_until(lambda: [worker for worker, *_ in processes.begun()].count("worker0") == 3)
        assert [slot for worker, *slot in processes.begun() if worker == "worker0"][-1] == lost
        # Both workers outlive the chief, in the middle of a trial or of a question.
        processes.kill("chief")
        processes.start("chief")
        processes.finish()
        check(tmp_path, (tmp_path / "chief.log").read_text())
