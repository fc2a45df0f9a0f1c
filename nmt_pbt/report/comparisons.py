"""The methods of a run compared two by two on the test split, over searches and over test sentences.

Over searches, a difference is one of *methods*; over the sentences of the test split it is one of the very *models*
that won.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.report.inference import (
    LEVEL,
    holm,
    mean_interval,
    paired_t_test,
    probability_of_superiority,
    seeds_needed,
)
from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.run import Run, metric_direction
from nmt_pbt.tasks.translation.scoring.significance import (
    Counts,
    Scores,
    approximate_randomisations,
    resampled_difference,
    resampled_scores,
)

Search = tuple[str, int]
"""A method and a seed."""

Verdict = Literal["a", "b", "hint", "models", "open"]
Family = Literal["rivals", "ablations", "others"]
_ASKED: tuple[Family, ...] = ("rivals", "ablations")


@dataclass(frozen=True)
class Comparison:
    """Two methods on the test split, on the seeds that both have been tested with.

    What is over searches is NaN where there is one; intervals are each on its own, not adjusted.

    Attributes:
        method_a: One method; the reference, where it is one of the two.
        method_b: The other.
        metric: Of the test split.
        searches: Seeds that both have.
        difference: Mean of A less B, in points.
        low: Lower end of its 95% interval over searches.
        high: Upper end.
        p_searches: P-value of the paired t-test over searches.
        sentences_low: Lower end of its paired bootstrap interval over test sentences; NaN where the run keeps no
            sentence counts.
        sentences_high: Upper end.
        p_sentences: P-value of approximate randomisation over test sentences.
        probability: That one search of A beats one of B.
        wins: Seeds in which A is better.
        losses: Seeds in which B is better.
        needed: Searches of each that would show this difference with 80% chance; 0 when it cannot be told.
        family: The question it answers: `rivals` or `ablations`, or `others` for what nobody asked beforehand.
        compared: How many comparisons p-values and `needed` are adjusted for: those of the family, of `others` all.
        verdict: `a` or `b` is better as a method; `hint` is the same of a pair that nobody asked about beforehand;
            `models`: these models differ, the methods are not shown to; or `open`.
    """

    method_a: str
    method_b: str
    metric: str
    searches: int
    difference: float
    low: float
    high: float
    p_searches: float
    sentences_low: float
    sentences_high: float
    p_sentences: float
    probability: float
    wins: int
    losses: int
    needed: int
    family: Family
    compared: int
    verdict: Verdict = "open"

    @property
    def better(self) -> Literal["a", "b"] | None:
        """Which method is better, where that may be claimed."""
        return self.verdict if self.verdict in ("a", "b") else None


def reference_method(run: Run) -> str:
    """Return the method that others are compared with: the first `pbt` where there is one, else the first method."""
    methods = [str(method) for method in dict.fromkeys(run.searches["method"])]
    return next((method for method in methods if base_method(method) == "pbt"), methods[0])


def sentence_intervals(run: Run, metric: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Return the 95% interval of each winner's test score over resampled test sentences, by method and seed."""
    return _sentence_tests(run, metric).intervals()


def _sentence_tests(run: Run, metric: str) -> SentenceTests:
    return SentenceTests(metric, {search: counts[metric] for search, counts in run.counts.items()})


