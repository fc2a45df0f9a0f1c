"""PB2: a bandit chooses the adopted values.

Parker-Holder et al. 2020, "Provably efficient online hyperparameter optimization with population-based bandits".
A Gaussian process predicts how much the score rises over an interval, from the time, the score at its start, and the
values. What was seen long ago counts less, as what helps changes during training. Choices under way make the process
surer where they are, so that members that decide together spread out (Desautels et al. 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.categories import Kinds, agreement
from nmt_pbt.search.population.explore import Observation, Perturb
from nmt_pbt.search.population.gaussian_process import Process, fitted
from nmt_pbt.space.domains import Choice, Domain
from nmt_pbt.space.space import Space

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
    values = _valued(acquisition, points)
    width = 0.2
    for _ in range(ROUNDS):
        best = np.argsort(values, kind="stable")[:SURVIVORS]
        points, values = points[best], values[best]
        steps = random.normal(0, width, (4, *points.shape))
        # Half of the steps move along one axis only, so that a bound can be followed.
        steps[2:] *= np.eye(dimensions)[random.integers(dimensions, size=(2, len(points)))]
        moved = np.clip(points + steps, 0.0, 1.0).reshape(-1, dimensions)
        points, values = np.concatenate([points, moved]), np.concatenate([values, _valued(acquisition, moved)])
        width *= 0.65
    yield from points[np.argsort(values, kind="stable")]


def _valued(acquisition: Acquisition, points: np.ndarray) -> np.ndarray:
    """Return the function of each point; of those that are equal, as many are at a bound, it is asked once."""
    keys = points.view(f"V{points.itemsize * points.shape[1]}").ravel().tolist()
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    number_of = [numbers[key] for key in keys]
    different = np.empty((len(numbers), points.shape[1]))
    different[number_of] = points
    return acquisition(different)[number_of]


FEWEST = 3
"""Observed intervals before the process is asked; until then values are perturbed."""
MOST = 200
"""Latest observed intervals that the process is fitted to."""


@dataclass(frozen=True)
class _Interval:
    """What an interval began with, and what came of it.

    Attributes:
        age: Epochs the weights were trained on before.
        score: The score they had.
        units: Each scaled value's place between 0 and 1.
        rise: The rise of the score per epoch; None while it is under way.
        kinds: Values of unordered choices.
    """

    age: float
    score: float
    units: Mapping[str, float]
    rise: float | None = None
    kinds: Mapping[str, Value] = field(default_factory=dict)


class PB2:
    """Chooses the values of largest upper confidence bound on the rise of the score.

    Unordered choices have no place on a scale: they are kept, or drawn afresh with `resample_probability`.

    Args:
        resample_probability: Chance that an unordered choice is drawn afresh.
        perturb: Moves the values until enough is known.
    """

    def __init__(self, resample_probability: float = 0.25, perturb: Perturb | None = None) -> None:
        if not 0 <= resample_probability <= 1:
            raise UsageError(f"explore resample_probability {resample_probability:g}; it has to be in [0, 1]")
        self.resample_probability = resample_probability
        self.perturb = perturb or Perturb(resample_probability=resample_probability)
        self._seen: list[_Interval] = []
        self._under_way: list[_Interval] = []
        self._fitted: tuple[list[str], Process] | None = None

    def propose(
        self, space: Space, values: Mapping[str, Value], start: Observation, random: np.random.Generator
    ) -> dict[str, Value]:
        """Return new values; see `Explorer`."""
        scaled = [domain for domain in space.mutable(values) if is_scaled(domain)]
        if len(self._seen) < FEWEST or not scaled:
            moved = self.perturb.propose(space, values, start, random)
        else:
            moved = self._scaled_values(scaled, values, start, random)
            for domain in space.mutable(values):
                if not is_scaled(domain) and random.random() < self.resample_probability:
                    moved[domain.name] = domain.sample(random)
        self._begin(space, moved, start)
        return moved

    def _scaled_values(
        self,
        scaled: Sequence[Domain],
        values: Mapping[str, Value],
        start: Observation,
        random: np.random.Generator,
        kinds: Kinds | None = None,
    ) -> dict[str, Value]:
        """Return values in which those on a scale are the best by the process; given these categories, if any."""
        with thread_pools().limit(limits=1):
            units = self._best(scaled, start, random, kinds)
        chosen = {domain.name: domain.from_unit(float(unit)) for domain, unit in zip(scaled, units, strict=True)}
        return {**values, **chosen}

    def _begin(self, space: Space, values: Mapping[str, Value], start: Observation) -> None:
        """Take note of an interval that is about to begin."""
        self._under_way.append(_Interval(start.age, start.score, _units(space, values), kinds=kinds_of(space, values)))

    def observe(
        self,
        space: Space,
        values: Mapping[str, Value],
        start: Observation | None,
        end: Observation | None,
        epochs: float,
    ) -> None:
        """Learn what an interval brought; see `Explorer`."""
        if start is None:
            return
        units, kinds = _units(space, values), kinds_of(space, values)
        for begun in self._under_way:
            # A choice that was moved may have switched on values of which nothing was known then.
            if (begun.age, begun.score) == start and begun.units.items() <= units.items():
                self._under_way.remove(begun)
                break
        if end is not None:
            rise = (end.score - start.score) / epochs
            self._seen = [*self._seen, _Interval(start.age, start.score, units, rise, kinds)][-MOST:]
            self._fitted = None

    def _best(
        self, domains: Sequence[Domain], start: Observation, random: np.random.Generator, kinds: Kinds | None
    ) -> np.ndarray:
        names = [domain.name for domain in domains]
        known = [interval.kinds for interval in (*self._seen, *self._under_way)]
        everywhere = agreement(known, known, list(kinds)) if kinds else None
        here_alike = agreement([kinds], known, list(kinds))[0] if kinds else None
        points = _matrix(self._seen, names)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        width = np.maximum(high - low, 1e-9)

        def scaled(rows: np.ndarray) -> np.ndarray:
            return np.concatenate([(rows[:, :2] - low) / width, rows[:, 2:]], axis=1)

        process = self._process(names, scaled(points), everywhere)
        if self._under_way:
            process = process.also_observed(scaled(_matrix(self._under_way, names)), everywhere)
        # The paper's schedule of the bound's width, with the constants of its published code.
        width_of_bound = math.sqrt(0.2 + max(0.0, math.log(0.4 * len(points))))
        here = scaled(np.array([[start.age, start.score, *([0.5] * len(names))]]))[0, :2]

        def negative_bound(units: np.ndarray) -> np.ndarray:
            mean, deviation = process.predict(here, units, here_alike)
            return np.asarray(-(mean + width_of_bound * deviation))

        return next(minimise(negative_bound, len(names), random, points[:, 2:]))

    def _process(self, names: list[str], points: np.ndarray, alike: np.ndarray | None) -> Process:
        """Return the process fitted to what was seen; members that decide together see the same."""
        if self._fitted is None or self._fitted[0] != names:
            rises = np.array([interval.rise for interval in self._seen])
            rises = np.clip((rises - rises.mean()) / max(float(rises.std()), 1e-9), -2.0, 2.0)
            among_seen = alike[: len(points), : len(points)] if alike is not None else None
            self._fitted = names, fitted(points, rises, among_seen)
        return self._fitted[1]

    def get_state(self) -> dict[str, Any]:
        """Return what was seen and what is under way, as JSON."""
        return {
            "seen": [vars(interval) for interval in self._seen],
            "under_way": [vars(interval) for interval in self._under_way],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self._seen = [_Interval(**plain) for plain in state["seen"]]
        self._under_way = [_Interval(**plain) for plain in state["under_way"]]
        self._fitted = None


def is_scaled(domain: Domain) -> bool:
    """Return whether a domain's values have an order."""
    return not isinstance(domain, Choice) or bool(domain.ordered)


def kinds_of(space: Space, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of unordered choices that may change, by name."""
    return {
        domain.name: values[domain.name]
        for domain in space.mutable(values)
        if not is_scaled(domain) and domain.name in values
    }


def _units(space: Space, values: Mapping[str, Value]) -> dict[str, float]:
    return {
        domain.name: domain.to_unit(values[domain.name])
        for domain in space.mutable(values)
        if is_scaled(domain) and domain.name in values
    }


def _matrix(intervals: Sequence[_Interval], names: Sequence[str]) -> np.ndarray:
    """Return [intervals, 2 + names]: age, score, and each value's place between 0 and 1 (0.5 where it had none)."""
    return np.array(
        [[interval.age, interval.score, *(interval.units.get(name, 0.5) for name in names)] for interval in intervals]
    )
