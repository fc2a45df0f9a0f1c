"""A prepared corpus in a folder, from which all workers of a machine map it: it is in memory once, however many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import replace_file, replacing
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, TextLines, encoded_lines, encoded_size, smallest_type
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, digest_of, encoded_pairs
from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS, Subwords
from nmt_pbt.tasks.translation.corpus.text_file import file_content
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

_CONTENTS = "corpus.json"
"""Written last: a folder that holds it is whole."""
_FORMAT = 1
_SIDES = ("source", "target")
_NO_TEXT = ParallelText((), ())


@dataclass(frozen=True, eq=False)
class StoredCorpus(PreparedCorpus):
    """A prepared corpus whose ids and text are mapped from files. What is sent to a worker is where they lie.

    Of `corpus`, the training split has no text: what it was made into is all that is read any more.

    Attributes:
        folder: Where the files are.
    """

    folder: Path = field(kw_only=True)

    def __reduce__(self) -> tuple[object, ...]:
        return open_stored, (self.folder, self.known_digest)


@dataclass(frozen=True)
class _Contents:
    """What a folder holds beside its arrays and texts."""

    digest: str
    name: str
    source_language: str
    target_language: str
    test_set: str
    other_tests: tuple[str, ...]
    dropped: Mapping[str, int]
    too_long: int
    max_length: int
    format: int = _FORMAT


def store(
    corpus: Corpus,
    subwords: Subwords,
    settings: CorpusSettings,
    folder: Path,
    progress: Callable[[int], None] = lambda pairs: None,
) -> StoredCorpus:
    """Cut a corpus into subwords and write them into a folder, thousands of pairs at a time, with TensorFlow.

    Args:
        corpus: See `prepared.prepare`.
        subwords: Likewise.
        settings: Likewise.
        folder: An existing folder; another corpus in it is replaced.
        progress: Called now and then with the number of training pairs that are done.

    Returns:
        The corpus as it lies there.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    (folder / _CONTENTS).unlink(missing_ok=True)
    replace_file(folder / SUBWORDS, subwords.model)
    too_long = _write_ids(folder, "train", corpus.train, subwords, settings.max_length, progress)
    _write_ids(folder, "dev", corpus.dev, subwords)
    _write_ids(folder, "test", corpus.test, subwords)
    for name, text in {"dev": corpus.dev, "test": corpus.test, **_numbered(corpus.other_tests)}.items():
        for side, lines in zip(_SIDES, (text.source, text.target), strict=True):
            with replacing(folder / f"{name}.{side}.txt") as file:
                file.writelines(encoded_lines(lines))
    contents = _Contents(
        digest=digest_of(corpus, subwords, too_long),
        name=corpus.name,
        source_language=corpus.source_language,
        target_language=corpus.target_language,
        test_set=corpus.test_set,
        other_tests=tuple(corpus.other_tests),
        dropped=dict(corpus.dropped),
        too_long=too_long,
        max_length=settings.max_length,
    )
    replace_file(folder / _CONTENTS, (json.dumps(asdict(contents), indent=1) + "\n").encode())
    return open_stored(folder, contents.digest)


def most_bytes(corpus: Corpus, vocabulary: int) -> int:
    """Return how much room a corpus takes at most when it is stored, before it is cut into subwords.

    A subword is a character at least, and each sentence begins with one more, for a space.

    Args:
        corpus: The corpus.
        vocabulary: How many subwords there are.
    """
    ids = smallest_type(vocabulary - 1).itemsize
    cut, texts = (corpus.train, corpus.dev, corpus.test), (corpus.dev, *corpus.tests.values())
    characters, lines = (
        sum(size(side) for text in cut for side in (text.source, text.target)) for size in (encoded_size, len)
    )
    kept = sum(encoded_size(side) for text in texts for side in (text.source, text.target))
    return ids * (characters + lines) + smallest_type(characters + lines).itemsize * (lines + 1) + kept


def open_stored(folder: Path, digest: str) -> StoredCorpus:
    """Return the corpus that lies in a folder.

    Args:
        folder: The folder.
        digest: Its digest.

    Raises:
        UsageError: There is none, or another one.
    """
    found = find_stored(folder, digest)
    if found is None:
        raise UsageError(f"{folder}: the prepared corpus is missing or was replaced; resume the run to make it again")
    return found


