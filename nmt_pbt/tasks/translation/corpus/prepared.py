"""From settings to ids: a corpus with its subwords, ready to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.parallel import Corpus
from nmt_pbt.tasks.translation.corpus.stream import PairStream
from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.settings import CorpusSettings


@dataclass(frozen=True, eq=False)
class PreparedCorpus:
    """A corpus cut into subwords. Ids are int32, one array a sentence, without BOS and EOS.

    Attributes:
        corpus: The text.
        subwords: The joint vocabulary of both languages.
        train_source: Source ids of the training pairs that are not too long.
        train_target: Target ids of the same pairs.
        dev_source: Source ids of all dev pairs.
        dev_target: Their target ids.
        test_source: Source ids of all test pairs.
        test_target: Their target ids.
        too_long: Training pairs left out because a side has more than `max_length` subwords.
        max_length: The setting `corpus.max_length`; training sentences that are cut afresh keep to it, too.
    """

    corpus: Corpus
    subwords: Subwords
    train_source: Sequence[np.ndarray]
    train_target: Sequence[np.ndarray]
    dev_source: Sequence[np.ndarray]
    dev_target: Sequence[np.ndarray]
    test_source: Sequence[np.ndarray]
    test_target: Sequence[np.ndarray]
    too_long: int
    max_length: int

    def stream(self, seed: int) -> PairStream:
        """Return the training pairs as a stream; `seed` decides their order, and how words are cut afresh."""
        return PairStream(self.train_source, self.train_target, seed, self.subwords, self.max_length)

    def digest(self) -> str:
        """Return the SHA-256 of all text, the subwords and which training pairs are in use."""
        return _digest(self.corpus, self.subwords, self.too_long)


def _digest(corpus: Corpus, subwords: Subwords, too_long: int) -> str:
    parts = (corpus.digest(), hashlib.sha256(subwords.model).hexdigest(), str(too_long))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def digest_of(corpus: Corpus, subwords: Subwords, max_length: int) -> str:
    """Return what `PreparedCorpus.digest` returns, without TensorFlow.

    Args:
        corpus: The text.
        subwords: A run's subwords.
        max_length: The run's `corpus.max_length`.
    """
    pairs = zip(corpus.train.source, corpus.train.target, strict=True)
    too_long = sum(
        subwords.count(source) > max_length or subwords.count(target) > max_length for source, target in pairs
    )
    return _digest(corpus, subwords, too_long)


def check(settings: CorpusSettings, seed: int) -> tuple[Corpus, Subwords]:
    """Do all that can be refused, without TensorFlow: load the corpus and train its subwords.

    Args:
        settings: Which corpus, how much of it, and how it is cut.
        seed: The run's seed.

    Returns:
        The corpus, and subwords trained on its training split alone.

    Raises:
        UsageError: The corpus or the vocabulary cannot be had, or every training pair is too long.
    """
    corpus = load_corpus(settings, seed)
    train = corpus.train
    text = (*train.source, *train.target)
    subwords = Subwords.train(text, settings.vocabulary_size, seed, settings.normalization)
    longest = settings.max_length
    if all(
        subwords.count(source) > longest or subwords.count(target) > longest
        for source, target in zip(train.source, train.target, strict=True)
    ):
        raise UsageError(
            f"corpus.max_length: every training pair of '{corpus.name}' has more than {longest} subwords; raise it"
        )
    return corpus, subwords


def prepare(corpus: Corpus, subwords: Subwords, settings: CorpusSettings) -> PreparedCorpus:
    """Cut a corpus into subwords, with TensorFlow.

    Args:
        corpus: The corpus of `check`.
        subwords: The subwords of `check`.
        settings: The same settings; `max_length` is in subwords, without BOS and EOS.

    Returns:
        The prepared corpus.
    """
    source, target = subwords.encode(corpus.train.source), subwords.encode(corpus.train.target)
    longest = settings.max_length
    kept = [pair for pair in zip(source, target, strict=True) if max(map(len, pair)) <= longest]
    return PreparedCorpus(
        corpus,
        subwords,
        train_source=[left for left, _ in kept],
        train_target=[right for _, right in kept],
        dev_source=subwords.encode(corpus.dev.source),
        dev_target=subwords.encode(corpus.dev.target),
        test_source=subwords.encode(corpus.test.source),
        test_target=subwords.encode(corpus.test.target),
        too_long=len(source) - len(kept),
        max_length=longest,
    )
