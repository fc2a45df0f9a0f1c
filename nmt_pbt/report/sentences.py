"""What test sentences tell about the models that won: intervals of their scores, and tests of their differences.

All of it is computed together, on the same resamples, when it is first asked for: pair by pair it would take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.significance import (
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
        scores = resampled_scores(self._metric, self._stacked, generator(0, "sentence interval", self._metric))
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
        places = [([self._places[search] for search in a], [self._places[search] for search in b]) for a, b in known]
        swaps = generator(0, "randomisation", self._metric)
        randomised = approximate_randomisations(self._metric, self._stacked, places, swaps) if known else []
        found: list[tuple[float, float, float] | None] = []
        place = 0
        for pair in pairs:
            if place == len(known) or pair is not known[place]:
                found.append(None)
                continue
            a, b = places[place]
            sides = self._stacked[a], self._stacked[b], self._resampled[:, a], self._resampled[:, b]
            interval = resampled_difference(self._metric, *sides)
            found.append((interval.low, interval.high, randomised[place].p_value))
            place += 1
        return found

    @cached_property
    def _places(self) -> dict[Search, int]:
        return {search: place for place, search in enumerate(self._counts)}

    @cached_property
    def _stacked(self) -> Counts:
        return np.stack(list(self._counts.values()))

    @cached_property
    def _resampled(self) -> Scores:
        return resampled_scores(self._metric, self._stacked, generator(0, "paired bootstrap", self._metric))
