"""Parallel text: sentence pairs in memory, and how they are read from a folder of files."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.tasks.translation.corpus.normalization import BREAKS

_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SPACES = re.compile(f"[ {BREAKS}]+")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs: line i of `source` translates to line i of `target`.

    Attributes:
        source: Sentences to translate; none is blank.
        target: Their translations, as many.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise ValueError(f"{len(self.source)} source lines beside {len(self.target)} target lines")

    def __len__(self) -> int:
        return len(self.source)

    def head(self, pairs: int) -> ParallelText:
        """Return the first `pairs` sentence pairs."""
        return ParallelText(self.source[:pairs], self.target[:pairs])

    def select(self, indices: Iterable[int]) -> ParallelText:
        """Return the sentence pairs at these 0-based indices, in the order of the indices."""
        chosen = list(indices)
        return ParallelText(
            tuple(self.source[index] for index in chosen), tuple(self.target[index] for index in chosen)
        )


@dataclass(frozen=True)
class Corpus:
    """Three splits of parallel text: train; dev, which a search sees; test, which it never sees.

    Attributes:
        name: The catalog's name, or that of the folder.
        source_language: Language of the text to translate, for instance `en`.
        target_language: Language to translate into.
        train: Sentence pairs to train on.
        dev: Sentence pairs that decide between hyperparameters.
        test: Sentence pairs that are scored once, at the end.
        dropped: How many sentence pairs were left out while reading for a blank line, by split; only where some were.
        test_set: Which test set `test` is, for folders that hold several: its file name without the language.
    """

    name: str
    source_language: str
    target_language: str
    train: ParallelText
    dev: ParallelText
    test: ParallelText
    dropped: Mapping[str, int]
    test_set: str = "test"

    def digest(self) -> str:
        """Return the SHA-256 of all text in its order, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for text in (self.train, self.dev, self.test):
            for side in (text.source, text.target):
                digest.update(f"{len(side)}\n".encode())
                for line in side:  # no line holds a line feed, so the lengths and ends cannot be confused
                    digest.update(line.encode("utf-8") + b"\n")
        return digest.hexdigest()


def one_line(text: str) -> str:
    """Return a text as one line of a file, whatever it holds: ends of lines, tabs and several spaces become a space.

    No-break and other spaces stay: they are part of the text.
    """
    return _SPACES.sub(" ", text).strip(" ")


def sample_lines(seed: int, lines: int, count: int) -> list[int]:
    """Draw which sentences of a split a run shows.

    Args:
        seed: The run's.
        lines: Sentences of the split.
        count: How many to show, at most.

    Returns:
        Their indices; those of a smaller count come first in those of a larger one.
    """
    from nmt_pbt.base.randomness import generator  # NumPy, which reading a corpus does without

    return [int(line) for line in generator(seed, "sample").permutation(lines)[:count]]


def read_pair(source_path: Path, target_path: Path) -> tuple[ParallelText, int]:
    """Read two files whose lines translate each other.

    Only line ends (line feed, or carriage return and line feed) and a leading byte order mark are taken off. A line
    that is blank on either side takes its whole pair out, so that the lines below stay aligned.

    Args:
        source_path: UTF-8 text, one sentence a line; compressed when its name ends in `.gz`.
        target_path: Its translation, as many lines.

    Returns:
        The sentence pairs, and the number of pairs dropped for a blank line.

    Raises:
        UsageError: A file is missing, empty, damaged or not UTF-8, the numbers of lines differ, or no pair is left.
    """
    source, target = _read_lines(source_path), _read_lines(target_path)
    if len(source) != len(target):
        raise UsageError(
            f"{source_path} has {counted(len(source), 'line')}, {target_path} has {len(target):,}; "
            "line i of one must translate line i of the other"
        )
    kept = [(left, right) for left, right in zip(source, target, strict=True) if left.strip() and right.strip()]
    if not kept:
        raise UsageError(f"{source_path} and {target_path}: every pair has a blank line; give files with text")
    text = ParallelText(tuple(left for left, _ in kept), tuple(right for _, right in kept))
    return text, len(source) - len(kept)


