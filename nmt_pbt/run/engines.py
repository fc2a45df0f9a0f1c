"""Which engine a run gets, and with how many workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from nmt_pbt.base.machine import cores_here, memory_here
from nmt_pbt.base.text import counted
from nmt_pbt.run.jobs import Engine
from nmt_pbt.run.worker import InlineEngine, TrainablePool
from nmt_pbt.settings.tree import EngineSettings
from nmt_pbt.tasks.answers import check_answer
from nmt_pbt.tasks.protocol import Task
from nmt_pbt.tasks.state import StateStore

_IN_TRAINING = 2.2
"""Memory that a worker in training has of its own, as a multiple of that of a process that only has the libraries."""


@dataclass(frozen=True)
class Workers:
    """How many workers this machine has room for.

    Attributes:
        count: So many.
        cores: Cores that this process may use.
        fitting: So many fit into memory.
        bytes_each: What a further worker takes, by an estimate from this process. The libraries and the data, which all
            of them map from the same files, are in memory once.
    """

    count: int
    cores: int
    fitting: int
    bytes_each: int

    def __str__(self) -> str:
        return (
            f"{counted(self.count, 'worker')}: {counted(self.cores, 'core')}, and memory for {self.fitting} of "
            f"{self.bytes_each / 1024**3:.1f} GB"
        )


def workers_here(threads: int, most: int) -> Workers:
    """Return how many workers this machine has room for, once libraries and data are loaded.

    Args:
        threads: Threads of a worker.
        most: More would be of no use.
    """
    return workers_that_fit(int(_IN_TRAINING * own_memory()), threads, most)


def workers_that_fit(bytes_each: int, threads: int, most: int) -> Workers:
    """Return how many workers this machine has room for.

    Args:
        bytes_each: Memory that each takes.
        threads: Threads of a worker.
        most: More would be of no use.
    """
    cores = cores_here()
    fitting = max(1, memory_here().free_bytes // bytes_each)
    return Workers(max(1, min(cores // max(1, threads), fitting, most)), cores, fitting, bytes_each)


def own_memory() -> int:
    """Return the bytes that this process shares with no other: without what it maps from files."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def build_engine(
    settings: EngineSettings,
    task: Task,
    states: StateStore,
    most_jobs: int,
    tell: Callable[[str], None] = lambda text: None,
) -> Engine:
    """Build the engine of the settings.

    Args:
        settings: Which engine, and with how many workers.
        task: Builds trainables.
        states: Where states are saved.
        most_jobs: Jobs that can be under way at once: more workers would be of no use.
        tell: Called with a line on how many workers there are, if the machine decides that.
    """
    threaded = task.with_threads(settings.threads)
    check_answer(task, "with_threads", threaded, Task)
    task = threaded
    workers = settings.workers
    if not workers and settings.name != "inline" and most_jobs > 1:
        found = workers_here(settings.threads, most_jobs)
        tell(str(found))
        workers = found.count
    if settings.name == "ray":
        from nmt_pbt.run.ray_engine import RayEngine

        return RayEngine(task, states, max(1, workers), settings.address, float(settings.threads or 1), settings.gpus)
    if settings.name == "inline" or min(workers, most_jobs) <= 1:
        return InlineEngine(TrainablePool(task), states)
    from nmt_pbt.run.process_engine import ProcessEngine

    return ProcessEngine(task, states, min(workers, most_jobs))