def comparisons(run: Run, metric: str) -> list[Comparison]:
    """Compare all methods two by two on the test split, on the seeds both have been tested with.

    A run asks two questions beforehand: how its reference method, PBT, compares with its rivals, and how with its
    ablations, which tell what its parts are worth. Each is a family of comparisons of its own: they come first, are
    adjusted by Holm's method for as many as their family has, and may be claimed, so that any false claim among the
    answers to one question has a chance of at most 5%. The other pairs are looked through afterwards: they are adjusted
    for all pairs, and hints at most. Without PBT all other methods are rivals of the reference.

    Args:
        run: The run.
        metric: `bleu` or `chrf`.
    """
    tested = {(row["method"], int(row["seed"])): float(row[f"test_{metric}"]) for row in run.tests.to_dict("records")}
    methods = list(dict.fromkeys(method for method, _ in tested))
    reference = reference_method(run)
    methods.sort(key=lambda method: method != reference)
    families: dict[tuple[str, str], Family] = {
        pair: _family(*pair, reference) for pair in itertools.combinations(methods, 2)
    }
    pairs = sorted(families, key=lambda pair: [*_ASKED, "others"].index(families[pair]))
    sizes = {**Counter(families.values()), "others": len(pairs)}
    seeds = [[seed for method, seed in tested if method == a and (b, seed) in tested] for a, b in pairs]
    over_sentences = _sentence_tests(run, metric).compare(
        [
            ([(a, seed) for seed in both], [(b, seed) for seed in both])
            for (a, b), both in zip(pairs, seeds, strict=True)
        ]
    )
    sign = 1 if metric_direction(run, metric) == "max" else -1
    found = []
    for (a, b), both, sentences in zip(pairs, seeds, over_sentences, strict=True):
        family = families[a, b]
        scores = [tested[a, seed] for seed in both], [tested[b, seed] for seed in both]
        differences = np.subtract(*scores)
        low, high = mean_interval(differences)
        sentences_low, sentences_high, p_sentences = sentences or (math.nan,) * 3
        found.append(
            Comparison(
                method_a=a,
                method_b=b,
                metric=metric,
                searches=len(both),
                difference=float(differences.mean()) if both else math.nan,
                low=low,
                high=high,
                p_searches=paired_t_test(differences),
                sentences_low=sentences_low,
                sentences_high=sentences_high,
                p_sentences=p_sentences,
                probability=probability_of_superiority(*np.multiply(sign, scores)) if len(both) > 1 else math.nan,
                wins=int((sign * differences > 0).sum()),
                losses=int((sign * differences < 0).sum()),
                needed=seeds_needed(differences, sizes[family]) or 0,
                family=family,
                compared=sizes[family],
            )
        )
    p_searches = _adjusted([one.p_searches for one in found], [one.family for one in found])
    p_sentences_ = _adjusted([one.p_sentences for one in found], [one.family for one in found])
    return [
        _judged(replace(one, p_searches=over, p_sentences=within), sign)
        for one, over, within in zip(found, p_searches, p_sentences_, strict=True)
    ]


def against(pairs: Sequence[Comparison], reference: str) -> list[Comparison]:
    """Return the comparisons of the reference method, of those that `comparisons` returns."""
    return [pair for pair in pairs if pair.method_a == reference]


def _family(a: str, b: str, reference: str) -> Family:
    """Return which question a comparison of two methods answers."""
    if a != reference:
        return "others"
    return "ablations" if base_method(reference) == "pbt" and method_info(b).ablation else "rivals"


def _adjusted(p_values: Sequence[float], families: Sequence[Family]) -> list[float]:
    """Adjust p-values for the comparisons of each family that was asked about, those of others for all."""
    adjusted = holm(p_values)
    for family in _ASKED:
        mine = [place for place, its in enumerate(families) if its == family]
        for place, value in zip(mine, holm([p_values[place] for place in mine]), strict=True):
            adjusted[place] = value
    return adjusted


def _judged(pair: Comparison, sign: int) -> Comparison:
    """Claim a difference of methods only if it holds over searches and, where that is known, over sentences.

    Args:
        pair: The comparison.
        sign: 1 where more of the metric is better, else -1.
    """
    models_differ = pair.p_sentences < 1 - LEVEL
    if pair.p_searches < 1 - LEVEL and (models_differ or math.isnan(pair.p_sentences)):
        better_one: Verdict = "a" if sign * pair.difference > 0 else "b"
        return replace(pair, verdict=better_one if pair.family in _ASKED else "hint")
    return replace(pair, verdict="models" if models_differ else "open")


class SentenceTests:
    """Tests over the sentences of the test split, made together on the same resamples: pair by pair takes seconds.

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
