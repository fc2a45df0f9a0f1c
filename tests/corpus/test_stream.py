from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.stream import Batch, PairStream
from nmt_pbt.tasks.translation.corpus.subwords import BOS, EOS, PAD, Subwords
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

Pair = tuple[tuple[int, ...], tuple[int, ...]]


def make_stream(pairs: int, seed: int = 0) -> PairStream:
    """Return a stream of pairs that can be told apart: pair i has id 4 + i, repeated as often as its length."""
    lengths = np.random.Generator(np.random.PCG64(pairs)).integers(1, 30, (2, pairs))
    source, target = ([np.full(n, 4 + i, np.int32) for i, n in enumerate(side)] for side in lengths.tolist())
    return PairStream(source, target, seed)


def ids(batch: Batch) -> list[int]:
    assert (batch.source[:, 0] == batch.target[:, 1]).all()
    return (batch.source[:, 0] - 4).tolist()


def rows(batches: list[Batch]) -> list[Pair]:
    """Return the pairs of batches without pads."""
    return [
        (tuple(source[source != PAD].tolist()), tuple(target[target != PAD].tolist()))
        for batch in batches
        for source, target in zip(batch.source, batch.target, strict=True)
    ]


def padding(batches: list[Batch]) -> float:
    """Return the share of pads among all cells."""
    cells = sum(batch.source.size + batch.target.size for batch in batches)
    return 1 - sum(np.count_nonzero(batch.source) + np.count_nonzero(batch.target) for batch in batches) / cells


def test_a_batch_has_its_pairs_framed_and_padded_to_the_longest() -> None:
    source = [np.array([5, 6], np.int32), np.array([7], np.int32), np.array([], np.int32)]
    target = [np.array([8], np.int32), np.array([9, 10, 11], np.int32), np.array([12], np.int32)]
    (batch,) = PairStream(source, target, 0).batches(0, 3, 3)
    assert batch.source.dtype == batch.target.dtype == np.int32
    assert batch.pairs == 3
    assert batch.source.shape == (3, 3)
    assert batch.target.shape == (3, 5)
    assert {tuple(row) for row in batch.source.tolist()} == {(5, 6, EOS), (7, EOS, PAD), (EOS, PAD, PAD)}
    assert sorted(row for row in batch.target.tolist()) == [
        [BOS, 8, EOS, PAD, PAD],
        [BOS, 9, 10, 11, EOS],
        [BOS, 12, EOS, PAD, PAD],
    ]


@settings(deadline=None)
@given(
    pairs=st.integers(1, 700), batch_size=st.integers(1, 300), cuts=st.lists(st.integers(0, 2100)), seed=st.integers(0)
)
def test_every_pair_comes_once_an_epoch_however_the_epochs_are_cut(
    pairs: int, batch_size: int, cuts: list[int], seed: int
) -> None:
    stream = make_stream(pairs, seed)
    places = [0, *sorted(min(cut, 3 * pairs) for cut in cuts), 3 * pairs]
    found = [i for a, b in pairwise(places) for batch in stream.batches(a, b - a, batch_size) for i in ids(batch)]
    for epoch in range(3):
        assert sorted(found[epoch * pairs : (epoch + 1) * pairs]) == list(range(pairs))
    assert found == [i for batch in stream.batches(0, 3 * pairs, 64) for i in ids(batch)]


@settings(deadline=None)
@given(pairs=st.integers(1, 700), position=st.integers(0, 5000), count=st.integers(0, 1500), size=st.integers(1, 300))
def test_a_segment_has_exactly_as_many_pairs_as_asked_for(pairs: int, position: int, count: int, size: int) -> None:
    sizes = [batch.pairs for batch in make_stream(pairs).batches(position, count, size)]
    assert sum(sizes) == count
    assert all(0 < found <= size for found in sizes)
    ends = np.cumsum([position, *sizes])[1:]
    for end, found in zip(ends[:-1], sizes[:-1], strict=True):
        assert found == size or end % pairs == 0


def test_two_segments_are_the_same_batches_as_one() -> None:
    stream = make_stream(77)
    one = list(stream.batches(0, 100, 10))
    two = [*stream.batches(0, 50, 10), *stream.batches(50, 50, 10)]
    # The epoch ends at 77, and cuts a batch there.
    assert [batch.pairs for batch in one] == [10] * 7 + [7, 10, 10, 3]
    assert [batch.pairs for batch in two] == [10] * 7 + [7, 10, 10, 3]
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(left.source, right.source)
        assert np.array_equal(left.target, right.target)


@pytest.mark.parametrize("position", [0, 1, 99, 100, 12_345])
def test_a_fresh_stream_goes_on_anywhere(position: int) -> None:
    whole = rows(list(make_stream(100).batches(0, position + 50, 7)))
    assert rows(list(make_stream(100).batches(position, 50, 7))) == whole[position:]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    stream = make_stream(300)
    first, second = (rows(list(stream.batches(start, 300, 32))) for start in (0, 300))
    assert first != second
    assert first != rows(list(make_stream(300, seed=1).batches(0, 300, 32)))
    for epoch in range(9, -1, -1):  # back and forth, past what is kept
        list(stream.batches(300 * epoch, 300, 32))
    assert rows(list(stream.batches(0, 300, 11))) == first


@pytest.mark.parametrize(("position", "pairs", "batch_size"), [(-1, 5, 5), (0, -1, 5), (0, 5, 0)])
def test_impossible_segments_are_refused_when_asked_for(position: int, pairs: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match="received"):
        make_stream(10).batches(position, pairs, batch_size)


def test_pairs_are_needed() -> None:
    with pytest.raises(ValueError, match="received 0 and 0"):
        PairStream([], [], 0)
    with pytest.raises(ValueError, match="received 1 and 0"):
        PairStream([np.array([4], np.int32)], [], 0)


@pytest.fixture(scope="module")
def toy_stream() -> PairStream:
    corpus = load_corpus(CorpusSettings(), 0)
    subwords = Subwords.train((*corpus.train.source, *corpus.train.target), 400, 0)
    # Lengths decide about padding, and are the same without tensorflow_text.
    source, target = (
        [np.full(subwords.count(text), 4, np.int32) for text in side]
        for side in (corpus.train.source, corpus.train.target)
    )
    return PairStream(source, target, 0)


def test_there_is_little_padding_on_the_toy_corpus(toy_stream: PairStream) -> None:
    epoch = toy_stream.epoch
    assert padding(list(toy_stream.batches(0, 3 * epoch, 32))) < 0.10
    assert padding(list(toy_stream.batches(0, 3 * epoch, 64))) < 0.15


@pytest.mark.parametrize("batch_size", [32, 48])
def test_there_is_little_padding_from_an_odd_position_on(toy_stream: PairStream, batch_size: int) -> None:
    assert padding(list(toy_stream.batches(777, 2 * toy_stream.epoch, batch_size))) < 0.15


def test_lengths_come_in_no_order_of_their_own(toy_stream: PairStream) -> None:
    lengths = [batch.target.shape[1] for batch in toy_stream.batches(0, 4 * toy_stream.epoch, 32)]
    early = np.mean(lengths[: len(lengths) // 2])
    late = np.mean(lengths[len(lengths) // 2 :])
    assert early == pytest.approx(late, rel=0.05)
    blocks = np.array(lengths[: 8 * 7]).reshape(7, 8).mean(axis=1)  # blocks of 256 pairs in the first epoch
    assert not (np.diff(blocks) > 0).all()
    assert not (np.diff(blocks) < 0).all()