def read_folder(folder: Path, source_language: str, target_language: str) -> Corpus:
    """Read a corpus from a folder with `train.SRC`, `train.TGT`, `val.*` (or `dev.*`) and `test*.*`.

    Each file may be plain or end in `.gz`; where both are there, the plain one is read. Of several test sets the first
    by name is taken; `Corpus.test_set` tells which.

    Args:
        folder: The folder.
        source_language: File suffix of the text to translate, for instance `en`.
        target_language: File suffix of its translation, for instance `de`.

    Returns:
        The corpus, named after the folder.

    Raises:
        UsageError: The folder or a file is missing, or a file cannot be used; see `read_pair`.
    """
    for language in (source_language, target_language):
        if not _LANGUAGE.fullmatch(language):
            raise UsageError(f"language {language!r}: expected a plain file suffix, for instance 'en'")
    if source_language == target_language:
        raise UsageError(f"source and target language are both '{source_language}'; name two different file suffixes")
    languages = (source_language, target_language)
    try:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "no such folder"
            raise UsageError(f"{folder}: {problem}; give a folder with train.{source_language} and the like")
        train = _find(folder, ("train",), languages)
        dev = _find(folder, ("val", "dev"), languages)
        test_set = _first_test_set(folder, source_language)
        test = _find(folder, (test_set,), languages)
    except (OSError, ValueError) as error:  # not permitted, too long, or a NUL in the name
        raise UsageError(f"{str(folder)!r}: cannot be read ({error}); check the folder") from None
    texts: dict[str, ParallelText] = {}
    dropped: dict[str, int] = {}
    for split, paths in (("train", train), ("dev", dev), ("test", test)):
        texts[split], blank = read_pair(*paths)
        if blank:
            dropped[split] = blank
    name = folder.resolve().name or "corpus"
    return Corpus(name, source_language, target_language, **texts, dropped=dropped, test_set=test_set)


def _find(folder: Path, stems: tuple[str, ...], languages: tuple[str, str]) -> tuple[Path, Path]:
    """Return the source and the target file of the first of `stems` that is there."""
    for stem in stems:
        source, target = (_plain_or_compressed(folder / f"{stem}.{language}") for language in languages)
        if source is not None and target is not None:
            return source, target
        if source is not None or target is not None:
            missing = f"{stem}.{languages[0] if source is None else languages[1]}"
            raise UsageError(f"{folder}: {missing} not found, plain or .gz; put it beside its translation")
    wanted = " or ".join(f"{stem}.{languages[0]} and {stem}.{languages[1]}" for stem in stems)
    raise UsageError(f"{folder}: {wanted} not found, plain or .gz; put them there")


def _plain_or_compressed(path: Path) -> Path | None:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    return None


def _first_test_set(folder: Path, source_language: str) -> str:
    """Return the name, without language, of the first test set of the folder; `test` when there is none."""
    suffix = f".{source_language}"
    names = [path.name.removesuffix(".gz") for path in folder.iterdir() if path.is_file()]
    sets = {name.removesuffix(suffix) for name in names if name.startswith("test") and name.endswith(suffix)}
    return min(sets, default="test")


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file without their ends. Only a line feed ends a line, never U+2028 or the like."""
    data = _read_bytes(path)
    try:
        text = data.removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: not UTF-8 text; convert the file to UTF-8") from None
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise UsageError(f"{path}, line {line}: holds a NUL character, so is not text; give a UTF-8 text file")
    if not text:
        raise UsageError(f"{path}: the file is empty; give a text with one sentence a line")
    lines = text.split("\n")
    if not lines[-1]:
        del lines[-1]
    return [line.removesuffix("\r") for line in lines]


def _read_bytes(path: Path) -> bytes:
    try:
        if path.name.endswith(".gz"):
            with gzip.open(path, "rb") as file:
                return file.read()
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the path of a text file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: damaged gzip file ({error}); fetch or compress it again") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
