"""The same seed gives the same batches as ever: their digests were recorded when corpora were still lists in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, check, prepare
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

TOY = CorpusSettings(train_pairs=1500, dev_pairs=20, test_pairs=10, vocabulary_size=300, max_length=24)
BATCHES = {
    # position, pairs, batch size, seed, subword sampling
    (0, 3000, 32, 0, 0.0): "a452092a702b756a",
    (1111, 700, 48, 5, 0.0): "f594b1b7be4ed3cd",
    (0, 3000, 32, 0, 0.2): "5f9e458d9029dbe1",
    (777, 900, 7, 3, 1.0): "0204cdd9bf621a79",
}


@pytest.fixture(scope="module")
def prepared() -> PreparedCorpus:
    return prepare(*check(TOY, 3), TOY)


def test_the_digest_of_the_corpus_is_as_recorded(prepared: PreparedCorpus) -> None:
    assert prepared.too_long == 199
    assert prepared.digest() == "bc3b315b0679c96c2a8ea74841ba94375bff7682c65aa26ee2e17e238a189f9d"


@pytest.mark.parametrize("segment", BATCHES)
def test_batches_are_as_recorded(prepared: PreparedCorpus, segment: tuple[int, int, int, int, float]) -> None:
    position, pairs, batch_size, seed, sampling = segment
    assert digest_of(prepared, position, pairs, batch_size, seed, sampling) == BATCHES[segment]


def digest_of(prepared: PreparedCorpus, position: int, pairs: int, batch_size: int, seed: int, sampling: float) -> str:
    digest = hashlib.sha256()
    for batch in prepared.stream(seed).batches(position, pairs, batch_size, sampling):
        for side in (batch.source, batch.target):
            assert side.dtype == np.int32
            digest.update(str(side.shape).encode() + side.tobytes())
    return digest.hexdigest()[:16]


def test_a_folder_has_the_digest_that_was_recorded(tmp_path: Path) -> None:
    """Line ends, a byte order mark, blank lines and several test sets are in the digest as they were."""
    source = ["Ein Hund läuft.", "", "Zwei Männer – einer sitzt.\u2028Und mehr.", "x " * 80, "\tTab \x85 Ende\x0c"]
    target = ["A dog runs.", "gone", "Two men – one sits.", "y", "tab end"]
    for split, lines in (("train", 5), ("val", 3), ("test", 3), ("test2", 5)):
        (tmp_path / f"{split}.de").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(source[:lines]).encode() + b"\r\n")
        (tmp_path / f"{split}.en").write_text("\n".join(target[:lines]), encoding="utf-8")
    settings = CorpusSettings(
        name=str(tmp_path), source_language="de", target_language="en", vocabulary_size=45, max_length=60
    )
    prepared = prepare(*check(settings, 0), settings)
    assert prepared.too_long == 1
    assert prepared.corpus.digest() == "cef6bce27209d48f71936eb71e394d0232dab4eb52e45f79c618da19f658a0b6"
    assert prepared.digest() == "32abf783d5bcb4f59eba203e6d408cd3753ed6117097b0629a3e498a9f46ded1"
