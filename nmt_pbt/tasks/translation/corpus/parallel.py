"""Parallel text: sentence pairs, and how they are read from a folder of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.tasks.translation.corpus.normalization import BREAKS

_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SPACES = re.compile(f"[ {BREAKS}]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEV_SETS = ("val", "dev", "valid", "validation")
_TEST_SETS = ("test", "newstest", "tst")  # what their names begin with; all of the first before those of the others


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs: line i of `source` translates to line i of `target`.

    Attributes:
        source: Sentences to translate; none is blank. Those of a file are `flat.TextLines`.
        target: Their translations, as many.
    """

    source: Sequence[str]
    target: Sequence[str]

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
        from nmt_pbt.tasks.translation.corpus.flat import selected_lines  # NumPy: 0.1 s, which a refusal need not pay

        chosen = list(indices)
        return ParallelText(selected_lines(self.source, chosen), selected_lines(self.target, chosen))


@dataclass(frozen=True)
class Corpus:
    """Three splits of parallel text: train; dev, which a search sees; test, which it never sees.

    Attributes:
        name: The catalog's name, or that of the folder.
        source_language: Language of the text to translate, for instance `en`.
        target_language: Language to translate into.
        train: Sentence pairs to train on.
        dev: Sentence pairs that decide between hyperparameters.
        test: Sentence pairs that are scored once, at the end; what methods are compared by.
        dropped: How many sentence pairs were left out while reading for a blank line, of `train`, `dev` and each test
            set; only where some were.
        test_set: Which test set `test` is, for folders that hold several: its file name without the language.
        other_tests: The other test sets, by name; scored once, too.
        notes: What else was met while reading that people have to know, a sentence each.
    """

    name: str
    source_language: str
    target_language: str
    train: ParallelText
    dev: ParallelText
    test: ParallelText
    dropped: Mapping[str, int]
    test_set: str = "test"
    other_tests: Mapping[str, ParallelText] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tests(self) -> Mapping[str, ParallelText]:
        """All test sets by name, the one that methods are compared by first."""
        return {self.test_set: self.test, **self.other_tests}

    def digest(self) -> str:
        """Return the SHA-256 of all text but the other test sets in its order, as 64 hexadecimal digits."""
        return text_digest(self.train, self.dev, self.test)


def text_digest(*texts: ParallelText) -> str:
    """Return the SHA-256 of texts in their order, as 64 hexadecimal digits."""
    from nmt_pbt.tasks.translation.corpus.flat import encoded_lines  # NumPy, as above

    digest = hashlib.sha256()
    for text in texts:
        for side in (text.source, text.target):
            digest.update(f"{len(side)}\n".encode())
            for lines in encoded_lines(side):  # none holds a line feed, so the lengths and ends cannot be confused
                digest.update(lines)
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
    from nmt_pbt.base.randomness import generator  # NumPy, as above

    return [int(line) for line in generator(seed, "sample").permutation(lines)[:count]]


def read_pair(
    source_path: Path, target_path: Path, tell: Callable[[str], None] = lambda note: None
) -> tuple[ParallelText, int]:
    """Read two files whose lines translate each other.

    Only line ends (line feed, carriage return and line feed; carriage returns in a file without line feeds) and a
    leading byte order mark are taken off. A line that is blank on either side takes its whole pair out, so that the
    lines below stay aligned.

    Args:
        source_path: UTF-8 text, one sentence a line; may be compressed by gzip.
        target_path: Its translation, as many lines.
        tell: Called with a sentence on each other character that may be taken for the end of a line.

    Returns:
        The sentence pairs, and the number of pairs dropped for a blank line.

    Raises:
        UsageError: A file is missing, empty, damaged or not UTF-8, the numbers of lines differ, or no pair is left.
    """
    from nmt_pbt.tasks.translation.corpus.text_file import read_lines  # NumPy, as above

    notes: list[str] = []
    source, target = read_lines(source_path, notes.append), read_lines(target_path, notes.append)
    if len(source) != len(target):
        raise UsageError(
            f"{source_path} has {counted(len(source), 'line')}, {target_path} has {len(target):,}; "
            f"line i of one must translate line i of the other{''.join(f'; {note}' for note in notes)}"
        )
    kept = ~(source.is_blank | target.is_blank)
    if not kept.any():
        raise UsageError(f"{source_path} and {target_path}: every pair has a blank line; give files with text")
    for note in notes:
        tell(note)
    return ParallelText(source.lines(kept), target.lines(kept)), len(source) - int(kept.sum())


