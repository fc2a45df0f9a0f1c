from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, check, corpus_of_run, digest_of, prepare
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings
from tests.timing import least_seconds

SETTINGS = CorpusSettings(train_pairs=200, dev_pairs=20, test_pairs=10, vocabulary_size=200)


@pytest.fixture(scope="module")
def prepared() -> PreparedCorpus:
    return prepare(*check(SETTINGS, 0), SETTINGS)


def test_all_splits_are_cut_into_subwords(prepared: PreparedCorpus) -> None:
    assert len(prepared.train_source) == len(prepared.train_target) == 200
    assert len(prepared.dev_source) == len(prepared.dev_target) == 20
    assert len(prepared.test_source) == len(prepared.test_target) == 10
    assert prepared.too_long == 0
    decode = prepared.subwords.decode
    assert tuple(decode(prepared.train_target)) == prepared.corpus.train.target
    assert tuple(decode(prepared.dev_source)) == prepared.corpus.dev.source
    assert tuple(decode(prepared.test_target)) == prepared.corpus.test.target


def test_training_pairs_with_a_long_side_are_left_out_and_counted(prepared: PreparedCorpus) -> None:
    settings = SETTINGS.model_copy(update={"max_length": 15})
    corpus, subwords = check(settings, 0)
    short = prepare(corpus, subwords, settings)
    lengths = [
        max(len(source), len(target))
        for source, target in zip(prepared.train_source, prepared.train_target, strict=True)
    ]
    kept = [place for place, length in enumerate(lengths) if length <= 15]
    assert 0 < len(kept) < 200
    assert short.too_long == 200 - len(kept)
    assert [ids.tolist() for ids in short.train_source] == [prepared.train_source[place].tolist() for place in kept]
    assert [ids.tolist() for ids in short.train_target] == [prepared.train_target[place].tolist() for place in kept]
    assert len(short.dev_source) == 20
    assert short.digest() != prepared.digest()
    widths = [batch.target.shape[1] for batch in short.stream(0).batches(0, len(kept), 16, 1.0)]
    assert max(widths) == 15 + 2  # BOS and EOS, whatever the words are cut into


def test_a_length_that_leaves_no_pair_is_refused() -> None:
    with pytest.raises(UsageError, match=r"corpus\.max_length: every training pair of 'toy' has more than 4"):
        check(SETTINGS.model_copy(update={"max_length": 4, "vocabulary_size": 61}), 0)


@pytest.mark.alone
@pytest.mark.parametrize(
    "settings", ["vocabulary_size=50_000", "name='tyo'", "name='copy', train_pairs=10**9", "max_length=4"]
)
def test_a_refusal_takes_less_than_a_second_of_processor_time(settings: str) -> None:
    code = (
        "from nmt_pbt.tasks.translation.corpus.prepared import check\n"
        "from nmt_pbt.tasks.translation.settings.sections import CorpusSettings\n"
        "from nmt_pbt.base.errors import UsageError\n"
        f"try: check(CorpusSettings({settings}), 0)\n"
        "except UsageError: import time; print(time.process_time())\n"
    )

    def measure() -> float:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert least_seconds(measure, 1.0) < 1.0


def test_subwords_are_trained_on_the_training_split_alone(prepared: PreparedCorpus) -> None:
    _, subwords = check(SETTINGS.model_copy(update={"dev_pairs": 5, "test_pairs": 5}), 0)
    assert subwords == prepared.subwords


def test_the_stream_gives_the_training_pairs(prepared: PreparedCorpus) -> None:
    stream = prepared.stream(0)
    assert stream.epoch == 200
    assert sum(batch.pairs for batch in stream.batches(0, 450, 32)) == 450


def test_the_digest_tells_corpora_and_vocabularies_apart(prepared: PreparedCorpus) -> None:
    again = prepare(*check(SETTINGS, 0), SETTINGS)
    assert again.digest() == prepared.digest()
    others = [SETTINGS.model_copy(update={"vocabulary_size": 180}), SETTINGS.model_copy(update={"test_pairs": 11})]
    digests = {prepare(*check(settings, 0), settings).digest() for settings in others}
    digests.add(prepare(*check(SETTINGS, 1), SETTINGS).digest())
    digests.add(replace(prepared, too_long=1).digest())
    assert len(digests | {prepared.digest()}) == 5


def test_a_folder_of_very_many_test_sets_is_told_from_another_at_once(prepared: PreparedCorpus) -> None:
    others = {f"newstest{year}": prepared.corpus.test.head(year % 7 + 1) for year in range(2000, 2030)}
    corpus = replace(prepared.corpus, other_tests=others)
    began = time.process_time()
    assert corpus_of_run(corpus, prepared.subwords, prepared.max_length, "another", 0) is None
    assert time.process_time() - began < 5
    digest = digest_of(prepared.corpus, prepared.subwords, 0)
    found = corpus_of_run(corpus, prepared.subwords, prepared.max_length, digest, 0)
    assert found is not None
    assert not found.other_tests


def test_a_run_s_subwords_have_bytes_where_its_settings_say_so() -> None:
    given = CorpusSettings(train_pairs=300, dev_pairs=5, test_pairs=5, vocabulary_size=420)
    corpus, without = check(given, 0)
    _, with_bytes = check(given.model_copy(update={"byte_fallback": True, "vocabulary_size": 420}), 0)
    assert not without.can_write("Ω")
    assert with_bytes.can_write("Ω")
    assert with_bytes.size == 420
    assert with_bytes.count(corpus.train.source[0]) > 0
