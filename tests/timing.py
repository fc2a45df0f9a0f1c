"""Processor time, measured on a machine that does other work as well."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_seconds(measure: Callable[[], float], bound: float) -> float:
    """Measure up to three times, until `bound` is kept; return the least.

    The processor time of the same work differs by half from one moment to the next where others share the machine's
    caches. They only add to it, so the least is the nearest to what the work itself takes.
    """
    least = float("inf")
    for _ in range(3):
        least = min(least, measure())
        if least <= bound:
            break
    return least


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time, in seconds, that this process takes for `work`."""
    began = time.process_time()
    work()
    return time.process_time() - began