def read_folder(folder: Path, source_language: str, target_language: str, test_set: str | None = None) -> Corpus:
    """Read a corpus from a folder with `train.SRC`, `train.TGT`, `val.*`, and one or more test sets, such as `test.*`.

    The dev split may also be called `dev`, `valid` or `validation`. Test sets are all files whose names begin with
    `test`, `newstest` or `tst`. Each file may be plain or end in `.gz`; where both are there, the plain one is read.
    What has no translation beside it is left out and told in `Corpus.notes`, as long as there is another.

    Args:
        folder: The folder.
        source_language: File suffix of the text to translate, for instance `en`.
        target_language: File suffix of its translation, for instance `de`.
        test_set: Name of the test set that methods are compared by; None takes the first by name.

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
    notes: list[str] = []
    try:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "no such folder"
            raise UsageError(
                f"{folder}: {problem}; give a folder with train.{source_language} and the like, for a run that is "
                "there with --corpus"
            )
        train, _ = _find(folder, ("train",), languages, notes)
        dev, others = _find(folder, _DEV_SETS, languages, notes)
        notes += [f"{folder}: {name} is not read, the dev split is {dev.name}" for name in others]
        names = _test_sets(folder, languages)
        test, tests = _find(folder, names or ("test",), languages, notes)
    except (OSError, ValueError) as error:  # not permitted, too long, or a NUL in the name
        raise UsageError(f"{str(folder)!r}: cannot be read ({error}); check the folder") from None
    if test_set is not None and test_set != test.name:
        if test_set not in tests:
            raise UsageError(
                f"corpus.test_set: {folder} has no test set '{test_set}'{suggest(test_set, [test.name, *tests])}"
            )
        tests = {test.name: test, **tests}
        test = tests.pop(test_set)
    texts: dict[str, ParallelText] = {}
    dropped: dict[str, int] = {}
    for split, name, files in (("train", "train", train), ("dev", "dev", dev), ("test", test.name, test)):
        texts[split], blank = read_pair(files.source, files.target, notes.append)
        if blank:
            dropped[name] = blank
    other_tests = {}
    for name, files in tests.items():
        try:
            other_tests[name], blank = read_pair(files.source, files.target, notes.append)
        except UsageError as error:
            notes.append(f"test set {name} is left out: {error}")
            continue
        if blank:
            dropped[name] = blank
    name = folder.resolve().name or "corpus"
    return Corpus(
        name,
        source_language,
        target_language,
        **texts,
        dropped=dropped,
        test_set=test.name,
        other_tests=other_tests,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Files:
    """The two files of a part of a corpus."""

    name: str
    source: Path
    target: Path


def _find(
    folder: Path, names: Sequence[str], languages: tuple[str, str], notes: list[str]
) -> tuple[_Files, dict[str, _Files]]:
    """Return the first of `names` of which both files are there, and the others; `notes` gets what lacks one."""
    found: dict[str, _Files] = {}
    missing = []
    for name in names:
        source, target = (_plain_or_compressed(folder / f"{name}.{language}") for language in languages)
        if source is not None and target is not None:
            found[name] = _Files(name, source, target)
        elif source is not None or target is not None:
            missing.append(f"{name}.{languages[0] if source is None else languages[1]}")
    if found:
        notes += [f"{folder}: {name} not found, so that its translation is left out" for name in missing]
        first = next(iter(found.values()))
        return first, {name: files for name, files in found.items() if files is not first}
    if missing:
        others = sorted(_languages_of(folder, missing[0].rpartition(".")[0]) - set(languages))
        hint = f", or set corpus.target_language or corpus.source_language to {' or '.join(others)}" if others else ""
        raise UsageError(f"{folder}: {missing[0]} not found, plain or .gz; put it beside its translation{hint}")
    wanted = " or ".join(f"{name}.{languages[0]} and {name}.{languages[1]}" for name in names[:2])
    raise UsageError(f"{folder}: {wanted} not found, plain or .gz; put them there")


def _languages_of(folder: Path, name: str) -> set[str]:
    """Return in which languages a folder has a text of this name."""
    texts = (path.name.removesuffix(".gz") for path in folder.glob(f"{name}.*") if path.is_file())
    return {text.removeprefix(f"{name}.") for text in texts}


def _plain_or_compressed(path: Path) -> Path | None:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    return None


def _test_sets(folder: Path, languages: tuple[str, str]) -> list[str]:
    """Return the names, without language, of all that may be test sets, in their order."""
    names = [path.name.removesuffix(".gz") for path in folder.iterdir() if path.is_file()]
    sets = {
        name.removesuffix(f".{language}") for name in names for language in languages if name.endswith(f".{language}")
    }
    kinds = {name: kind for name in sets for kind, start in enumerate(_TEST_SETS) if name.startswith(start)}
    return sorted((name for name in kinds if _FILE_NAME.fullmatch(name)), key=lambda name: (kinds[name], name))
