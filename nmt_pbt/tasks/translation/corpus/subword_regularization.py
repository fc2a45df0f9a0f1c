"""Subword regularisation: words cut into subwords in another way each time they are read (Kudo 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, positions, smallest_type

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

CANDIDATES = 16
"""Ways to cut one word among which is drawn, the most probable ones."""
SMOOTHING = 0.2
"""Exponent of a cut's probability when one is drawn; Kudo (2018) found 0.2 to 0.5 best for small corpora."""
_MOST_WORDS = 1 << 15  # whose cuts are kept: about half a kilobyte each
_BLOCK = 1 << 16  # sentences whose words are counted together


class Resampling:
    """Sentences that can be cut afresh.

    Subwords never span words, so a sentence's cuts are those of its words, each drawn by itself: with probability
    `rate` from the `CANDIDATES` most probable cuts of the word, in proportion to `probability ** SMOOTHING`, else the
    most probable one. The draws are a function of seed, key and epoch alone: those of a sentence are the same whichever
    others are drawn with it.

    Args:
        sentences: Ids of each sentence, cut the most probable way.
        subwords: The vocabulary they are of.
        key: Tells these sentences' draws from others'.
        longest: Most subwords that a sentence may be cut into, as many as the longest of them has; one whose draws
            make more is left as it is. None for any number.
        words: The cuts of words, which sides of one vocabulary share; None for those of these sentences alone.
    """

    def __init__(
        self,
        sentences: Sequence[np.ndarray],
        subwords: Subwords,
        key: str,
        longest: int | None = None,
        words: WordCuts | None = None,
    ) -> None:
        self._sentences = IdSequences.of(sentences)
        self._key = key
        self._longest = longest
        self._words = words or WordCuts(subwords)

    def draw(
        self, seed: int, epoch: int, rate: float, indices: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut sentences.

        Args:
            seed: Of the draws.
            epoch: Which draw.
            rate: Share of the words that are cut by a draw, 0 to 1.
            indices: Which sentences, `[sentences]`; None for all.

        Returns:
            The ids of the sentences end to end, int32 `[subwords]`, and how many each has, `[sentences]`.
        """
        if indices is None:
            indices = np.arange(len(self._sentences))
        ids, lengths = self._sentences.gather(indices)
        starts = np.flatnonzero(self._words.begin(ids, lengths))
        words = np.diff(starts, append=len(ids))  # how long each is
        first = self._first_words[indices].astype(np.int64)
        per_sentence = self._first_words[indices + 1] - first
        drawn, places = self._random(seed, epoch, first, per_sentence)
        is_cut = drawn < rate
        cut_ids, cut_lengths = self._words.cut(ids, starts[is_cut], words[is_cut], places[is_cut])
        found = words.copy()
        found[is_cut] = cut_lengths
        subwords = _sums(found, per_sentence)
        if self._longest is not None and subwords.max(initial=0) > self._longest:
            as_it_is = np.repeat(subwords > self._longest, per_sentence)
            found = np.where(as_it_is, words, found)
            subwords = _sums(found, per_sentence)
            kept = ~as_it_is[is_cut]
        else:
            kept = np.ones(len(cut_lengths), np.bool_)
        # Where each word's ids are: among those of the sentences, or behind them, among those of the cuts.
        sources = starts.copy()
        sources[np.flatnonzero(is_cut)[kept]] = (len(ids) + np.cumsum(cut_lengths) - cut_lengths)[kept]
        return np.concatenate((ids, cut_ids))[positions(sources, found)], subwords

    def _random(self, seed: int, epoch: int, first: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return two draws from [0, 1) for each word of some sentences.

        The draws of an epoch are two rows, each as long as all sentences have words. Only those of these sentences are
        made: the generator is moved to where they begin.

        Args:
            seed: See `draw`.
            epoch: See `draw`.
            first: The place of each sentence's first word among all words, `[sentences]`.
            words: How many words it has, `[sentences]`.
        """
        random = generator(seed, "subword sampling", self._key, epoch)
        ends = first + words
        breaks = np.flatnonzero(first[1:] != ends[:-1]) + 1  # sentences that follow one another are drawn at once
        runs = list(pairwise([0, *breaks.tolist(), len(first)])) if len(first) else []
        rows = []
        at = 0
        for row in (0, int(self._first_words[-1])):
            parts = [np.zeros(0)]
            for begin, end in runs:
                start, stop = row + int(first[begin]), row + int(ends[end - 1])
                random.bit_generator.advance(start - at)  # type: ignore[attr-defined]
                parts.append(random.random(stop - start))
                at = stop
            rows.append(np.concatenate(parts))
        return rows[0], rows[1]

    @cached_property
    def _first_words(self) -> np.ndarray:
        """How many words stand before each sentence, and in all, `[sentences + 1]`."""
        found = np.zeros(len(self._sentences) + 1, np.int64)
        for start in range(0, len(self._sentences), _BLOCK):
            indices = np.arange(start, min(start + _BLOCK, len(self._sentences)))
            ids, lengths = self._sentences.gather(indices)
            found[indices + 1] = _sums(self._words.begin(ids, lengths).astype(np.int64), lengths)
        np.cumsum(found, out=found)
        return found.astype(smallest_type(int(found[-1])))


def _sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sums of segments of `values` that are `counts` long, one after the other."""
    ends = np.cumsum(np.concatenate(([0], values)))[np.cumsum(counts)]
    return np.diff(ends, prepend=0)


class WordCuts:
    """The ways to cut the words of a vocabulary, found out when a word is first asked for.

    Args:
        subwords: The vocabulary.
        most: Words that are kept; when there are more, all are forgotten.
    """

    def __init__(self, subwords: Subwords, most: int = _MOST_WORDS) -> None:
        self._subwords = subwords
        self._most = most
        self._begins = np.array([subwords.begins_word(i) for i in range(subwords.size)])
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._cuts = Cuts()

    def begin(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Tell which ids begin a word; the first of a sentence does in any case.

        Args:
            ids: Those of sentences, end to end, `[ids]`.
            lengths: How many each sentence has, `[sentences]`.

        Returns:
            bool, `[ids]`.
        """
        found: np.ndarray = self._begins[ids]
        found[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
        return found

    def cut(
        self, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut words.

        Args:
            ids: Ids among which the words are, int32.
            starts: Where each word starts, `[words]`.
            lengths: How many ids it has, `[words]`.
            places: A draw from [0, 1) for each, `[words]`.

        Returns:
            The ids of the words' cuts end to end, and how many each cut has, `[words]`.
        """
        if len(self._numbers) > self._most:
            self._forget()
        words = [
            ids[start:end].tobytes() for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        ]
        new = [word for word in dict.fromkeys(words) if word not in self._numbers]
        self._cuts.add(self._subwords.cuts(np.frombuffer(word, ids.dtype).tolist(), CANDIDATES) for word in new)
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))
        return self._cuts.ids_of(self._cuts.choose(numbers, places))


class Cuts:
    """The ways to cut each of some words, in arrays.

    Args:
        words: For each word its cuts, the most probable first, and their log-probabilities.
    """

    def __init__(self, words: Iterable[tuple[list[tuple[int, ...]], np.ndarray]] = ()) -> None:
        self._flat = _Growing(np.int32)
        self._starts = _Growing(np.int64)
        self._lengths = _Growing(np.int32)
        self._last = _Growing(np.int64)
        self._bounds = _Growing(np.float64)
        self.add(words)

    def add(self, words: Iterable[tuple[list[tuple[int, ...]], np.ndarray]]) -> None:
        """Add words to those there are; see the class."""
        for cuts, logarithms in words:
            weights = np.exp(SMOOTHING * (logarithms - logarithms.max()))
            # Rounded, the sum may end a little below or above 1.
            upper = np.minimum(np.cumsum(weights / weights.sum()), 1.0)
            upper[-1] = 1.0
            lengths = np.array([len(cut) for cut in cuts])
            number, before = len(self._last), len(self._lengths)
            self._starts.append(len(self._flat) + np.cumsum(lengths) - lengths)
            self._flat.append(np.concatenate(cuts))
            self._lengths.append(lengths)
            self._last.append(np.array([before + len(cuts) - 1]))
            self._bounds.append(number + upper)

    def choose(self, words: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return a cut of each word, by a draw from [0, 1)."""
        drawn = np.searchsorted(self._bounds.array, words + places, side="right")
        # A word's number plus a draw just below 1 may be rounded to where the next word begins.
        chosen: np.ndarray = np.minimum(drawn, self._last.array[words])
        return chosen

    def ids_of(self, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of cuts end to end, and how many each has."""
        lengths = self._lengths.array[cuts].astype(np.int64)
        return self._flat.array[positions(self._starts.array[cuts], lengths)], lengths


class _Growing:
    """An array to which values are appended.

    Args:
        kind: Their type.

    Attributes:
        array: The values so far.
    """

    def __init__(self, kind: type[np.generic]) -> None:
        self._room = np.zeros(64, kind)
        self.array = self._room[:0]

    def __len__(self) -> int:
        return len(self.array)

    def append(self, values: np.ndarray) -> None:
        before, after = len(self.array), len(self.array) + len(values)
        if after > len(self._room):
            room = np.zeros(max(after, len(self._room) * 3 // 2), self._room.dtype)
            room[:before] = self.array
            self._room = room
        self._room[before:after] = values
        self.array = self._room[:after]
