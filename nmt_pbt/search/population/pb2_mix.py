"""PB2-Mix: PB2 that also chooses unordered categories (Parker-Holder et al. 2021, arXiv 2106.15883)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmt_pbt.base.types import Value
from nmt_pbt.search.population.categories import choose, rounds_of
from nmt_pbt.search.population.explore import Observation
from nmt_pbt.search.population.pb2 import FEWEST, PB2, is_scaled, kinds_of
from nmt_pbt.space.domains import Choice
from nmt_pbt.space.space import Space


class PB2Mix(PB2):
    """Chooses categories by a bandit (TV.EXP3.M), then all other values by PB2's process, given these categories.

    The process knows of each interval which categories were in force, by a kernel that mixes their agreement with the
    distance of the other values. Without unordered choices in the space it is PB2.
    """

    def propose(
        self, space: Space, values: Mapping[str, Value], start: Observation, random: np.random.Generator
    ) -> dict[str, Value]:
        """Return new values; see `Explorer`."""
        kinds = kinds_of(space, values)
        if len(self._seen) < FEWEST or not kinds:
            return super().propose(space, values, start, random)
        for domain in space.mutable(values):
            if isinstance(domain, Choice) and domain.name in kinds:
                kinds[domain.name] = self._category(domain, start, random)
        # Of the values that one category switches on, those of another one are none: `complete` draws what is missing.
        moved: dict[str, Value] = {**values, **kinds}
        scaled = [domain for domain in space.mutable(moved) if is_scaled(domain) and domain.name in moved]
        if scaled:
            moved = self._scaled_values(scaled, moved, start, random, kinds)
        self._begin(space, moved, start)
        return moved

    def _category(self, domain: Choice, start: Observation, random: np.random.Generator) -> Value:
        """Return the bandit's choice for one hyperparameter."""
        seen = [interval for interval in self._seen if domain.name in interval.kinds]
        rounds = rounds_of(
            [interval.age for interval in seen],
            [interval.kinds[domain.name] for interval in seen],
            [interval.rise for interval in seen if interval.rise is not None],
            domain.values,
        )
        together = [
            begun.kinds[domain.name]
            for begun in self._under_way
            if begun.age == start.age and domain.name in begun.kinds
        ]
        return choose(domain.values, rounds, together, random)
