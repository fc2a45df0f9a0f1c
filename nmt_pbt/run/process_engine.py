"""The engine for one machine: a process for each worker, by the standard library alone.

Jobs and results go through a pipe each; states lie in the run's folder, where the workers read and save them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType

from nmt_pbt.base.errors import NmtPbtError
from nmt_pbt.run.jobs import Job, Result, Undone
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import Task
from nmt_pbt.tasks.state import StateStore


@dataclass
class _Member:
    """One worker as this side sees it."""

    process: BaseProcess
    pipe: Connection
    log: Path
    busy: bool = False


class ProcessEngine:
    """Runs jobs in processes of this machine.

    A worker that dies is started again. Workers end with this process, however that ends.

    Args:
        task: Builds the trainables; pickled once, for all workers.
        states: Where states are saved.
        workers: How many processes.
    """

    def __init__(self, task: Task, states: StateStore, workers: int) -> None:
        self._task = bytes(ForkingPickler.dumps(task))
        self._brings_its_code = getattr(task, "brings_its_code", False)
        self._states = states
        self._context = multiprocessing.get_context("spawn")  # TensorFlow does not outlive a fork
        self._logs = tempfile.TemporaryDirectory(prefix="nmt-pbt-")
        self._members = {f"worker{index}": self._start(f"worker{index}") for index in range(workers)}

    def _start(self, name: str) -> _Member:
        mine, theirs = self._context.Pipe()
        log = Path(self._logs.name) / f"{name}.log"
        process = self._context.Process(
            target=_work, args=(name, theirs, self._task, self._states.folder, log), name=name, daemon=True
        )
        with _without_main_script() if self._brings_its_code else nullcontext():
            process.start()
        theirs.close()
        return _Member(process, mine, log)

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers. One that is still starting counts: its job waits for it."""
        return tuple(self._members)

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of the workers, by name."""
        return {name: member.process.pid or 0 for name, member in self._members.items()}

    def submit(self, worker: str, job: Job) -> None:
        """Send a job to a worker."""
        member = self._members[worker]
        member.busy = True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, which `wait` finds out
            member.pipe.send(job)

    def wait(self) -> Result | Undone:
        """Wait for the next result, or for a worker that dies at its job."""
        pipes = {member.pipe: name for name, member in self._members.items() if member.busy}
        pipe = wait(list(pipes))[0]
        assert isinstance(pipe, Connection)
        name = pipes[pipe]
        try:
            answer: Result | BaseException = pipe.recv()
        except (EOFError, OSError):  # also in the middle of what it sent
            return self._start_again(name)
        self._members[name].busy = False
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _start_again(self, name: str) -> Undone:
        """Put a new worker in the place of one that died."""
        old = self._members[name]
        old.process.join()
        cause = _cause(old)  # from its log, which the new one begins anew
        self._members[name] = self._start(name)
        return Undone(name, cause)

    def close(self) -> None:
        """End the workers, whatever they are at."""
        for member in self._members.values():
            member.process.kill()
        for member in self._members.values():
            member.process.join()
            member.pipe.close()
        self._logs.cleanup()


@contextmanager
def _without_main_script() -> Iterator[None]:
    """Keep a new process from running the main script again, of which it needs nothing: it may have no guard."""
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _cause(member: _Member) -> str:
    """Return why a worker died, as far as that is known: the signal, or the last thing it wrote."""
    code = member.process.exitcode or 0
    if code < 0:
        return signal.Signals(-code).name
    lines = member.log.read_text(encoding="utf-8", errors="replace").split("\n") if member.log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")


def _work(name: str, pipe: Connection, pickled_task: bytes, states: Path, log: Path) -> None:
    """Run jobs until the other side closes the pipe; what a worker's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one that waits for us decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)  # TensorFlow's start-up messages, once for each worker; unpickling a task imports it
    worker: Worker | None = None
    while True:
        try:
            job = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            if worker is None:
                worker = Worker(name, TrainablePool(ForkingPickler.loads(pickled_task)), StateStore(states))
            answer: Result | BaseException = worker.run(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side has to hear of it
            answer = _portable(error)
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return an error to send: one of ours as it is, any other one as text, with the place where it was raised."""
    if isinstance(error, NmtPbtError):
        return error
    told = RuntimeError(f"{type(error).__name__}: {error}")
    told.add_note(f"In a worker:\n{traceback.format_exc()}")
    return told
