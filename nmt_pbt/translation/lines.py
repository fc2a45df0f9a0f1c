"""Lines of text in and out: how standard input is read, and what an n-best list looks like."""

from __future__ import annotations

import io
import select
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from nmt_pbt.corpus.parallel import one_line
from nmt_pbt.errors import UsageError

if TYPE_CHECKING:
    from nmt_pbt.training.text_decoder import Translation

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_READ = 1 << 16  # bytes taken at once: what a pipe holds
_PATIENCE = 0.1  # seconds: nothing beside starting up, much for a program that only copies text


def read_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Read text a line at a time.

    Args:
        file: UTF-8; a byte order mark and the ends of lines are taken off. Only a line feed ends a line.
        name: What it is, for messages.

    Yields:
        Each line; blank ones too.

    Raises:
        UsageError: A line is not UTF-8; it is named.
    """
    for number, data in enumerate(file, start=1):
        yield _line(data.removesuffix(b"\n"), name, number)


def read_arriving(file: io.BufferedIOBase, name: str, size: int, patience: float = _PATIENCE) -> Iterator[list[str]]:
    """Read the lines of `read_lines` in lists: of `size` where text comes fast, of what is there where it comes slowly.

    Args:
        file: UTF-8, a file or a pipe. Nothing has been read of it.
        name: What it is, for messages.
        size: Most lines of a list.
        patience: How long a line that is there waits for others, in seconds.

    Yields:
        The lines in their order, at least one a time.

    Raises:
        UsageError: A line is not UTF-8; it is named.
    """
    lines: list[bytes] = []
    begun: list[bytes] = []  # parts of a line whose end has not come
    number, due, ended = 1, 0.0, False
    while lines or not ended:
        if not lines or (not ended and len(lines) < size and _has_more(file, due - time.monotonic())):
            data = file.read1(_READ)
            if not lines:
                due = time.monotonic() + patience
            first, *others = data.split(b"\n")
            begun.append(first)
            if others:
                lines += [b"".join(begun), *others[:-1]]
                begun = others[-1:]
            if not data:
                ended = True
                lines += filter(None, [b"".join(begun)])
            continue
        given, lines = lines[:size], lines[size:]
        yield [_line(line, name, place) for place, line in enumerate(given, start=number)]
        number += len(given)
        due = time.monotonic() + patience


def _has_more(file: io.BufferedIOBase, seconds: float) -> bool:
    """Tell whether something can be read, or the end has come, within so many seconds."""
    try:
        return bool(select.select([file], [], [], max(0.0, seconds))[0])
    except OSError:  # in memory, or of a system that cannot tell
        return True


def _line(data: bytes, name: str, number: int) -> str:
    """Return a line without its line feed as text."""
    if number == 1:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return data.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{name}, line {number}: not UTF-8; convert it first") from None


def in_chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the lines in lists of `size`; the last may have fewer."""
    waiting = iter(lines)
    while chunk := list(islice(waiting, size)):
        yield chunk


def n_best_lines(found: Iterable[Iterable[Translation]], first: int = 0) -> Iterator[str]:
    """Write translations as an n-best list: `index ||| text ||| log-probability ||| score`.

    Args:
        found: The translations of each sentence, the best first.
        first: Index of the first sentence, from 0.

    Yields:
        One line a translation.
    """
    for index, translations in enumerate(found, start=first):
        for its in translations:
            yield f"{index} ||| {one_line(its.text)} ||| {its.log_probability:.4f} ||| {its.score:.4f}"
