"""A prepared corpus in a folder: the same as in memory, found by its digest, mapped by whoever opens it."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, JoinedLines, TextLines, encoded_lines, smallest_type
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, check, prepare
from nmt_pbt.tasks.translation.corpus.stored import StoredCorpus, find_stored, open_stored, store
from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

SETTINGS = CorpusSettings(train_pairs=200, dev_pairs=20, test_pairs=10, vocabulary_size=200, max_length=20)
SPLITS = ("train_source", "train_target", "dev_source", "dev_target", "test_source", "test_target")


def sent(what: Any) -> Any:
    """Return what a worker receives."""
    return pickle.loads(pickle.dumps(what))  # noqa: S301 - our own


@pytest.fixture(scope="module")
def checked() -> tuple[Corpus, Subwords]:
    corpus, subwords = check(SETTINGS, 0)
    other = ParallelText(("A line\u2028that goes on", "Two."), ("Eine\rZeile", "Zwei\x85"))
    return replace(corpus, other_tests={"test/../2017": other}, dropped={"train": 3}), subwords


@pytest.fixture(scope="module")
def in_memory(checked: tuple[Corpus, Subwords]) -> PreparedCorpus:
    return prepare(*checked, SETTINGS)


@pytest.fixture
def stored(checked: tuple[Corpus, Subwords], tmp_path: Path) -> StoredCorpus:
    return store(*checked, SETTINGS, tmp_path)


def test_it_holds_what_it_would_in_memory(stored: StoredCorpus, in_memory: PreparedCorpus) -> None:
    assert stored.digest() == in_memory.digest()
    assert 0 < stored.too_long == in_memory.too_long
    assert stored.max_length == 20
    assert stored.subwords == in_memory.subwords
    for split in SPLITS:
        ours, theirs = getattr(stored, split), getattr(in_memory, split)
        assert [ids.tolist() for ids in ours] == [ids.tolist() for ids in theirs], split
        assert ours[0].dtype == np.int32
    assert stored.corpus.tests == in_memory.corpus.tests
    assert stored.corpus.dev == in_memory.corpus.dev
    fixed = ("name", "source_language", "target_language", "test_set", "dropped")
    assert all(getattr(stored.corpus, name) == getattr(in_memory.corpus, name) for name in fixed)


@pytest.mark.parametrize("sampling", [0.0, 0.4])
def test_its_batches_are_those_of_the_corpus_in_memory(
    stored: StoredCorpus, in_memory: PreparedCorpus, sampling: float
) -> None:
    for ours, theirs in zip(
        *(corpus.stream(5).batches(100, 333, 16, sampling) for corpus in (stored, in_memory)), strict=True
    ):
        assert np.array_equal(ours.source, theirs.source)
        assert np.array_equal(ours.target, theirs.target)


def test_what_is_sent_to_a_worker_is_where_it_lies(stored: StoredCorpus) -> None:
    assert len(pickle.dumps(stored)) < 1000
    opened = sent(stored)
    assert opened.digest() == stored.digest()
    assert opened.train_source[7].tolist() == stored.train_source[7].tolist()
    assert opened.corpus.dev == stored.corpus.dev


def owners(array: np.ndarray) -> Iterator[object]:
    """Yield what an array is a view of, and so on down to who owns the memory."""
    found: object = array
    while found is not None:
        yield found
        found = getattr(found, "base", None)


def test_a_worker_maps_it_and_copies_nothing(stored: StoredCorpus) -> None:
    opened = sent(stored)
    stream = opened.stream(0)
    next(iter(stream.batches(0, 32, 32, 0.5)))
    for sequences in (stream._source, stream._target, opened.dev_source):
        for array in (sequences.ids, sequences.offsets):
            assert isinstance(list(owners(array))[-1], mmap)
            assert not array.flags.owndata
        assert sequences.ids.itemsize == 2


def test_whatever_is_made_of_a_corpus_to_be_sent_its_digest_stays(in_memory: PreparedCorpus) -> None:
    received = sent(in_memory.to_be_sent())
    assert received.digest() == in_memory.digest()
    assert len(received.corpus.train) == 0
    assert received.train_target[3].tolist() == in_memory.train_target[3].tolist()


def test_it_is_found_by_its_digest_alone(stored: StoredCorpus, tmp_path: Path) -> None:
    assert find_stored(tmp_path, stored.digest()) is not None
    assert find_stored(tmp_path, "0" * 64) is None
    assert find_stored(tmp_path / "nowhere", stored.digest()) is None
    with pytest.raises(UsageError, match="resume the run"):
        open_stored(tmp_path, "0" * 64)


@pytest.mark.parametrize("file", ["corpus.json", "train.source.ids.npy", "dev.target.txt", "subwords.model"])
def test_one_that_is_not_whole_is_not_found(stored: StoredCorpus, tmp_path: Path, file: str) -> None:
    (tmp_path / file).unlink()
    assert find_stored(tmp_path, stored.digest()) is None


@pytest.mark.parametrize("file", ["corpus.json", "train.source.ids.npy", "test.target.offsets.npy", "subwords.model"])
def test_one_that_is_cut_short_is_not_found(stored: StoredCorpus, tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-5])
    assert find_stored(tmp_path, stored.digest()) is None


def test_one_of_another_version_is_made_again(stored: StoredCorpus, tmp_path: Path) -> None:
    contents = json.loads((tmp_path / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps({**contents, "format": 2}))
    assert find_stored(tmp_path, stored.digest()) is None


def test_an_interrupted_one_is_not_found(
    checked: tuple[Corpus, Subwords], stored: StoredCorpus, tmp_path: Path
) -> None:
    def interrupt(pairs: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(*checked, SETTINGS, tmp_path, interrupt)
    assert find_stored(tmp_path, stored.digest()) is None
    assert not list(tmp_path.glob(".*"))


def test_a_process_that_reads_a_large_corpus_keeps_none_of_it_as_its_own(tmp_path: Path) -> None:
    pairs, length = 200_000, 40
    np.save(tmp_path / "ids.npy", np.full(pairs * length, 7, np.uint16))
    np.save(tmp_path / "offsets.npy", np.arange(pairs + 1, dtype=np.uint32) * length)
    code = (
        "import sys, numpy as np\n"
        "from nmt_pbt.tasks.translation.corpus.flat import IdSequences\n"
        "from nmt_pbt.tasks.translation.corpus.stream import PairStream\n"
        "def own():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('RssAnon')) / 1024\n"
        "side = IdSequences(*(np.load(f'{sys.argv[1]}/{name}.npy', mmap_mode='r') for name in ('ids', 'offsets')))\n"
        "before = own()\n"
        "stream = PairStream(side, side, 0)\n"
        "for batch in stream.batches(0, 200_000, 4096): pass\n"
        "print(own() - before)\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 14  # MB: the order of an epoch and a few batches, of 16 MB of ids


def test_lines_are_decoded_when_they_are_asked_for_and_equal_any_sequence_of_the_same() -> None:
    lines = TextLines.of_file("ä\n\nb\u2028c\n".encode())
    assert list(lines) == ["ä", "", "b\u2028c"]
    assert lines == ("ä", "", "b\u2028c")
    assert lines != ("ä", "")
    assert lines != ["ä", "", "c"]
    assert lines != "ä"
    assert lines[2] == lines[-1] == "b\u2028c"
    assert lines[1:] == ("", "b\u2028c")
    assert lines.select([2, 0]) == ("b\u2028c", "ä")
    assert sent(lines) == lines
    assert b"".join(encoded_lines(lines)) == b"".join(encoded_lines(("ä", "", "b\u2028c")))
    assert repr(lines) == "TextLines(3 lines)"


def test_joined_lines_are_one_sequence() -> None:
    joined = JoinedLines(("a", "b"), TextLines.of_file(b"c\n"))
    assert len(joined) == 3
    assert list(joined) == ["a", "b", "c"]
    assert [joined[0], joined[2], joined[-1]] == ["a", "c", "c"]
    assert joined[1:] == ["b", "c"]
    with pytest.raises(IndexError):
        joined[3]


def test_sequences_of_ids_are_what_was_given() -> None:
    given = [np.array([5, 6], np.int32), np.zeros(0, np.int32), np.array([7], np.int32)]
    sequences = IdSequences.of(given)
    assert IdSequences.of(sequences) is sequences
    assert [ids.tolist() for ids in sequences] == [[5, 6], [], [7]]
    assert [ids.tolist() for ids in sequences[1:]] == [[], [7]]
    assert sequences[-1].tolist() == [7]
    assert sequences.all_lengths().tolist() == [2, 0, 1]
    ids, lengths = sequences.gather(np.array([2, 0, 1]))
    assert ids.tolist() == [7, 5, 6]
    assert lengths.tolist() == [1, 2, 0]
    assert [ids.tolist() for ids in IdSequences.joined([sequences.select(np.array([2])), sequences])] == [
        [7],
        [5, 6],
        [],
        [7],
    ]
    assert len(IdSequences.of([])) == 0


@pytest.mark.parametrize(("largest", "size"), [(0, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8)])
def test_whole_numbers_take_no_more_room_than_they_need(largest: int, size: int) -> None:
    assert smallest_type(largest).itemsize == size


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_a_million_pairs_cost_each_worker_next_to_nothing() -> None:
    benchmark = Path(__file__).parents[2] / "benchmarks" / "memory.py"
    command = [sys.executable, str(benchmark), "--pairs", "1000000", "--workers", "4"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(found)  # noqa: T201
    seconds, most = re.findall(r"1,000,000 pairs: first training step after (\d+) s of CPU, ([\d,]+) MB", found)[0]
    assert int(most.replace(",", "")) <= 1500
    assert int(seconds) <= 90
    assert int(re.findall(r"more for each worker: (-?\d+) MB", found)[0]) <= 60