def find_stored(folder: Path, digest: str) -> StoredCorpus | None:
    """Return the corpus that lies in a folder; None where there is none with this digest, or it is damaged."""
    folder = folder.resolve()  # a worker may be started elsewhere
    try:
        contents = _Contents(**json.loads((folder / _CONTENTS).read_text("utf-8")))
        if (contents.format, contents.digest) != (_FORMAT, digest):
            return None
        (train_source, train_target), (dev_source, dev_target), (test_source, test_target) = (
            [_mapped_ids(folder, f"{split}.{side}") for side in _SIDES] for split in ("train", "dev", "test")
        )
        others = {name: _text(folder, number) for number, name in _numbers(contents.other_tests)}
        corpus = Corpus(
            contents.name,
            contents.source_language,
            contents.target_language,
            _NO_TEXT,
            _text(folder, "dev"),
            _text(folder, "test"),
            contents.dropped,
            contents.test_set,
            others,
        )
        subwords = Subwords.load((folder / SUBWORDS).read_bytes())
    except (OSError, ValueError, TypeError, UsageError):
        return None
    return StoredCorpus(
        corpus,
        subwords,
        train_source=train_source,
        train_target=train_target,
        dev_source=dev_source,
        dev_target=dev_target,
        test_source=test_source,
        test_target=test_target,
        too_long=contents.too_long,
        max_length=contents.max_length,
        known_digest=digest,
        folder=folder,
    )


def _numbers(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield what the files of each of the other test sets are called, and its name, which may be any."""
    return ((f"other{number}", name) for number, name in enumerate(names))


def _numbered(tests: Mapping[str, ParallelText]) -> dict[str, ParallelText]:
    return {number: tests[name] for number, name in _numbers(tuple(tests))}


def _write_ids(
    folder: Path,
    split: str,
    text: ParallelText,
    subwords: Subwords,
    longest: int | None = None,
    progress: Callable[[int], None] = lambda pairs: None,
) -> int:
    """Write the ids of both sides, and where each sentence begins; return how many pairs were left out."""
    done = left_out = 0
    kind = smallest_type(subwords.size - 1)
    with ExitStack() as files:
        sides = [files.enter_context(_writing_ids(folder, f"{split}.{side}", kind)) for side in _SIDES]
        for *found, without in encoded_pairs(text, subwords, longest):
            for side, ids in zip(sides, found, strict=True):
                side.add(ids)
            left_out += without
            done += len(found[0]) + without
            progress(done)
    return left_out


class _IdFile:
    """A `.npy` file of ids that grows, and where each sentence in it begins."""

    def __init__(self, file: IO[bytes], kind: np.dtype[Any]) -> None:
        self._file = file
        self._kind = kind
        self._lengths = [np.zeros(1, np.int64)]
        self._write_header(0)

    def add(self, sequences: IdSequences) -> None:
        self._file.write(sequences.ids.astype(self._kind).data)
        self._lengths.append(sequences.all_lengths())

    def finish(self) -> np.ndarray:
        """Complete the file; return where each sentence begins, and where the last one ends."""
        offsets = np.cumsum(np.concatenate(self._lengths))
        self._file.seek(0)
        self._write_header(int(offsets[-1]))
        return offsets.astype(smallest_type(int(offsets[-1])))

    def _write_header(self, count: int) -> None:
        # NumPy leaves room in the header for the length to grow, so that it can be written again.
        described = {"descr": self._kind.str, "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(self._file, described)


@contextmanager
def _writing_ids(folder: Path, name: str, kind: np.dtype[Any]) -> Iterator[_IdFile]:
    with replacing(folder / f"{name}.ids.npy") as file:
        ids = _IdFile(file, kind)
        yield ids
        offsets = ids.finish()
    with replacing(folder / f"{name}.offsets.npy") as file:
        np.save(file, offsets)


def _mapped_ids(folder: Path, name: str) -> IdSequences:
    ids, offsets = (np.lib.format.open_memmap(folder / f"{name}.{kind}.npy", mode="r") for kind in ("ids", "offsets"))
    if not len(offsets) or int(offsets[-1]) != len(ids):
        raise ValueError(f"{name}: {len(ids)} ids")
    return IdSequences(ids, offsets)


def _text(folder: Path, name: str) -> ParallelText:
    sides = [TextLines.of_file(file_content(folder / f"{name}.{side}.txt")) for side in _SIDES]
    return ParallelText(*sides)
