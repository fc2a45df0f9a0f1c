"""Which points grid search visits, in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.base.types import Value
from nmt_pbt.search.budget import Budget
from nmt_pbt.space.space import Space

LARGEST = 4096
"""Points of a larger grid are thinned out by the seed to so many before they are put in order."""


def points_within(
    space: Space, budget: Budget, epochs: float, levels: Mapping[str, Sequence[Value]], seed: int
) -> list[dict[str, Value]]:
    """Return the points of a grid that has at least as many as trials fit the budget; see `grid_points`.

    Args:
        space: The search space.
        budget: What all trials may train.
        epochs: Epochs of a trial, where the space does not name `epochs`.
        levels: The user's values, by name.
        seed: Seed of the order.
    """
    lengths = [float(value) for value in levels.get("epochs", ())]
    lengths = lengths or [
        float(value) for domain in space.domains if domain.name == "epochs" for value in domain.levels(2)
    ]
    usual = sum(lengths) / len(lengths) if lengths else epochs
    return grid_points(space, max(1, math.ceil(budget.epochs / usual - 1e-9)), levels, seed)


def grid_points(space: Space, count: int, levels: Mapping[str, Sequence[Value]], seed: int) -> list[dict[str, Value]]:
    """Return the points of a grid, so ordered that the first ones are spread over it.

    Hyperparameters without levels of the user's get as many as it takes for the grid to have at least `count` points,
    balanced between them, and at least two each where the domain has two: the centres of equal parts of the range. If
    the grid has more points than there are trials, the trials take the first ones: each next point is the one farthest
    from those before it (the first is drawn by the seed), as in a fractional factorial design.

    Args:
        space: The search space.
        count: Trials that fit the budget.
        levels: The user's values, by name.
        seed: Seed of the first point and of the thinning of large grids.

    Returns:
        All points, or `LARGEST` of them, without repetition.
    """
    chosen = _levels(space, count, levels)
    sizes = [len(values) for values in chosen.values()]
    indices = _indices(sizes, seed)
    # Coordinates in units of the whole range, so that far apart means different values of many hyperparameters.
    places = (indices + 0.5) / np.array(sizes)
    order = _farthest_first(places, int(generator(seed, "grid").integers(len(places))))
    return [
        {name: values[index] for (name, values), index in zip(chosen.items(), indices[row], strict=True)}
        for row in order
    ]


def _levels(space: Space, count: int, given: Mapping[str, Sequence[Value]]) -> dict[str, Sequence[Value]]:
    chosen = {domain.name: given.get(domain.name) or domain.levels(2) for domain in space.domains}
    free = [domain for domain in space.domains if domain.name not in given]
    while math.prod(map(len, chosen.values())) < count:
        finer = {domain.name: _finer(domain.levels, len(chosen[domain.name])) for domain in free}
        growing = [domain.name for domain in free if len(finer[domain.name]) > len(chosen[domain.name])]
        if not growing:
            break  # every domain is used up: the grid is smaller than the budget
        coarsest = min(growing, key=lambda name: len(chosen[name]))
        chosen[coarsest] = finer[coarsest]
    return chosen


def _finer(levels: object, size: int) -> Sequence[Value]:
    """Return the next larger set of levels; some counts give no more values than fewer do."""
    assert callable(levels)
    best: Sequence[Value] = levels(size)
    for count in range(size + 1, 2 * size + 2):
        best = levels(count)
        if len(best) > size:
            return best
    return best


def _indices(sizes: Sequence[int], seed: int) -> np.ndarray:
    """Return level indices of the grid's points, [points, hyperparameters]."""
    total = math.prod(sizes)
    if total <= LARGEST:
        return np.stack(np.unravel_index(np.arange(total), sizes), axis=1)
    random = generator(seed, "grid thinning")
    points: dict[tuple[int, ...], None] = {}
    while len(points) < LARGEST:
        points.setdefault(tuple(int(random.integers(size)) for size in sizes))
    return np.array(list(points))


def _farthest_first(places: np.ndarray, first: int) -> list[int]:
    """Return all row numbers, each next one the farthest from those before it (Gonzalez 1985).

    Args:
        places: Coordinates, [points, hyperparameters].
        first: The row to begin with.
    """
    order = [first]
    nearest = np.abs(places - places[first]).sum(axis=1)
    while len(order) < len(places):
        nearest[order[-1]] = -1.0
        following = int(np.argmax(nearest))
        order.append(following)
        nearest = np.minimum(nearest, np.abs(places - places[following]).sum(axis=1))
    return order
