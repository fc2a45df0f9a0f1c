"""Processes of this machine that do jobs, one each at a time, by the standard library alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from nmt_pbt.base.errors import NmtPbtError
from nmt_pbt.run.jobs import MAX_DEATHS, Undone

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass
class _Member:
    """One worker as this side sees it."""

    process: BaseProcess
    pipe: Connection
    log: Path
    busy: bool = False


class ProcessPool(Generic[Job, Answer]):
    """Workers in processes of this machine. A context manager, which closes them.

    A worker that dies is started again. Workers end with this process, however that ends.

    Args:
        build: Called in each worker with its name when its first job comes; returns what does jobs. Pickled once, for
            all of them.
        workers: How many processes.
        brings_its_code: Whether workers need nothing of the main script, which may have no guard: it is not run again.
    """

    def __init__(
        self, build: Callable[[str], Callable[[Job], Answer]], workers: int, brings_its_code: bool = False
    ) -> None:
        self._build = bytes(ForkingPickler.dumps(build))
        self._brings_its_code = brings_its_code
        self._context = multiprocessing.get_context("spawn")  # TensorFlow does not outlive a fork
        self._logs = tempfile.TemporaryDirectory(prefix="nmt-pbt-")
        self._members = {f"worker{index}": self._start(f"worker{index}") for index in range(workers)}

    def __enter__(self) -> ProcessPool[Job, Answer]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, name: str) -> _Member:
        mine, theirs = self._context.Pipe()
        log = Path(self._logs.name) / f"{name}.log"
        process = self._context.Process(target=_work, args=(name, theirs, self._build, log), name=name, daemon=True)
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
        """Send a job to a worker that has none."""
        member = self._members[worker]
        member.busy = True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, which `wait` finds out
            member.pipe.send(job)

    def wait(self) -> tuple[str, Answer] | Undone:
        """Wait for the next answer, of which worker, or for a worker that dies at its job.

        Raises:
            Exception: The error that a job raised.
        """
        pipes = {member.pipe: name for name, member in self._members.items() if member.busy}
        pipe = wait(list(pipes))[0]
        assert isinstance(pipe, Connection)
        name = pipes[pipe]
        try:
            answer: Answer | _Failure = pipe.recv()
        except (EOFError, OSError):  # also in the middle of what it sent
            return self._start_again(name)
        self._members[name].busy = False
        if isinstance(answer, _Failure):
            raise answer.error
        return name, answer

    def do_all(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Answer]]:
        """Do jobs; those at which a worker dies are given out again.

        Args:
            jobs: Taken one at a time, when a worker is free.

        Yields:
            Each job with its answer, in the order in which they are done.

        Raises:
            NmtPbtError: Several workers died at the same job.
            Exception: The error that a job raised.
        """
        waiting = ((job, 0) for job in jobs)
        again: list[tuple[Job, int]] = []  # with how many workers died at each
        given: dict[str, tuple[Job, int]] = {}
        free = list(self.workers)
        while True:
            while free and (one := again.pop() if again else next(waiting, None)) is not None:
                given[worker := free.pop()] = one
                self.submit(worker, one[0])
            if not given:
                return
            match self.wait():
                case Undone(worker, cause):
                    job, deaths = given.pop(worker)
                    if deaths + 1 >= MAX_DEATHS:
                        raise NmtPbtError(
                            f"{job}: {MAX_DEATHS} workers died at it ({cause}); mend that, often a lack of memory, "
                            "then give the command again"
                        )
                    again.append((job, deaths + 1))
                case (worker, answer):
                    yield given.pop(worker)[0], answer
            free.append(worker)

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


@dataclass(frozen=True)
class _Failure:
    """An error that a job raised, on its way."""

    error: Exception


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


def _work(name: str, pipe: Connection, build: bytes, log: Path) -> None:
    """Do jobs until the other side closes the pipe; what a worker's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one that waits for us decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)  # TensorFlow's start-up messages, once for each worker; unpickling a task imports it
    work: Callable[[Any], Any] | None = None
    while True:
        try:
            job = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            if work is None:
                work = ForkingPickler.loads(build)(name)
            answer = work(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side has to hear of it
            answer = _Failure(_portable(error))
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
    text, place = f"{type(error).__name__}: {error}", f"In a worker:\n{traceback.format_exc()}"
    if sys.version_info < (3, 11):
        return RuntimeError(f"{text}\n{place}")
    told = RuntimeError(text)
    told.add_note(place)
    return told
