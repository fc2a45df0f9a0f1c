"""The engine for several processes: Ray actors on this machine, or on a cluster.

Each worker is an actor with live models of its own. States travel through Ray's object store; only this side reads and
writes the run's folder, so no shared file system is needed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nmt_pbt.base.errors import OUT_OF_MEMORY, NmtPbtError, SearchError, StateError, UsageError, first_line
from nmt_pbt.run.jobs import (
    MAX_DEATHS,
    Job,
    JobResult,
    Result,
    StateReference,
    TestingJob,
    TestingResult,
    TrainingJob,
    Undone,
    lost,
)
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import MemberState, Task
from nmt_pbt.tasks.state import StateStore, content_hash

_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable of Ray, read when it is imported: 0 keeps it to the loopback address, on any system."""


class _CarriedStates:
    """What an actor sees instead of a folder: the state sent along with a job, and the one to send back."""

    def __init__(self) -> None:
        self.sent: MemberState | None = None
        self.made: MemberState | None = None

    def load(self, name: str, expected_hash: str) -> MemberState:
        if self.sent is None or content_hash(self.sent) != expected_hash:
            raise SearchError(f"state {name} was changed or lost on its way to a worker; resume the run")
        return self.sent

    def save(self, name: str, state: MemberState) -> str:
        self.made = state
        return content_hash(state)


class _Actor:
    """Lives in a worker's process."""

    def __init__(self, name: str, task: Task) -> None:
        self._states = _CarriedStates()
        self._worker = Worker(name, TrainablePool(task), self._states)

    def ready(self) -> int:
        """Return this process's id; answers when the actor is up."""
        return os.getpid()

    def run(self, job: Job, start: MemberState | None) -> tuple[Result, MemberState | None]:
        """Run a job; `start` is its state, or None when this worker is at it already."""
        self._states.sent, self._states.made = start, None
        result = self._worker.run(job)
        return result, self._states.made


@dataclass
class _Member:
    """One worker as this side sees it."""

    actor: Any
    coming: Any  # answers when the actor is up; None once it has
    at: StateReference | None = None
    process: int | None = None
    job: Job | None = None
    running: Any = None
    deaths: int = 0  # before it was up


