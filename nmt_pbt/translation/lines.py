"""Lines of text in and out: how standard input is read, and what an n-best list looks like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from nmt_pbt.corpus.parallel import one_line
from nmt_pbt.errors import UsageError

if TYPE_CHECKING:
    from nmt_pbt.training.text_decoder import Translation

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        if number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        try:
            yield data.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
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
