"""Memory that a process has no use for any more: given back to the system, and looked for only as often as it pays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


def collect_garbage_rarely() -> None:
    """Look for unreachable objects only after many new ones: what is imported or drawn stays for long anyway."""
    gc.set_threshold(50_000, 20, 20)


@contextmanager
def garbage_collected_rarely() -> Iterator[None]:
    """Do so within a block; after it, the process is as its owner set it."""
    before = gc.get_threshold()
    collect_garbage_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_back_memory() -> None:
    """Return memory that was freed to the system; nothing where its C library knows of no such thing.

    The C library keeps what was freed between pieces still in use, to give it out again. Batches of many shapes leave
    many such gaps: without this a worker looks as if its memory grew.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    import ctypes  # takes its time, and workers alone need it

    try:
        return ctypes.CDLL(None).malloc_trim  # of glibc
    except (AttributeError, OSError, TypeError):
        return None
