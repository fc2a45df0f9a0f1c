"""What the members of a population start with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.space.space import Space


def initial_values(
    space: Space, size: int, initial: Sequence[Mapping[str, Value]], seed: int, sobol: bool = False
) -> list[dict[str, Value]]:
    """Return whole values for the members whose first values are known beforehand.

    Args:
        space: The search space.
        size: Number of members.
        initial: Values by name, for each of the first members; what is left out is drawn from the space.
        seed: Seed of these draws.
        sobol: Values that are left out are spread evenly, of all members. Otherwise each is drawn by itself, as random
            search draws its own, and the members after the first ones draw theirs when their turn comes.

    Returns:
        Values of the first members; with `sobol`, of all of them.

    Raises:
        UsageError: They are for more members than there are, or a value is not of the space.
    """
    if len(initial) > size:
        raise UsageError(f"initial values for {len(initial)} members, but the population has {size}; remove some")
    spread = sobol_values(space, size, seed) if sobol else [{} for _ in initial]
    whole = []
    for member, drawn in enumerate(spread):
        given = initial[member] if member < len(initial) else {}
        values = space.complete({**drawn, **given}, seed, "initial", member)
        space.check({**values, **given}, f"initial values of member {member}")
        whole.append(values)
    return whole


def sobol_values(space: Space, count: int, seed: int) -> list[dict[str, Value]]:
    """Return values that cover the space evenly: points of a scrambled Sobol sequence (Owen 1998).

    Drawn one by one, eight values of a range leave on average a third of its eighths empty and lie twice and more in
    others. Of the first eight points of the sequence one lies in each eighth of each range.

    Args:
        space: The search space; each name has a dimension of its own.
        count: How many.
        seed: Seed of the scrambling.
    """
    from scipy.stats import qmc  # takes a second to import

    sequence = qmc.Sobol(len(space.names), scramble=True, seed=derive_seed(seed, "sobol"))
    # The sequence is balanced over powers of two only; what is not needed of it is left out.
    points = sequence.random_base2(max(count - 1, 0).bit_length())[:count]
    places = {name: number for number, name in enumerate(space.names)}
    spread = []
    for point in points:
        values: dict[str, Value] = {}
        for domain in space.domains:
            # A domain under a condition counts if what was chosen before it fulfils that.
            if all(condition.holds(values) for condition in domain.conditions):
                values[domain.name] = domain.from_unit(float(point[places[domain.name]]))
        spread.append(values)
    return spread
