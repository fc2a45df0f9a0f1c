"""How fast a score improves, by comparing learning curves where they are equally good (Dalibard & Jaderberg 2021).

A curve is a list of scores, oldest first, higher being better. Two curves are laid over each other not where they are
equally old, but from where they are equally good: that which rises higher from there improves faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Curve = Sequence[float]
"""Scores, oldest first."""

_LENGTHS = (0.1, 0.2, 0.5, 1.0, 2.0)
_NOISES = (1e-6, 1e-3, 1e-2, 0.1, 0.5)
_SHIFTS = 10
"""Ways to move a curve that is better throughout onto another one."""


def smoothed(curve: Curve) -> np.ndarray:
    """Return a curve without its noise: the mean of a Gaussian process, `(scores,)`.

    Its length scale, in whole curves, and its share of noise are the likeliest of a small grid.

    Args:
        curve: At least one score.
    """
    return _smoothed(tuple(curve))


@lru_cache(maxsize=1024)  # each curve is compared with all others
def _smoothed(curve: tuple[float, ...]) -> np.ndarray:
    scores = np.asarray(curve, dtype=np.float64)
    spread = float(scores.std())
    if len(scores) < 3 or spread < 1e-12:
        return scores
    standard = (scores - scores.mean()) / spread
    places = np.linspace(0, 1, len(scores))
    squares = (places[:, None] - places[None, :]) ** 2
    best, likeliest = -math.inf, standard
    for length in _LENGTHS:
        signal = np.exp(-squares / (2 * length**2))
        for noise in _NOISES:
            covariance = signal + noise * np.eye(len(scores))
            factor = np.linalg.cholesky(covariance)
            weights = np.linalg.solve(factor.T, np.linalg.solve(factor, standard))
            likelihood = -0.5 * float(standard @ weights) - float(np.log(np.diag(factor)).sum())
            if likelihood > best:
                best, likeliest = likelihood, signal @ weights
    return np.asarray(likeliest * spread + scores.mean())


def overlap(one: Curve, other: Curve, shift: float = 0.0) -> tuple[int, int, int] | None:
    """Return from where two curves are equally good.

    Args:
        one: A curve.
        other: Another one.
        shift: How far down the first one is moved before.

    Returns:
        The first place in either curve, and how many scores both have from there; None where one is better throughout.
    """
    first, second = smoothed(one) - shift, smoothed(other)
    if first[0] < second[0]:
        reached = np.flatnonzero(first >= second[0])
        start = (int(reached[0]), 0) if len(reached) else None
    else:
        reached = np.flatnonzero(second >= first[0])
        start = (0, int(reached[0])) if len(reached) else None
    if start is None:
        return None
    return (*start, min(len(one) - start[0], len(other) - start[1]))


def faster_by(one: Curve, other: Curve) -> float:
    """Return by how much a curve rises higher than another one from where they are equally good.

    One that is better throughout is moved down onto the other, by as much as suits it best; then it is not told to be
    slower. One that is worse throughout is not told to be slower either.
    """
    compared = _faster_by(one, other)
    if compared is not None:
        return compared
    least, most = min(one) - max(other), min(one) - min(other)
    if least <= 0 or most - least < 1e-12:
        return 0.0
    moved = [_faster_by(one, other, float(shift)) for shift in np.linspace(least, most, _SHIFTS, endpoint=False)]
    return max([0.0, *(difference for difference in moved if difference is not None)])


def _faster_by(one: Curve, other: Curve, shift: float = 0.0) -> float | None:
    common = overlap(one, other, shift)
    if common is None:
        return None
    first, second, length = common
    return max(one[first : first + length]) - shift - max(other[second : second + length])


def chance_of_being_better(one: Curve, other: Curve) -> float:
    """Return the p-value of a binomial test that a curve is above another one from where they are equally good.

    Returns:
        One-sided, from 0 to 1; 0 where it is better throughout, 1 where it is worse throughout.
    """
    common = overlap(one, other)
    if common is None:
        return 0.0 if min(one) > max(other) else 1.0
    first, second, length = common
    better = sum(a > b for a, b in zip(one[first : first + length], other[second : second + length], strict=True))
    return 0.5**length * float(sum(math.comb(length, count) for count in range(better, length + 1)))
