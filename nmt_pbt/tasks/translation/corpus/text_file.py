"""A text file cut into lines, a block at a time: what is kept of it in memory are the places of its lines."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.base.unpacking import unpacking
from nmt_pbt.tasks.translation.corpus.flat import TextLines

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_ENDS = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # what ends a line for some programs, not here
_BLOCK = 1 << 22  # bytes that are looked at together
_MAPPED = 1 << 26  # bytes from which a file is mapped, not read: whoever changes a smaller one meanwhile does no harm


@dataclass(frozen=True, eq=False)
class FileLines:
    """The lines of a file without their ends.

    Attributes:
        buffer: The file's text.
        begins: Where each line begins, bytes, int64 `[lines]`.
        ends: Where it ends, likewise.
        is_blank: Whether it holds no character that can be seen, bool `[lines]`.
    """

    buffer: bytes | mmap
    begins: np.ndarray
    ends: np.ndarray
    is_blank: np.ndarray

    def __len__(self) -> int:
        return len(self.begins)

    def lines(self, kept: np.ndarray) -> TextLines:
        """Return the lines for which `kept`, bool `[lines]`, is true."""
        return TextLines(self.buffer, self.begins[kept], self.ends[kept])


def read_lines(path: Path, tell: Callable[[str], None] = lambda note: None) -> FileLines:
    """Read the lines of a file.

    Only a line feed ends a line, never U+2028 or the like; a carriage return alone does in a file without line feeds.
    A carriage return before a line feed and a leading byte order mark are taken off.

    Args:
        path: UTF-8 text, which may be compressed by gzip.
        tell: Called with a sentence on each other character that may be taken for the end of a line.

    Raises:
        UsageError: The file is missing, empty, damaged or not UTF-8 text.
    """
    buffer = _read(path)
    found = _Cutter(path, buffer)
    start = len(_BYTE_ORDER_MARK) if buffer[: len(_BYTE_ORDER_MARK)] == _BYTE_ORDER_MARK else 0
    if start == len(buffer):
        raise UsageError(f"{path}: the file is empty; give a text with one sentence a line")
    while start < len(buffer):
        end = _end_of_block(buffer, start)
        found.cut(start, end, "\n")
        start = end
    if found.count == 1 and b"\r" in buffer[(begin := int(found.begins[0][0])) : (end := int(found.ends[0][0]))]:
        found = _Cutter(path, buffer)
        found.cut(begin, end, "\r")
        tell(f"{path}: no line feeds, so that its carriage returns end {counted(found.count, 'line')}")
    if found.with_others:
        which = ", ".join(f"U+{ord(character):04X}" for character in sorted(found.others))
        lines = counted(found.with_others, "line")
        tell(f"{path}: {lines} with {which} inside, which ends a line for some programs, not here")
    return FileLines(buffer, *(np.concatenate(parts) for parts in (found.begins, found.ends, found.is_blank)))


def _end_of_block(buffer: bytes | mmap, start: int) -> int:
    """Return the end of whole lines from `start` on: of a block of them, or of one that is longer."""
    if start + _BLOCK >= len(buffer):
        return len(buffer)
    end = buffer.rfind(b"\n", start, start + _BLOCK)
    if end < 0:
        end = buffer.find(b"\n", start + _BLOCK)
    return end + 1 or len(buffer)


class _Cutter:
    """Cuts blocks of a text into lines, and notes what they hold.

    Args:
        path: The file, for errors.
        buffer: Its text.

    Attributes:
        count: Lines so far.
        begins: Where they begin, for each block.
        ends: Where they end.
        is_blank: Whether they are blank.
        with_others: Lines that hold what can be taken for another line end.
        others: What they hold.
    """

    def __init__(self, path: Path, buffer: bytes | mmap) -> None:
        self._path = path
        self._buffer = buffer
        self.count = 0
        self.begins: list[np.ndarray] = []
        self.ends: list[np.ndarray] = []
        self.is_blank: list[np.ndarray] = []
        self.with_others = 0
        self.others: set[str] = set()

    def cut(self, start: int, end: int, at: str) -> None:
        """Cut the text from byte `start` to `end`, whole lines, at each character `at`."""
        block = self._buffer[start:end]
        text = self._decoded(block)
        lines = text.split(at)
        places = np.frombuffer(block, np.uint8)
        ends = np.append(np.flatnonzero(places == ord(at)), len(block))
        begins = np.append(0, ends[:-1] + 1)
        if at == "\n":
            if not lines[-1]:
                begins, ends = begins[:-1], ends[:-1]
                del lines[-1]
            ends = ends - ((ends > begins) & (places[ends - 1] == ord("\r")))
        if _OTHER_ENDS.search(text):
            self._note_others(lines)
        self.begins.append(begins + start)
        self.ends.append(ends + start)
        self.is_blank.append(np.fromiter((not line or line.isspace() for line in lines), np.bool_, len(lines)))
        self.count += len(lines)

    def _decoded(self, block: bytes) -> str:
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._error(block.count(b"\n", 0, error.start), "not UTF-8 text; convert the file to UTF-8") from None
        nul = text.find("\0")
        if nul >= 0:
            why = "holds a NUL character, so is not text; give a UTF-8 text file"
            raise self._error(text.count("\n", 0, nul), why)
        return text

    def _error(self, line: int, why: str) -> UsageError:
        return UsageError(f"{self._path}, line {self.count + line + 1}: {why}")

    def _note_others(self, lines: list[str]) -> None:
        for line in lines:
            if found := _OTHER_ENDS.findall(line.removesuffix("\r")):
                self.with_others += 1
                self.others.update(found)


def _read(path: Path) -> bytes | mmap:
    """Return what a file holds, decompressed; mapped, not read, where it is large."""
    try:
        with open(path, "rb") as file, unpacking(file, str(path)) as plain:
            return _content(file) if plain is file else _unpacked(path, iter(partial(plain.read, _BLOCK), b""))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the path of a text file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None


def _unpacked(path: Path, blocks: Iterator[bytes]) -> bytes | mmap:
    """Return the blocks of a file that was compressed, by way of a temporary file."""
    first = next(blocks, b"")
    if len(first) < _BLOCK:
        return first
    with ExitStack() as stack:
        with _temporary(path):
            plain = stack.enter_context(tempfile.TemporaryFile())
        for block in chain((first,), blocks):
            with _temporary(path):
                plain.write(block)
                plain.flush()
        return _content(plain)


@contextmanager
def _temporary(path: Path) -> Iterator[None]:
    """Say of an error that it is about the temporary folder, not about the file."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path}: temporary files cannot hold it unpacked ({error.strerror or error}); make room, or set TMPDIR"
        ) from None


def file_content(path: Path) -> bytes | mmap:
    """Return what a file holds; mapped, not read, where it is large.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return _content(file)


def _content(file: IO[bytes]) -> bytes | mmap:
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode):
        if status.st_size >= _MAPPED:
            return mmap(file.fileno(), 0, access=ACCESS_READ)
        file.seek(0)
    return file.read()
