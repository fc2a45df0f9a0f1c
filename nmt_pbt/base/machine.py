"""What this machine, or the container on it, has of cores and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_MEMORY_LIMITS = (  # of a container and what it uses: control groups of version 2, and of version 1
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Memory:
    """How much memory there is.

    Attributes:
        total_bytes: What all processes together may use.
        free_bytes: What of it is free.
    """

    total_bytes: int
    free_bytes: int


def memory_here() -> Memory:
    """Return how much memory there is on this machine, or in its container where that allows less."""
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    for limit_file, used_file in _MEMORY_LIMITS:
        limit, used = _read(_CGROUP / limit_file), _read(_CGROUP / used_file)
        if limit.isdigit() and used.isdigit():
            total = min(total, int(limit))
            free = min(free, max(0, int(limit) - int(used)))
    return Memory(total, free)


def cores_here() -> int:
    """Return how many cores this process may use, by its affinity and by the limit of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _read(_CGROUP / "cpu.max").split()  # microseconds in each period
    if len(limit) == 2 and limit[0].isdigit():
        return max(1, min(allowed, int(limit[0]) // int(limit[1])))
    return allowed


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""  # another system, or no container
