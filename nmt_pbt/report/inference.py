"""What a few numbers tell about the mean they were drawn around: intervals, tests, and how many would be needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from nmt_pbt.base.randomness import generator

LEVEL = 0.95
"""Confidence of every interval."""

STUDENTISED_FROM = 6
"""Searches from which the bootstrap is used. With fewer, its intervals are far too short (with 3 searches they hold
the truth 3 times in 4), and Student's t is used."""

_RESAMPLES = 4000
_POWER = 0.8
_MOST_SEEDS = 1000
_CERTAIN = 30.0


@dataclass(frozen=True)
class Estimate:
    """A mean over searches, with its 95% interval.

    Attributes:
        mean: NaN where there is no search.
        low: Lower end of the interval; NaN where there is one search.
        high: Upper end, likewise.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Estimate:
        """Return the estimate that one value a search gives."""
        return cls(float(values.mean()) if len(values) else math.nan, *mean_interval(values))

    def columns(self, name: str) -> dict[str, float]:
        """Return it as columns of a table: X, X_low and X_high."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def mean_interval(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return a 95% interval of the mean over repeated searches.

    Args:
        values: One score a search. With `STUDENTISED_FROM` and more, the studentised bootstrap (Efron & Tibshirani
            1993, section 12.5); with fewer, Student's t.

    Returns:
        Lower and upper end; NaN for fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    count = len(sample)
    if count < 2 or not np.isfinite(sample).all():
        return math.nan, math.nan
    mean, error = float(sample.mean()), float(sample.std(ddof=1) / math.sqrt(count))
    if error == 0.0:
        return mean, mean
    low = high = float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
    if count >= STUDENTISED_FROM:
        drawn = sample[generator(0, "mean interval", count).integers(0, count, (_RESAMPLES, count))]
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(count)
        usable = errors > 1e-9 * error  # a resample of one value over and over has no error to divide by
        studentised = (drawn.mean(axis=1)[usable] - mean) / errors[usable]
        quantiles = np.quantile(studentised, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = float(quantiles[1]), -float(quantiles[0])
    return mean - low * error, mean + high * error


def probability_of_superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how likely one search by A beats one by B: over all pairs of searches, ties counting half.

    Args:
        a: Scores of A, higher is better.
        b: Scores of B.

    Returns:
        0 to 1; NaN where either has no score.
    """
    if not len(a) or not len(b):
        return math.nan
    differences = np.subtract.outer(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return float((differences > 0).mean() + 0.5 * (differences == 0).mean())


def seeds_needed(differences: Sequence[float] | npt.NDArray[np.float64], comparisons: int = 1) -> int | None:
    """Return how many searches of each method would show this difference, if it is as it looks.

    Args:
        differences: Difference of two methods by seed.
        comparisons: How many are made at once: each is then tested at 5% divided by their number, as Holm's method
            tests the smallest p-value.

    Returns:
        The smallest number for which a paired t-test at that level has 80% power; None when it would take more than
        1,000, or cannot be told from fewer than two differences.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if len(sample) < 2 or sample.std(ddof=1) == 0.0:
        return None
    effect = abs(float(sample.mean())) / float(sample.std(ddof=1))
    # With the spread known, (1.96 + 0.84)^2 / effect^2 would do; estimating it costs a few searches more.
    tail = (1 - LEVEL) / 2 / comparisons
    least = ((special.ndtri(1 - tail) + special.ndtri(_POWER)) / effect) ** 2 if effect else math.inf
    if least > _MOST_SEEDS:
        return None
    counts = range(max(2, math.ceil(least)), _MOST_SEEDS + 1)
    return next((count for count in counts if _power(effect, count, tail) >= _POWER), None)


def _power(effect: float, count: int, tail: float) -> float:
    """Return the power of a paired t-test for an effect in standard deviations, in its direction.

    Args:
        effect: Mean difference, in standard deviations of a difference.
        count: Differences.
        tail: Chance of a false claim on either side.
    """
    critical = float(special.stdtrit(count - 1, 1 - tail))
    shifted = effect * math.sqrt(count)
    if shifted > _CERTAIN:
        return 1.0  # where the noncentral distribution is no longer computed reliably
    return 1.0 - float(special.nctdtr(count - 1, shifted, critical))


def holm(p_values: Sequence[float] | npt.NDArray[np.float64]) -> list[float]:
    """Adjust p-values for having made several comparisons (Holm 1979).

    Args:
        p_values: NaN for a comparison that was not made.

    Returns:
        Adjusted p-values in the same order; below 5% they keep the chance of *any* false claim below 5%.
    """
    made = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * p))
        adjusted[place] = highest
    return adjusted


def paired_t_test(differences: npt.NDArray[np.float64]) -> float:
    """Return the two-sided p-value of differences by seed under no difference.

    Args:
        differences: One a seed.

    Returns:
        The p-value; NaN for fewer than two differences, and 1 for two equal ones: that two numbers are alike says
        nothing of how much they vary.
    """
    count = len(differences)
    if count < 2:
        return math.nan
    if count == 2 and math.isclose(*differences, rel_tol=1e-9):
        return 1.0
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    same = 0.0 if not differences.any() else math.inf
    statistic = abs(float(differences.mean())) / error if error > 0 else same
    return 2 * float(special.stdtr(count - 1, -statistic))
