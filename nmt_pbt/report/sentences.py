"""What test sentences tell about the models that won: intervals of their scores, and tests of their differences.

All of it is computed together, on the same resamples, when it is first asked for: pair by pair it would take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from nmt_pbt.randomness import generator
from nmt_pbt.significance import (
    Counts,
    Scores,
    approximate_randomisations,
    resampled_difference,
    resampled_scores,
)

Search = tuple[str, int]
"""A method and a seed."""


class SentenceTests:
    """Tests over the sentences of the test split.

    Args:
        metric: `bleu` or `chrf`.
        counts: Sentence counts of each winner's translations, `(sentences, columns)`; all of the same sentences.
    """

    def __init__(self, metric: str, counts: Mapping[Search, Counts]) -> None:
        self._metric = metric
        self._counts = dict(counts)

    def intervals(self) -> dict[Search, tuple[float, float]]:
        """Return the 95% interval of each winner's score over resampled test sentences."""
        if not self._counts:
            return {}
        counts = np.stack(list(self._counts.values()))
        scores = resampled_scores(self._metric, counts, generator(0, "sentence interval", self._metric))
        low, high = np.quantile(scores, [0.025, 0.975], axis=0)
        return {search: (float(low[n]), float(high[n])) for n, search in enumerate(self._counts)}

    def compare(self, pairs: Sequence[tuple[list[Search], list[Search]]]) -> list[tuple[float, float, float] | None]:
        """Compare searches by one method with as many by another.

        Args:
            pairs: Searches by A, and by B with the same seeds.

        Returns:
            For each pair the ends of the bootstrap interval of A less B, and the p-value of the randomisation test;
            None where a search has no counts, or there is none.
        """
        known = [pair for pair in pairs if pair[0] and self._counts.keys() >= {*pair[0], *pair[1]}]
        counts = [(self._stacked(a), self._stacked(b)) for a, b in known]
        swaps = generator(0, "randomisation", self._metric)
        randomised = approximate_randomisations(self._metric, counts, swaps)
        found: list[tuple[float, float, float] | None] = []
        place = 0
        for pair in pairs:
            if place == len(known) or pair is not known[place]:
                found.append(None)
                continue
            a, b = (self._resampled[:, [self._columns[search] for search in side]] for side in pair)
            interval = resampled_difference(self._metric, *counts[place], a, b)
            found.append((interval.low, interval.high, randomised[place].p_value))
            place += 1
        return found

    def _stacked(self, searches: Sequence[Search]) -> Counts:
        return np.stack([self._counts[search] for search in searches])

    @cached_property
    def _columns(self) -> dict[Search, int]:
        return {search: place for place, search in enumerate(self._counts)}

    @cached_property
    def _resampled(self) -> Scores:
        draws = generator(0, "paired bootstrap", self._metric)
        return resampled_scores(self._metric, self._stacked(list(self._counts)), draws)
