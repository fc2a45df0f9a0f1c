"""The engine for one machine: a process for each worker.

Jobs and results go through a pipe each; states lie in the run's folder, where the workers read and save them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.run.jobs import Job, Result, Undone
from nmt_pbt.run.process_pool import ProcessPool
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import Task
from nmt_pbt.tasks.state import StateStore


class ProcessEngine:
    """Runs jobs in processes of this machine.

    A worker that dies is started again. Workers end with this process, however that ends.

    Args:
        task: Builds the trainables; pickled once, for all workers.
        states: Where states are saved.
        workers: How many processes.
    """

    def __init__(self, task: Task, states: StateStore, workers: int) -> None:
        build = _WorkerBuilder(task, states.folder)
        self._pool: ProcessPool[Job, Result] = ProcessPool(build, workers, getattr(task, "brings_its_code", False))

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers. One that is still starting counts: its job waits for it."""
        return self._pool.workers

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of the workers, by name."""
        return self._pool.processes

    def submit(self, worker: str, job: Job) -> None:
        """Send a job to a worker."""
        self._pool.submit(worker, job)

    def wait(self) -> Result | Undone:
        """Wait for the next result, or for a worker that dies at its job."""
        answer = self._pool.wait()
        return answer if isinstance(answer, Undone) else answer[1]

    def close(self) -> None:
        """End the workers, whatever they are at."""
        self._pool.close()


@dataclass(frozen=True)
class _WorkerBuilder:
    """Builds a worker in its process."""

    task: Task
    states: Path

    def __call__(self, name: str) -> Callable[[Job], Result]:
        return Worker(name, TrainablePool(self.task), StateStore(self.states)).run
