"""Memory that a process has no use for any more, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back_memory() -> None:
    """Return memory that was freed to the system; nothing where its C library knows of no such thing.

    The C library keeps what was freed between pieces still in use, to give it out again. Batches of many shapes leave
    many such gaps: without this a worker looks as if its memory grew.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim  # of glibc
    except (AttributeError, OSError, TypeError):
        return None
