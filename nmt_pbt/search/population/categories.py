"""TV.EXP3.M: a bandit that chooses categories when what helps changes during training.

Parker-Holder et al. 2021, "Tuning mixed input hyperparameters on the fly for efficient population based AutoRL"
(PB2-Mix), algorithm 2. Each category has a weight that grows with what it brought; a share of all weights is given
back to each in every round, so that a category that was of no use early is found again when its time has come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmt_pbt.base.types import Value

EXPLORATION_OF_MANY = 0.2
"""Share of even draws where a round has at least as many members as there are categories: that of the authors' code."""
_GIVEN_BACK = 0.1
"""Times e / rounds: the share of all weights that each round gives back evenly. The paper has 1, its authors' code
this, without which a search of some ten rounds forgets as fast as it learns."""


@dataclass(frozen=True)
class Round:
    """What came of categories that members had at the same time.

    Attributes:
        chosen: The category of each member.
        rewards: What it brought, from 0 to 1.
    """

    chosen: Sequence[Value]
    rewards: Sequence[float]


def probabilities(categories: Sequence[Value], rounds: Sequence[Round]) -> np.ndarray:
    """Return with which chance each category is to be chosen next.

    The algorithm asks for the number of rounds beforehand; here it is that of the rounds so far and the next, as if
    training ended then.

    Args:
        categories: All there are.
        rounds: What was seen, in order.

    Returns:
        `(categories,)`; they sum up to 1.
    """
    count, horizon = len(categories), len(rounds) + 1
    places = {value: place for place, value in enumerate(categories)}
    weights = np.ones(count)
    for seen in rounds:
        members = len(seen.chosen)
        share = _exploration(count, members, horizon)
        capped, at_cap = _capped(weights, share, members)
        # How likely each category was to be among those of the round.
        chances = np.minimum(members * _mixed(capped, share), 1.0)
        gains = np.zeros(count)
        for value, reward in zip(seen.chosen, seen.rewards, strict=True):
            gains[places[value]] += reward
        # Members that share a category are as many plays of it: their mean stands for the one that there would be.
        plays = np.array([max(1, list(seen.chosen).count(value)) for value in categories])
        estimates = gains / plays / chances
        growth = np.where(at_cap, 1.0, np.exp(members * share * estimates / count))
        weights = weights * growth + _GIVEN_BACK * math.e / horizon * weights.sum() / count
        weights /= weights.sum()
    members = len(rounds[-1].chosen) if rounds else 1
    share = _exploration(count, members, horizon)
    return _mixed(_capped(weights, share, members)[0], share)


def choose(
    categories: Sequence[Value], rounds: Sequence[Round], under_way: Sequence[Value], random: np.random.Generator
) -> Value:
    """Return the category of one more member.

    Members that decide together choose different categories while there are enough of them, as the algorithm's
    dependent rounding makes them.

    Args:
        categories: All there are.
        rounds: What was seen, in order.
        under_way: What others chose at the same moment.
        random: Generator.
    """
    chances = probabilities(categories, rounds)
    left = np.array([value not in under_way for value in categories])
    if left.any() and rounds and len(rounds[-1].chosen) < len(categories):
        chances = np.where(left, chances, 0.0)
    return categories[int(random.choice(len(categories), p=chances / chances.sum()))]


def _exploration(count: int, members: int, horizon: int) -> float:
    """Return the share of even draws, gamma."""
    if members >= count:
        return EXPLORATION_OF_MANY
    return min(1.0, math.sqrt(count * math.log(count / members) / ((math.e - 1) * members * horizon)))


def _mixed(weights: np.ndarray, share: float) -> np.ndarray:
    return np.asarray((1 - share) * weights / weights.sum() + share / len(weights))


def _capped(weights: np.ndarray, share: float, members: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights so capped that no category has to be chosen more than once, and which ones the cap holds.

    The cap a is that of Uchiya et al. 2010: a / sum(min(w, a)) = (1 / members - share / count) / (1 - share).
    """
    count = len(weights)
    free = np.zeros(count, dtype=bool)
    if members >= count or share >= 1:
        return weights, free
    target = (1 / members - share / count) / (1 - share)
    if weights.max() < target * weights.sum():
        return weights, free
    falling = np.sort(weights)[::-1]
    for held in range(1, count):
        rest = float(falling[held:].sum())
        cap = target * rest / (1 - held * target) if held * target < 1 else math.inf
        if falling[held] < cap <= falling[held - 1]:
            return np.minimum(weights, cap), weights >= cap
    return np.full(count, falling[-1]), ~free


def rounds_of(
    ages: Sequence[float], chosen: Sequence[Value], rises: Sequence[float], categories: Sequence[Value]
) -> list[Round]:
    """Return intervals as rounds: those that began at the same age, earliest first; rewards are scaled to 0 to 1.

    Args:
        ages: When each interval began.
        chosen: The category in force; one that there is no longer is passed over.
        rises: What it brought.
        categories: All there are.
    """
    if not rises:
        return []
    low, high = min(rises), max(rises)
    together: dict[float, tuple[list[Value], list[float]]] = {}
    for age, value, rise in sorted(zip(ages, chosen, rises, strict=True), key=lambda interval: interval[0]):
        if value in categories:
            values, rewards = together.setdefault(round(age, 6), ([], []))
            values.append(value)
            rewards.append((rise - low) / (high - low) if high > low else 0.5)
    return [Round(values, rewards) for values, rewards in together.values()]


Kinds = Mapping[str, Value]
"""The category of each unordered hyperparameter."""


def agreement(intervals: Sequence[Kinds], others: Sequence[Kinds], names: Sequence[str]) -> np.ndarray:
    """Return the share of categories in which each of some points agrees with each of others, `(points, others)`."""
    matches = np.zeros((len(intervals), len(others)))
    for name in names:
        left, right = ([kinds.get(name) for kinds in lot] for lot in (intervals, others))
        numbers = {value: number for number, value in enumerate(dict.fromkeys([*left, *right]))}
        rows, columns = (np.array([numbers[value] for value in lot]) for lot in (left, right))
        matches += rows[:, None] == columns[None, :]
    return matches / len(names)
