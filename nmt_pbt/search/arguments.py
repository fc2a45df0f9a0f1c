"""What a population is made with: refused when it makes no sense, before anything heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nmt_pbt.counting import counted
from nmt_pbt.errors import UsageError
from nmt_pbt.search.space import Space
from nmt_pbt.values import Value


def generations(interval: float, epochs: float) -> int:
    """Return how many intervals a member trains; the last one is shorter if the interval does not divide the epochs."""
    return math.ceil(epochs / interval - 1e-9)


def last_decision(interval: float, epochs: float) -> float:
    """Return the epochs after which members decide for the last time: when their last interval begins."""
    return (generations(interval, epochs) - 1) * interval


def check_population(size: int, interval: float, epochs: float, burn_in: float) -> None:
    """Refuse a population that could not be trained, or in which nobody could ever adopt.

    Args:
        size: Number of members.
        interval: Epochs between two decisions of a member.
        epochs: Epochs each slot trains in all.
        burn_in: Epochs of age before a member may adopt or be adopted from.

    Raises:
        UsageError: Says which argument, and what it has to be.
    """
    if size < 2:
        raise UsageError(f"population {size}; a population needs at least 2 members")
    if not (math.isfinite(interval) and 0 < interval <= epochs):
        raise UsageError(
            f"interval {interval:g}; it has to be above 0 and at most the {counted(epochs, 'epoch')} of a member"
        )
    if not burn_in >= 0:
        raise UsageError(f"burn_in {burn_in:g}; it has to be 0 or more epochs")
    last = last_decision(interval, epochs)
    if burn_in > last + 1e-9:
        raise UsageError(
            f"burn_in {burn_in:g}: the last decision comes after {last:g} of {counted(epochs, 'epoch')}, so that "
            "nobody could ever adopt; make it smaller or train longer"
        )


def initial_values(
    space: Space, size: int, initial: Sequence[Mapping[str, Value]], seed: int
) -> list[dict[str, Value]]:
    """Return whole values for the first members.

    Args:
        space: The search space.
        size: Number of members.
        initial: Values by name, for each of the first members; what is left out is drawn from the space.
        seed: Seed of these draws.

    Raises:
        UsageError: They are for more members than there are, or a value is not of the space.
    """
    if len(initial) > size:
        raise UsageError(f"initial values for {len(initial)} members, but the population has {size}; remove some")
    whole = []
    for member, given in enumerate(initial):
        values = space.complete(given, seed, "initial", member)
        space.check({**values, **given}, f"initial values of member {member}")
        whole.append(values)
    return whole
