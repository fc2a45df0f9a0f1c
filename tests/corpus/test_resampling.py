"""Words cut afresh: the same text, other subwords, by draws that depend on seed, key and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
import sentencepiece

from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.stream import PairStream
from nmt_pbt.tasks.translation.corpus.subword_regularization import CANDIDATES, SMOOTHING, Cuts, Resampling
from nmt_pbt.tasks.translation.corpus.subwords import BOS, EOS, PAD, UNK, Subwords
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

CORPUS = load_corpus(CorpusSettings(train_pairs=300, dev_pairs=50, test_pairs=50), 0)
SUBWORDS = Subwords.train((*CORPUS.train.source, *CORPUS.train.target), 200, 0)
PROCESSOR = sentencepiece.SentencePieceProcessor(model_proto=SUBWORDS.model)


def encode(lines: tuple[str, ...]) -> list[np.ndarray]:
    return [np.array(PROCESSOR.encode(line), np.int32) for line in lines]


SOURCE, TARGET = encode(CORPUS.train.source), encode(CORPUS.train.target)


def drawn(epoch: int, rate: float, seed: int = 0, key: str = "source") -> list[list[int]]:
    ids, lengths = Resampling(SOURCE, SUBWORDS, key).draw(seed, epoch, rate)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


def test_rate_0_is_the_most_probable_cut() -> None:
    assert drawn(0, 0.0) == [ids.tolist() for ids in SOURCE]


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_whatever_is_drawn_the_text_is_the_same(rate: float) -> None:
    found = drawn(3, rate)
    assert [PROCESSOR.decode(ids) for ids in found] == [PROCESSOR.decode(ids.tolist()) for ids in SOURCE]
    assert found != [ids.tolist() for ids in SOURCE]


def test_draws_depend_on_seed_key_and_epoch_alone() -> None:
    resampling = Resampling(SOURCE, SUBWORDS, "source")
    resampling.draw(0, 5, 0.7)
    assert np.array_equal(resampling.draw(0, 1, 0.5)[0], np.concatenate(drawn(1, 0.5)))
    others = [drawn(2, 0.5), drawn(1, 0.5, seed=1), drawn(1, 0.5, key="target")]
    assert all(other != drawn(1, 0.5) for other in others)


def test_a_larger_rate_cuts_more_words_otherwise() -> None:
    changed = [sum(a != b.tolist() for a, b in zip(drawn(0, rate), SOURCE, strict=True)) for rate in (0.05, 0.3, 1.0)]
    assert 0 < changed[0] < changed[1] < changed[2]


def test_cuts_are_drawn_in_proportion_to_their_smoothed_probability() -> None:
    begins = [SUBWORDS.begins_word(i) for i in range(SUBWORDS.size)]
    first = SOURCE[0].tolist()
    end = next(place for place in range(1, len(first)) if begins[first[place]])
    word = first[:end]
    cuts, logarithms = SUBWORDS.cuts(word, CANDIDATES)
    assert 2 <= len(cuts) <= CANDIDATES
    many = Resampling([np.array(word, np.int32)] * 20_000, SUBWORDS, "source")
    ids, lengths = many.draw(0, 0, 1.0)
    found = [tuple(part.tolist()) for part in np.split(ids, np.cumsum(lengths)[:-1])]
    weights = np.exp(SMOOTHING * logarithms)
    for cut, share in zip(cuts, weights / weights.sum(), strict=True):
        assert found.count(cut) / len(found) == pytest.approx(share, abs=0.015)


def test_cuts_of_a_word_spell_it_and_the_given_one_is_first_and_most_probable() -> None:
    for ids in SOURCE[:20]:
        starts = [place for place, i in enumerate(ids.tolist()) if SUBWORDS.begins_word(i)]
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            word = tuple(ids[start:end].tolist())
            cuts, logarithms = SUBWORDS.cuts(word, 8)
            assert cuts[0] == word
            assert len(set(cuts)) == len(cuts) <= 8
            assert np.all(np.diff(logarithms) <= 1e-5)
            assert {PROCESSOR.decode(list(cut)) for cut in cuts} == {PROCESSOR.decode(list(word))}


def test_a_word_that_holds_something_unknown_is_left_as_it_is() -> None:
    unknown = [np.array([UNK], np.int32), np.array([SOURCE[0][0], UNK], np.int32), np.zeros(0, np.int32)]
    ids, lengths = Resampling(unknown, SUBWORDS, "source").draw(0, 0, 1.0)
    assert lengths.tolist()[2] == 0
    assert UNK in ids.tolist()


@pytest.mark.parametrize("logarithms", [(0.0, -1.0, -2.0), (0.0, *[-40.0] * 15), (0.0,) * 10])
def test_a_draw_at_the_very_end_is_a_cut_of_its_own_word(logarithms: tuple[float, ...]) -> None:
    words, cuts = 5_000, len(logarithms)
    choices = Cuts(([(number,)] * cuts, np.array(logarithms)) for number in range(words))
    for place in (0.0, np.nextafter(1.0, 0.0)):
        chosen = choices.choose(np.arange(words), np.full(words, place))
        assert choices.ids_of(chosen)[0].tolist() == list(range(words))
    assert choices.choose(np.array([words - 1]), np.array([np.nextafter(1.0, 0.0)])) == words * cuts - 1


def test_a_sentence_that_its_cuts_would_make_too_long_is_left_as_it_is() -> None:
    free, lengths = drawn(3, 1.0), [len(ids) for ids in SOURCE]
    longest = max(lengths)
    ids, found = Resampling(SOURCE, SUBWORDS, "source", longest).draw(0, 3, 1.0)
    kept = [part.tolist() for part in np.split(ids, np.cumsum(found)[:-1])]
    assert max(map(len, free)) > longest
    assert [its if len(its) <= longest else plain.tolist() for its, plain in zip(free, SOURCE, strict=True)] == kept


def test_no_batch_is_wider_than_the_longest_sentence_may_be() -> None:
    longest = max(len(ids) for ids in (*SOURCE, *TARGET))
    stream = PairStream(SOURCE, TARGET, 0, SUBWORDS, longest)
    batches = list(stream.batches(0, 300, 32, 1.0))
    assert max(batch.target.shape[1] for batch in batches) <= longest + 2
    assert max(batch.source.shape[1] for batch in batches) <= longest + 1


def text(ids: np.ndarray) -> str:
    return PROCESSOR.decode([i for i in ids.tolist() if i not in (PAD, BOS, EOS)])


def test_a_stream_that_samples_gives_the_same_text_in_the_same_order_and_resumes_anywhere() -> None:
    stream = PairStream(SOURCE, TARGET, 0, SUBWORDS)
    plain = list(stream.batches(0, 700, 32))
    sampled = list(stream.batches(0, 700, 32, 0.5))
    for one, other in zip(plain, sampled, strict=True):
        assert list(map(text, one.source)) == list(map(text, other.source))
        assert list(map(text, one.target)) == list(map(text, other.target))
    assert any(one.target.shape != other.target.shape for one, other in zip(plain, sampled, strict=True))
    later = list(PairStream(SOURCE, TARGET, 0, SUBWORDS).batches(320, 380, 32, 0.5))
    expected = [*stream.batches(320, 280, 32, 0.5), *stream.batches(600, 100, 32, 0.5)]
    assert all(np.array_equal(a.target, b.target) for a, b in zip(later, expected, strict=True))


def test_a_stream_without_subwords_cannot_sample() -> None:
    with pytest.raises(ValueError, match="expected subwords"):
        next(PairStream(SOURCE, TARGET, 0).batches(0, 8, 8, 0.5))
