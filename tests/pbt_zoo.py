"""The toys of PBT-Zoo (Chebykin et al., TMLR 2025): one where the greedy choice is right, one where it never is.

A point descends from 0.9 towards 0, and is scored 1.2 minus its square. How fast it goes depends on one hyperparameter,
h: the smaller, the faster. In the plain toy nothing else counts. In the deceptive one, to leave the line on which h
should fall, from 1 to 0 over the whole training, makes everything slower that comes after, by as much as it was left,
for ever: a smaller h looks better after every interval, and costs more than it brought.

They are trained by the population itself, without driver or tuner, so that 20 searches take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.explore import Explorer
from nmt_pbt.search.population.member import Turn
from nmt_pbt.search.population.population import Population
from nmt_pbt.space.domains import Real
from nmt_pbt.space.space import Space

MEMBERS = 22
DECISIONS = 50
STEPS = 20
"""Steps of an interval, of a length of 0.001 each."""
SPACE = Space((Real("h", 1e-4, 1.1),))
START = 0.9


@dataclass(frozen=True)
class Point:
    """Where a model stands: the place, how far h has been off the line so far, and for how many intervals."""

    place: float = START
    debt: float = 0.0
    age: int = 0

    @property
    def score(self) -> float:
        """What is to be maximised."""
        return 1.2 - self.place**2

    def trained(self, h: float, deceptive: bool) -> Point:
        """Return where an interval of training leads."""
        debt = self.debt + abs(h - line(self.age))
        speed = max(2 - h - 0.2 * debt, 0.0) if deceptive else 2 - h
        return Point(self.place * (1 - 2 * 0.001 * speed) ** STEPS, debt, self.age + 1)


def line(age: int) -> float:
    """Return what h should be in an interval of the deceptive toy."""
    return 1 - age / DECISIONS


def by_schedule(values: Sequence[float], deceptive: bool) -> float:
    """Return the last score of one model whose h is known for each interval."""
    point = Point()
    for h in values:
        point = point.trained(h, deceptive)
    return point.score


@dataclass(frozen=True)
class Found:
    """What came of a search: the best score of any interval, and h in each interval of the lineage that reached it."""

    score: float
    schedule: tuple[float, ...]


def search(deceptive: bool, seed: int, exploit: Exploit | None, explore: Explorer | None, noise: float = 0.0) -> Found:
    """Search h by a population that starts as PBT-Zoo's does: evenly between 0.9 and 1.1.

    Args:
        deceptive: Which toy.
        seed: Seed of the search.
        exploit: Who adopts whom; None: nobody.
        explore: How adopted values move.
        noise: Standard deviation of what the members' scores are off by when they decide.
    """
    random = np.random.default_rng([seed, 1])
    starts = np.random.default_rng(seed).uniform(0.9, 1.1, MEMBERS)
    people = Population(
        SPACE,
        size=MEMBERS,
        interval=1.0,
        epochs=float(DECISIONS),
        seed=seed,
        exploit=exploit,
        explore=explore,
        synchronous=True,
        initial=[{"h": float(h)} for h in starts],
    )
    points: dict[str | None, Point] = {None: Point()}
    schedules: dict[str | None, tuple[float, ...]] = {None: ()}
    while isinstance(turn := people.next_turn(str(len(points))), Turn):
        h = float(turn.values["h"])
        points[turn.trial] = points[turn.parent].trained(h, deceptive)
        schedules[turn.trial] = (*schedules[turn.parent], h)
        people.record(turn.trial, [points[turn.trial].score + noise * float(random.normal())])
    best = max(points, key=lambda trial: points[trial].score)
    return Found(points[best].score, schedules[best])