class RayEngine:
    """Runs jobs on Ray actors.

    A worker that dies is started again, where the cluster has a place for it; it is among the workers when it is up.

    Args:
        task: Builds the trainables; sent to the workers once.
        states: Where states are saved, on this machine.
        workers: How many actors to ask for. Those that find no place yet join when the cluster has one.
        address: A Ray cluster's address; None starts Ray on this machine, reachable from it alone.
        processors: CPUs to reserve for each worker.
        gpus: GPUs to reserve for each worker; fractions allowed.

    Raises:
        UsageError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(
        self,
        task: Task,
        states: StateStore,
        workers: int,
        address: str | None = None,
        processors: float = 1.0,
        gpus: float = 0.0,
    ) -> None:
        if address is None:
            # Else Ray listens at every address of the machine, whatever it is told, and runs what anybody sends.
            os.environ[_CLUSTERS] = "0"
        self._ray = _import_ray()
        self._states = states
        with _own_signals():
            self._connect(address, workers, processors)
        self._task = self._ray.put(task)
        options: dict[str, Any] = {"num_cpus": processors, "num_gpus": gpus, "max_restarts": 0, "max_concurrency": 1}
        if gpus % 1:
            # Several workers share a GPU: TensorFlow, left to itself, takes all of its memory for the first.
            options["runtime_env"] = {"env_vars": {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}}
        self._actor = self._ray.remote(_Actor).options(**options)
        self._members = {f"worker{index}": self._start(f"worker{index}") for index in range(workers)}
        self._lost: list[Result] = []

    def _connect(self, address: str | None, workers: int, processors: float) -> None:
        common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "namespace": "nmt-pbt"}
        try:
            if address is not None:
                self._ray.init(address=address, **common)
            else:
                cores = max(1, int(workers * processors + 0.999))
                # "local": not what RAY_ADDRESS may name.
                here = {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
                self._ray.init(num_cpus=cores, **here, **common)
        except Exception as error:
            # Ray says with a bare Exception that it did not come up in time.
            if type(error) is not Exception and not isinstance(error, (ConnectionError, ValueError, RuntimeError)):
                raise
            reason = first_line(error, type(error).__name__)
            where = address or "on this machine"
            raise UsageError(
                f"Ray {where}: cannot be reached ({reason}); see that it runs, or leave out --address"
            ) from None

    def _start(self, name: str) -> _Member:
        actor = self._actor.remote(name, self._task)
        return _Member(actor, actor.ready.remote())

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers that are up."""
        return tuple(name for name, member in self._members.items() if member.coming is None)

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of the workers that are up, by name."""
        return {name: member.process for name, member in self._members.items() if member.process is not None}

    def submit(self, worker: str, job: Job) -> None:
        """Send a job to a worker, with its state unless the worker is at it."""
        member = self._members[worker]
        start = None
        if job.start is not None and (member.at != job.start or isinstance(job, TestingJob)):
            try:
                start = self._states.load(job.start.name, job.start.hash)
            except StateError as error:
                self._lost.append(lost(worker, job, str(error)))
                return
        member.job, member.at = job, None
        member.running = member.actor.run.remote(job, start)

    def wait(self) -> Result | Undone | None:
        """Wait for the next result, its state being on the disk; None when a worker came up that can be given work."""
        while True:
            if self._lost:
                return self._lost.pop(0)
            pending = {
                ref: name for name, member in self._members.items() for ref in (member.coming, member.running) if ref
            }
            ready, _ = self._ray.wait(list(pending), num_returns=1)
            name = pending[ready[0]]
            member = self._members[name]
            if ready[0] != member.coming:
                return self._collect(name)
            if self._came_up(name):
                return None

    def _came_up(self, name: str) -> bool:
        """Note that a worker is up, or start it again if it died on the way; return whether it is up."""
        member = self._members[name]
        try:
            member.process = self._ray.get(member.coming)
        except self._ray.exceptions.RayActorError as error:
            deaths = member.deaths + 1
            if deaths >= MAX_DEATHS:
                raise SearchError(
                    f"{name}: {deaths} times it died before it was up ({first_line(error, 'unknown')}); mend that, "
                    "then resume the run"
                ) from None
            self._members[name] = self._start(name)
            self._members[name].deaths = deaths
            return False
        except self._ray.exceptions.RayError as error:
            raise _trouble(name, error) from error
        member.coming, member.deaths = None, 0
        return True

    def _collect(self, name: str) -> Result | Undone:
        """Return a worker's result, or that it died."""
        member = self._members[name]
        job = member.job
        if job is None:
            raise SearchError(f"{name} returned a result without having been given a job; report this")
        result: JobResult | TestingResult
        try:
            result, state = self._ray.get(member.running)
        except self._ray.exceptions.OutOfMemoryError:
            if isinstance(job, TestingJob):
                raise _trouble(name, Exception(f"{OUT_OF_MEMORY} while it tested a winner")) from None
            result, state = JobResult(name, job.trial, failure=OUT_OF_MEMORY), None
        except self._ray.exceptions.RayActorError as error:
            self._members[name] = self._start(name)
            return Undone(name, first_line(error, "unknown"))
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, NmtPbtError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise _trouble(name, error) from error
        if state is not None and isinstance(job, TrainingJob):
            self._states.save(job.save_as, state)
        member.job, member.running = None, None
        member.at = result.state if isinstance(result, JobResult) else None
        return result

    def close(self) -> None:
        """Let the workers go, and Ray on this machine."""
        self._ray.shutdown()


def _trouble(worker: str, error: Exception) -> SearchError:
    """Return the error of a search for which Ray cannot do its part: no room in memory or on the disk, for instance."""
    why = first_line(error, "unknown")
    return SearchError(f"{worker}: Ray could not go on ({why}); mend that, then resume the run")


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does on SIGTERM, which Ray would replace by leaving without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UsageError(
            "engine ray: Ray is not installed; pip install 'nmt-pbt[ray]', or use --engine processes"
        ) from None
    return ray
