"""The text that a model is evaluated on: given files, or a split of the run's own corpus."""

from __future__ import annotations

import contextlib
import io
import os
import select
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.base.unpacking import unpacking
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, one_line, read_pair
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.decoding.decoder import Translation


Split = Literal["dev", "test"]


@dataclass(frozen=True)
class EvaluatedText:
    """Sentence pairs to evaluate on.

    Attributes:
        name: What they are, for people.
        pairs: The sentence pairs.
        dropped: Pairs left out because a side is blank.
        notes: What else was met while reading, a sentence each.
    """

    name: str
    pairs: ParallelText
    dropped: int
    notes: tuple[str, ...] = ()


def given_text(source: Path, reference: Path) -> EvaluatedText:
    """Return text from two files; see `read_pair`."""
    notes: list[str] = []
    pairs, dropped = read_pair(source, reference, notes.append)
    return EvaluatedText(str(source), pairs, dropped, tuple(notes))


def own_corpus(chosen: KeptModel[TranslationSettings], lies: str | None = None) -> Corpus:
    """Return the corpus that a model was trained on, with the test sets that were added since.

    Args:
        chosen: The model.
        lies: Name or folder of the corpus now; None: those of when the run was begun.

    Raises:
        UsageError: The corpus is not there, or not what it was when the run was begun.
    """
    # NumPy, which these need, takes 0.1 s: what refuses a text does without.
    from nmt_pbt.tasks.translation.corpus.prepared import corpus_of_run
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS, Subwords

    settings = chosen.settings
    moved = settings.corpus if lies is None else settings.corpus.model_copy(update={"name": lies})
    corpus = load_corpus(moved, settings.seed)
    subwords = Subwords.load((chosen.run / SUBWORDS).read_bytes())
    if corpus_of_run(corpus, subwords, settings.corpus.max_length, chosen.data_digest) is None:
        raise UsageError(
            f"{chosen.run}: corpus '{moved.name}' is not the one that the run was begun with; restore it, "
            "say with --corpus where that lies, or name the text with --src and --ref"
        )
    return corpus


def split_of(corpus: Corpus, split: Split, test_set: str | None = None) -> EvaluatedText:
    """Return a split of a corpus.

    Args:
        corpus: The corpus.
        split: Which.
        test_set: Which of several test sets; None takes the one methods are compared by.

    Raises:
        UsageError: The corpus has no such test set.
    """
    if split == "dev":
        return EvaluatedText(f"dev of {corpus.name}", corpus.dev, corpus.dropped.get("dev", 0))
    name = test_set or corpus.test_set
    if name not in corpus.tests:
        raise UsageError(f"--test {name}: corpus '{corpus.name}' has no such test set{suggest(name, corpus.tests)}")
    return EvaluatedText(f"{name} of {corpus.name}", corpus.tests[name], corpus.dropped.get(name, 0))


def read_translations(path: Path) -> list[str]:
    """Read somebody's translations of a text.

    Args:
        path: UTF-8, a sentence a line; may be compressed by gzip.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return list(read_lines(file, str(path)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a run or a file of translations") from None


def pair_up(path: Path, lines: Sequence[str], text: EvaluatedText) -> None:
    """Refuse translations that are not those of a text.

    Args:
        path: Where they were read.
        lines: The translations.
        text: What they are to translate.

    Raises:
        UsageError: There are more or fewer than the text has pairs.
    """
    if len(lines) != len(text.pairs):
        left_out = f" (left out: {counted(text.dropped, 'pair')} with a blank line)" if text.dropped else ""
        raise UsageError(
            f"{path}: has {counted(len(lines), 'line')}, {text.name} has {counted(len(text.pairs), 'pair')}{left_out}; "
            "give one translation a pair"
        )


def same_direction(
    one: Sequence[KeptModel[TranslationSettings]], other: Sequence[KeptModel[TranslationSettings]]
) -> None:
    """Refuse to compare models that translate from or into different languages.

    Raises:
        UsageError: They do.
    """
    first, second = (
        (its[0].settings.corpus.source_language, its[0].settings.corpus.target_language) for its in (one, other)
    )
    if first != second:
        raise UsageError(
            f"{other[0].run}: translates {second[0]} to {second[1]}, {one[0].run} {first[0]} to {first[1]}; "
            "compare runs of one direction"
        )


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_READ = 1 << 16  # bytes taken at once: what a pipe holds
_PATIENCE = 0.1  # seconds: nothing beside starting up, much for a program that only copies text


def read_lines(file: io.BufferedIOBase, name: str) -> Iterator[str]:
    """Read text a line at a time.

    Args:
        file: UTF-8, which may be compressed by gzip; a byte order mark and the ends of lines are taken off. Only a line
            feed ends a line.
        name: What it is, for messages.

    Yields:
        Each line; blank ones too.

    Raises:
        UsageError: A line is not UTF-8; it is named. Or the compressed file is damaged.
    """
    with unpacking(file, name) as plain:
        for number, data in enumerate(plain, start=1):
            yield _line(data.removesuffix(b"\n"), name, number)


def read_arriving(file: io.BufferedIOBase, name: str, size: int, patience: float = _PATIENCE) -> Iterator[list[str]]:
    """Read the lines of `read_lines` in lists: of `size` where text comes fast, of what is there where it comes slowly.

    Args:
        file: UTF-8, a file or a pipe, which may be compressed by gzip. Nothing has been read of it.
        name: What it is, for messages.
        size: Most lines of a list.
        patience: How long a line that is there waits for others, in seconds.

    Yields:
        The lines in their order, at least one a time.

    Raises:
        UsageError: A line is not UTF-8; it is named. Or the compressed file is damaged.
    """
    lines: list[bytes] = []
    begun: list[bytes] = []  # parts of a line whose end has not come
    number, due, ended = 1, 0.0, False
    _let_wait(file)
    with unpacking(file, name) as plain:
        while lines or not ended:
            if not lines or (not ended and len(lines) < size and _has_more(plain, due - time.monotonic())):
                data = _arrived(plain)
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


def _arrived(file: io.BufferedIOBase) -> bytes:
    """Return what can be read, waiting for it; nothing at the end."""
    _let_wait(file)
    return file.read1(_READ)


def _let_wait(file: io.BufferedIOBase) -> None:
    """Have reading a file wait for what comes: whoever shares a pipe may not have it wait."""
    with contextlib.suppress(OSError, ValueError):  # in memory, or of a system that has no such files
        os.set_blocking(file.fileno(), True)


def _has_more(file: io.BufferedIOBase, seconds: float) -> bool:
    """Return whether something can be read, or the end has come, within so many seconds."""
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
