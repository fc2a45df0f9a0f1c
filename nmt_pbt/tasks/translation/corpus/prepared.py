"""From settings to ids: a corpus with its subwords, ready to train on."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, JoinedLines
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, text_digest
from nmt_pbt.tasks.translation.corpus.stream import PairStream
from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

_MOST_SUBSETS = 1 << 16  # of the test sets that there are now, looked through for those that a run began with


@dataclass(frozen=True, eq=False)
class PreparedCorpus:
    """A corpus cut into subwords. Ids are int32, one array a sentence, without BOS and EOS.

    It is sent to workers by value. `stored.StoredCorpus` lies in a folder instead, from which each worker maps it.

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
        known_digest: Its digest; None where it is to be computed from the text.
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
    known_digest: str | None = None

    def to_be_sent(self) -> PreparedCorpus:
        """Return the corpus as a worker needs it: without the text of its training split."""
        corpus = replace(self.corpus, train=ParallelText((), ()))
        return replace(self, corpus=corpus, known_digest=self.digest())

    def stream(self, seed: int) -> PairStream:
        """Return the training pairs as a stream; `seed` decides their order, and how words are cut afresh."""
        return PairStream(self.train_source, self.train_target, seed, self.subwords, self.max_length)

    def digest(self) -> str:
        """Return the SHA-256 of all text, the subwords and which training pairs are in use."""
        return self.known_digest or digest_of(self.corpus, self.subwords, self.too_long)


def digest_of(corpus: Corpus, subwords: Subwords, too_long: int) -> str:
    """Return the digest of a prepared corpus from its text, its subwords and how many training pairs are too long."""
    return _digest(_fixed_parts(corpus, subwords, too_long), _test_parts(corpus).values())


def _fixed_parts(corpus: Corpus, subwords: Subwords, too_long: int) -> list[str]:
    return [corpus.digest(), hashlib.sha256(subwords.model).hexdigest(), str(too_long)]


def _test_parts(corpus: Corpus) -> dict[str, str]:
    return {name: f"{name} {text_digest(text)}" for name, text in sorted(corpus.other_tests.items())}


def _digest(fixed: Iterable[str], tests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([*fixed, *tests]).encode()).hexdigest()


def corpus_of_run(
    corpus: Corpus, subwords: Subwords, max_length: int, digest: str, too_long: int | None = None
) -> Corpus | None:
    """Return a corpus as a run was begun with it, without TensorFlow: without the test sets that were added since.

    Args:
        corpus: The corpus now.
        subwords: The run's subwords.
        max_length: The run's `corpus.max_length`.
        digest: What `PreparedCorpus.digest` was when the run was begun.
        too_long: How many training pairs were too long then; None counts those that are now.

    Returns:
        The corpus; None where anything else is not as it was.
    """
    if too_long is None:
        pairs = zip(corpus.train.source, corpus.train.target, strict=True)
        too_long = sum(
            subwords.count(source) > max_length or subwords.count(target) > max_length for source, target in pairs
        )
    fixed, tests = _fixed_parts(corpus, subwords, too_long), _test_parts(corpus)
    subsets = chain.from_iterable(itertools.combinations(tests, count) for count in range(len(tests), -1, -1))
    for names in itertools.islice(chain((tuple(tests), ()), subsets), _MOST_SUBSETS):
        if _digest(fixed, [tests[name] for name in names]) == digest:
            return replace(corpus, other_tests={name: corpus.other_tests[name] for name in names})
    return None


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
    return corpus, train_subwords(corpus, settings, seed)


def train_subwords(corpus: Corpus, settings: CorpusSettings, seed: int) -> Subwords:
    """Train subwords on a corpus's training split, without TensorFlow.

    Args:
        corpus: The corpus.
        settings: How it is cut.
        seed: The run's seed.

    Raises:
        UsageError: The vocabulary cannot be had, or every training pair is too long.
    """
    train = corpus.train
    text = JoinedLines(train.source, train.target)
    subwords = Subwords.train(text, settings.vocabulary_size, seed, settings.normalization, settings.byte_fallback)
    longest = settings.max_length
    if all(
        subwords.count(source) > longest or subwords.count(target) > longest
        for source, target in zip(train.source, train.target, strict=True)
    ):
        raise UsageError(
            f"corpus.max_length: every training pair of '{corpus.name}' has more than {longest} subwords; raise it"
        )
    return subwords


def prepare(
    corpus: Corpus,
    subwords: Subwords,
    settings: CorpusSettings,
    progress: Callable[[int], None] = lambda pairs: None,
) -> PreparedCorpus:
    """Cut a corpus into subwords in memory, with TensorFlow.

    Args:
        corpus: The corpus of `check`.
        subwords: The subwords of `check`.
        settings: The same settings; `max_length` is in subwords, without BOS and EOS.
        progress: Called now and then with the number of training pairs that are done.

    Returns:
        The prepared corpus.
    """
    train, too_long = _Collected(), 0
    for source, target, left_out in encoded_pairs(corpus.train, subwords, settings.max_length):
        train.add(source, target)
        too_long += left_out
        progress(train.pairs + too_long)
    train_source, train_target = train.sides()
    dev_source, dev_target = _encoded(corpus.dev, subwords)
    test_source, test_target = _encoded(corpus.test, subwords)
    return PreparedCorpus(
        corpus,
        subwords,
        train_source=train_source,
        train_target=train_target,
        dev_source=dev_source,
        dev_target=dev_target,
        test_source=test_source,
        test_target=test_target,
        too_long=too_long,
        max_length=settings.max_length,
    )


def _encoded(text: ParallelText, subwords: Subwords) -> tuple[IdSequences, IdSequences]:
    found = _Collected()
    for source, target, _ in encoded_pairs(text, subwords):
        found.add(source, target)
    return found.sides()


def encoded_pairs(
    text: ParallelText, subwords: Subwords, longest: int | None = None
) -> Iterator[tuple[IdSequences, IdSequences, int]]:
    """Cut sentence pairs into subwords, thousands at a time, with TensorFlow.

    Args:
        text: The pairs.
        subwords: The vocabulary.
        longest: Most subwords of a sentence; pairs with a longer one are left out. None for any number.

    Yields:
        Source ids, target ids, and how many pairs were left out.
    """
    for source, target in zip(subwords.encode_flat(text.source), subwords.encode_flat(text.target), strict=True):
        if longest is None:
            yield source, target, 0
            continue
        kept = np.flatnonzero(np.maximum(source.all_lengths(), target.all_lengths()) <= longest)
        yield source.select(kept), target.select(kept), len(source) - len(kept)


class _Collected:
    """Blocks of pairs, put together in the end."""

    def __init__(self) -> None:
        self.pairs = 0
        self._blocks: list[tuple[IdSequences, IdSequences]] = []

    def add(self, source: IdSequences, target: IdSequences) -> None:
        self._blocks.append((source, target))
        self.pairs += len(source)

    def sides(self) -> tuple[IdSequences, IdSequences]:
        source, target = (IdSequences.joined([block[side] for block in self._blocks]) for side in (0, 1))
        return source, target
