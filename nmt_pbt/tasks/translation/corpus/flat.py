"""Many short sequences as a few long arrays: lines of text, and ids of sentences. Both can be memory-mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from mmap import mmap
from typing import overload

import numpy as np

_BLOCK = 8192  # lines, or sequences, that are looked at together


class TextLines(Sequence[str]):
    """Lines of UTF-8 text in one buffer, each decoded when it is asked for. Equal to any sequence of the same lines.

    Args:
        buffer: The text, in memory or mapped from a file.
        begins: Where each line begins, bytes, `[lines]`.
        ends: Where it ends, likewise.
    """

    def __init__(self, buffer: bytes | mmap, begins: np.ndarray, ends: np.ndarray) -> None:
        self._buffer = buffer
        self._begins = begins
        self._ends = ends

    @classmethod
    def of_file(cls, buffer: bytes | mmap) -> TextLines:
        """Return the lines of a text whose every line ends with a line feed."""
        ends = np.flatnonzero(np.frombuffer(buffer, np.uint8) == ord("\n"))
        return cls(buffer, np.append(0, ends + 1)[:-1], ends)

    def __len__(self) -> int:
        return len(self._begins)

    def encoded_size(self) -> int:
        """Return how many bytes the lines take, each ended by a line feed."""
        return int((self._ends - self._begins).sum()) + len(self)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> TextLines: ...

    def __getitem__(self, index: int | slice) -> str | TextLines:
        if isinstance(index, slice):
            return TextLines(self._buffer, self._begins[index], self._ends[index])
        return self._buffer[self._begins[index] : self._ends[index]].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        return (line.decode("utf-8") for block in self._blocks() for line in block)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TextLines({len(self)} lines)"

    def __reduce__(self) -> tuple[object, ...]:
        return TextLines.of_file, (b"".join(self.encoded()),)

    def select(self, indices: Sequence[int]) -> TextLines:
        """Return the lines at these 0-based indices, in the order of the indices."""
        chosen = np.asarray(indices, np.int64)
        return TextLines(self._buffer, self._begins[chosen], self._ends[chosen])

    def encoded(self) -> Iterator[bytes]:
        """Yield the whole text in UTF-8, thousands of lines at once, each line ended by a line feed."""
        for block in self._blocks():
            yield b"".join([line + b"\n" for line in block])

    def _blocks(self) -> Iterator[list[bytes]]:
        for start in range(0, len(self), _BLOCK):
            begins, ends = (side[start : start + _BLOCK].tolist() for side in (self._begins, self._ends))
            yield [self._buffer[begin:end] for begin, end in zip(begins, ends, strict=True)]


class JoinedLines(Sequence[str]):
    """The lines of several sequences, one after the other.

    Args:
        parts: The sequences.
    """

    def __init__(self, *parts: Sequence[str]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        for part in self._parts:
            if place < len(part):
                return part[place]
            place -= len(part)
        raise IndexError(index)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)


def encoded_lines(lines: Sequence[str]) -> Iterator[bytes]:
    """Yield lines in UTF-8, thousands of them at once, each ended by a line feed."""
    if isinstance(lines, TextLines):
        yield from lines.encoded()
        return
    for block in in_blocks(lines):
        yield "".join([line + "\n" for line in block]).encode("utf-8")


def encoded_size(lines: Sequence[str]) -> int:
    """Return how many bytes lines take in UTF-8, each ended by a line feed."""
    if isinstance(lines, TextLines):
        return lines.encoded_size()
    return sum(map(len, encoded_lines(lines)))


def selected_lines(lines: Sequence[str], indices: Iterable[int]) -> Sequence[str]:
    """Return the lines at these 0-based indices, in the order of the indices."""
    if isinstance(lines, TextLines):
        return lines.select(list(indices))
    return tuple(lines[index] for index in indices)


def in_blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines in lists of thousands."""
    waiting = iter(lines)
    while block := list(islice(waiting, _BLOCK)):
        yield block


class IdSequences(Sequence[np.ndarray]):
    """Sequences of ids end to end in one array.

    Args:
        ids: Those of all sequences, whole numbers of any type, `[ids]`.
        offsets: Where each sequence begins, and where the last one ends, `[sequences + 1]`.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        # Plain arrays: a `numpy.memmap` makes a view of itself, slowly, of all that is taken from it.
        self.ids = np.asarray(ids)
        self.offsets = np.asarray(offsets)

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> IdSequences:
        """Return sequences that were given one array each."""
        if isinstance(sequences, IdSequences):
            return sequences
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        ids = np.concatenate(sequences) if len(sequences) else np.zeros(0, np.int32)
        return cls(ids, np.concatenate(([0], np.cumsum(lengths))))

    @classmethod
    def joined(cls, parts: Sequence[IdSequences]) -> IdSequences:
        """Return the sequences of several, one after the other."""
        lengths = np.concatenate([np.zeros(1, np.int64), *(part.all_lengths() for part in parts)])
        return cls(np.concatenate([np.zeros(0, np.int32), *(part.ids for part in parts)]), np.cumsum(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        """Return the ids of a sequence, int32 `[length]`."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self.ids[int(self.offsets[place]) : int(self.offsets[place + 1])].astype(np.int32)

    def lengths(self, indices: np.ndarray) -> np.ndarray:
        """Return how many ids the sequences at these indices have, int64 `[indices]`."""
        lengths: np.ndarray = self.offsets[indices + 1].astype(np.int64) - self.offsets[indices].astype(np.int64)
        return lengths

    def all_lengths(self) -> np.ndarray:
        """Return how many ids each sequence has, `[sequences]`."""
        return np.diff(self.offsets)

    def select(self, indices: np.ndarray) -> IdSequences:
        """Return the sequences at these indices."""
        ids, lengths = self.gather(indices)
        return IdSequences(ids, np.append(0, np.cumsum(lengths)))

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of the sequences at these indices end to end, int32, and how many each has, int64."""
        lengths = self.lengths(indices)
        return self.ids[positions(self.offsets[indices].astype(np.int64), lengths)].astype(np.int32), lengths


def positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places of segments of an array, one segment after the other.

    Args:
        starts: Where each segment starts, `[segments]`.
        lengths: How long it is, `[segments]`.

    Returns:
        `[sum of lengths]`.
    """
    shift = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return shift + np.arange(len(shift))


def smallest_type(largest: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest type of whole numbers from 0 to `largest`, of 2, 4 or 8 bytes."""
    return next(np.dtype(kind) for kind in (np.uint16, np.uint32, np.uint64) if largest <= np.iinfo(kind).max)
