"""Subword regularisation: words cut into subwords in another way each time they are read (Kudo 2018)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nmt_pbt.base.randomness import generator

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

CANDIDATES = 16
"""Ways to cut one word among which is drawn, the most probable ones."""
SMOOTHING = 0.2
"""Exponent of a cut's probability when one is drawn; Kudo (2018) found 0.2 to 0.5 best for small corpora."""


class Resampling:
    """Sentences that can be cut afresh.

    Subwords never span words, so a sentence's cuts are those of its words, each drawn by itself: with probability
    `rate` from the `CANDIDATES` most probable cuts of the word, in proportion to `probability ** SMOOTHING`, else the
    most probable one. The draws are a function of seed, key and epoch alone.

    Args:
        sentences: Ids of each sentence, cut the most probable way.
        subwords: The vocabulary they are of.
        key: Tells these sentences' draws from others'.
        longest: Most subwords that a sentence may be cut into, as many as the longest of them has; one whose draws
            make more is left as it is. None for any number.
    """

    def __init__(
        self, sentences: Sequence[np.ndarray], subwords: Subwords, key: str, longest: int | None = None
    ) -> None:
        self._sentences = sentences
        self._subwords = subwords
        self._key = key
        self._longest = longest

    def draw(self, seed: int, epoch: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Cut all sentences.

        Args:
            seed: Of the draws.
            epoch: Which draw.
            rate: Share of the words that are cut by a draw, 0 to 1.

        Returns:
            The ids of all sentences end to end, int32 `[subwords]`, and how many each has, `[sentences]`.
        """
        words, per_sentence, cuts = self._words
        random = generator(seed, "subword sampling", self._key, epoch)
        drawn, place = random.random((2, len(words)))
        chosen = cuts.choose(words, np.where(drawn < rate, place, -1.0))
        ids, lengths = cuts.ids_of(chosen)
        subwords = _sums(lengths, per_sentence)
        if self._longest is not None and subwords.max(initial=0) > self._longest:
            as_it_is = np.repeat(subwords > self._longest, per_sentence)
            ids, lengths = cuts.ids_of(np.where(as_it_is, cuts.choose(words, np.full(len(words), -1.0)), chosen))
            subwords = _sums(lengths, per_sentence)
        return ids, subwords

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray, Cuts]:
        """Return which word stands at each place, how many a sentence has, and the words' cuts."""
        begins = np.array([self._subwords.begins_word(i) for i in range(self._subwords.size)])
        numbers: dict[tuple[int, ...], int] = {}
        words: list[int] = []
        counts = np.zeros(len(self._sentences), np.int64)
        for index, ids in enumerate(self._sentences):
            listed = ids.tolist()
            starts = [place for place, begin in enumerate(begins[ids].tolist()) if begin or place == 0]
            for start, end in itertools.pairwise([*starts, len(listed)]):
                words.append(numbers.setdefault(tuple(listed[start:end]), len(numbers)))
            counts[index] = len(starts)
        return np.array(words, np.int64), counts, Cuts(self._subwords.cuts(word, CANDIDATES) for word in numbers)


def _sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sums of segments of `values` that are `counts` long, one after the other."""
    ends = np.cumsum(np.concatenate(([0], values)))[np.cumsum(counts)]
    return np.diff(ends, prepend=0)


class Cuts:
    """The ways to cut each of some words, in arrays.

    Args:
        words: For each word its cuts, the most probable first, and their log-probabilities.
    """

    def __init__(self, words: Iterable[tuple[list[tuple[int, ...]], np.ndarray]]) -> None:
        flat: list[int] = []
        lengths: list[int] = []
        first: list[int] = []
        bounds: list[np.ndarray] = []
        for number, (cuts, logarithms) in enumerate(words):
            first.append(len(lengths))
            weights = np.exp(SMOOTHING * (logarithms - logarithms.max()))
            # Rounded, the sum may end a little below or above 1.
            upper = np.minimum(np.cumsum(weights / weights.sum()), 1.0)
            upper[-1] = 1.0
            bounds.append(number + upper)
            for cut in cuts:
                flat.extend(cut)
                lengths.append(len(cut))
        self._flat = np.array(flat, np.int32)
        self._lengths = np.array(lengths, np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._first = np.array(first, np.int64)
        self._last = np.append(self._first[1:], len(lengths)) - 1
        self._bounds = np.concatenate(bounds) if bounds else np.zeros(0)

    def choose(self, words: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return a cut of each word: the most probable where `places` is negative, else by a draw from [0, 1)."""
        drawn = np.searchsorted(self._bounds, words + np.maximum(places, 0.0), side="right")
        # A word's number plus a draw just below 1 may be rounded to where the next word begins.
        drawn = np.minimum(drawn, self._last[words])
        chosen: np.ndarray = np.where(places < 0.0, self._first[words], drawn)
        return chosen

    def ids_of(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of cuts end to end, and how many each has."""
        lengths = self._lengths[cuts]
        shift = np.repeat(self._starts[cuts] - (np.cumsum(lengths) - lengths), lengths)
        return self._flat[shift + np.arange(len(shift))], lengths
