"""Files that may be compressed by gzip, which their first bytes tell."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from nmt_pbt.base.errors import UsageError

_MAGIC = b"\x1f\x8b"
"""What gzip begins with, and no UTF-8 text does."""


@contextmanager
def unpacking(file: io.BufferedIOBase, name: str) -> Iterator[io.BufferedIOBase]:
    """Give what a file holds, decompressed if it begins as gzip does, or its name ends in `.gz` and it is not empty.

    Args:
        file: A file or a pipe, at its beginning.
        name: What it is, for messages.

    Yields:
        The file itself if it is not compressed.

    Raises:
        UsageError: While it is read: it is damaged.
    """
    begin = _begin(file)
    packed = begin == _MAGIC or (bool(begin) and name.endswith(".gz"))
    try:
        yield gzip.GzipFile(fileobj=file, mode="rb") if packed else file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{name}: damaged gzip file ({error}); fetch or compress it again") from None


def _begin(file: io.BufferedIOBase) -> bytes:
    """Return the first two bytes of a file, which are still there to be read."""
    if isinstance(file, io.BufferedReader):
        return file.peek(len(_MAGIC))[: len(_MAGIC)]
    begin = file.read(len(_MAGIC))  # in memory
    file.seek(-len(begin), io.SEEK_CUR)
    return begin
