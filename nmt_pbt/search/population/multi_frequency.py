"""Sub-populations that decide at different frequencies, against greed (Doulazmi et al. 2025, arXiv 2506.03225).

What helps over one interval may harm over ten: a population that selects often drifts to values that pay at once, for
instance to small learning rates. Sub-populations that select seldom keep what pays in the long run, and the others
take it over from them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.population.exploit import Adoption, PresentScores, Standings, copy_of
from nmt_pbt.search.population.ranking import FAILED, Entry

if TYPE_CHECKING:
    import numpy as np

SMALLEST = 4
"""Members of a sub-population, at least: it is cut into quarters."""


@dataclass(frozen=True)
class MultiFrequency(PresentScores):
    """Each sub-population selects within itself, and takes in migrants, each at its own frequency.

    Of a sub-population that decides, the bottom quarter adopts from the top quarter. The third quarter takes over the
    weights of better members of other sub-populations; with their values, if those decide less often; with the values
    of its own best, if they decide more often, lest greed spread. Migrants' values are not moved.

    Attributes:
        size: Members of the whole population; the first ones are the first sub-population.
        frequencies: For each sub-population, after how many intervals it decides; rising.
        structural: Names that belong to the weights, whoever's the other values are.
    """

    size: int
    frequencies: tuple[int, ...]
    structural: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_frequencies(self.size, self.frequencies)

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return what to adopt, or None; see `Exploit`."""
        mine = self.group(member)
        if (standings.generation + 1) % self.frequencies[mine]:
            return None
        inside = [entry for entry in standings.ranking if self.group(entry.member) == mine]
        quarter = len(inside) // 4
        place = next((number for number, entry in enumerate(inside) if entry.member == member), len(inside))
        if place < quarter:
            donors = [entry.member for entry in inside[len(inside) - quarter :] if _may_donate(entry, standings)]
            return copy_of(standings.state(donors[int(random.integers(len(donors)))])) if donors else None
        if place < 2 * quarter:
            # From the best of the third quarter down, each takes the best migrant there is left.
            bracket = inside[quarter : 2 * quarter][::-1]
            return self._migration(member, bracket, inside, standings)
        return None

    def group(self, member: int) -> int:
        """Return the sub-population that a member belongs to."""
        return member * len(self.frequencies) // self.size

    def _migration(
        self, member: int, bracket: Sequence[Entry], inside: Sequence[Entry], standings: Standings
    ) -> Adoption | None:
        mine = self.group(member)
        others = [entry for entry in standings.ranking if self.group(entry.member) != mine]
        outside = [entry for entry in reversed(others) if _may_donate(entry, standings)]
        taken = 0
        for entry in bracket:
            comes = taken < len(outside) and outside[taken] > entry
            if entry.member == member:
                return self._values(outside[taken].member, member, inside, standings) if comes else None
            taken += comes
        return None

    def _values(self, migrant: int, member: int, inside: Sequence[Entry], standings: Standings) -> Adoption:
        state = standings.state(migrant)
        mine, theirs = (self.frequencies[self.group(who)] for who in (member, migrant))
        values = dict(state.values)
        if theirs < mine:
            best = next((entry.member for entry in reversed(inside) if _may_donate(entry, standings)), member)
            held = standings.state(best).values
            values.update({name: held[name] for name in values if name in held and name not in self.structural})
        return Adoption(state, values, explore=False)


def _may_donate(entry: Entry, standings: Standings) -> bool:
    return entry.score > FAILED and standings.may_donate(entry.member)


def check_frequencies(size: int, frequencies: Sequence[int]) -> None:
    """Refuse sub-populations that cannot be made.

    Args:
        size: Members of the whole population.
        frequencies: For each sub-population, after how many intervals it decides.

    Raises:
        UsageError: They do not rise from 1 or more, or do not divide the population into parts that are large enough.
    """
    rising = all(before < after for before, after in itertools.pairwise((0, *frequencies)))
    if len(frequencies) < 2 or not rising:
        raise UsageError(
            f"frequencies {list(frequencies)}; give at least two, rising, in intervals, for instance [1, 4]"
        )
    if size % len(frequencies) or size // len(frequencies) < SMALLEST:
        raise UsageError(
            f"frequencies {list(frequencies)}: a population of {size} has no {len(frequencies)} equal parts of at "
            f"least {SMALLEST} members; change the population"
        )
