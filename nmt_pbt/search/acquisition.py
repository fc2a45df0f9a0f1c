"""Minimises an acquisition function over the unit cube, many points at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

Acquisition = Callable[[np.ndarray], np.ndarray]
"""[points, dimensions] in the unit cube -> [points], to be minimised."""

STARTS = 2048
SURVIVORS = 64
ROUNDS = 12


@cache
def thread_pools() -> ThreadpoolController:
    """Return the control over the threads of linear algebra.

    The matrices of a Gaussian process over a search are small: more than one thread makes them ten times slower.
    """
    return ThreadpoolController()


def minimise(
    acquisition: Acquisition, dimensions: int, random: np.random.Generator, known: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield points from the best on.

    Spreads points evenly and around the known ones, keeps the best, and searches around those in rounds of ever
    smaller steps. A Gaussian process predicts thousands of points in the time it takes for a few single ones, which is
    what a gradient search from many starts asks for.

    Args:
        acquisition: The function.
        dimensions: Number of dimensions, n.
        random: Generator.
        known: Points already tried, [m, n]; good places to look near.

    Yields:
        Points, [n], in rising order of the function.
    """
    near = known[random.integers(len(known), size=STARTS // 4)] + random.normal(0, 0.1, (STARTS // 4, dimensions))
    points = np.clip(np.concatenate([random.random((STARTS, dimensions)), near]), 0.0, 1.0)
    values = acquisition(points)
    width = 0.2
    for _ in range(ROUNDS):
        best = np.argsort(values, kind="stable")[:SURVIVORS]
        points, values = points[best], values[best]
        steps = random.normal(0, width, (4, *points.shape))
        # Half of the steps move along one axis only, so that a bound can be followed.
        steps[2:] *= np.eye(dimensions)[random.integers(dimensions, size=(2, len(points)))]
        moved = np.clip(points + steps, 0.0, 1.0).reshape(-1, dimensions)
        points, values = np.concatenate([points, moved]), np.concatenate([values, acquisition(moved)])
        width *= 0.65
    yield from points[np.argsort(values, kind="stable")]
