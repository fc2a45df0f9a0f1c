"""How greedy a population is: diversity of its values, concentration of its donors, share of its foremost ancestor.

PBT gives up what is behind now. With few members, or many decisions, a population soon descends from one model it began
with, and its learning rate may fall because small rates pay at once (Dalibard & Jaderberg 2021, "Faster improvement
rate population based training", arXiv 2109.13800). Both can be seen while a search is under way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.space.domains import Choice, Constant, Domain
from nmt_pbt.space.space import Space

EARLY = 0.5
"""Share of the training before which a collapse is early: a population that has become one by the end has converged."""
DIVERSITY_LEFT = 1 / 3
"""Share of the first generation's diversity below which it has collapsed. A population all of whose values come from
one member, each moved by one default step, keeps about half: below a third, even exploring no longer spreads it."""
LOW_RATES = 0.2
"""Share of the learning rate's range, from below, within which all members have rates that have collapsed."""
RATE = "learning_rate"
SMALLEST = 4
"""Members a population has to have for alarms: of fewer, one adoption makes most of them kin."""
ANCESTOR, DIVERSITY, LEARNING_RATE = "one ancestor", "little diversity", "low learning rates"


@dataclass(frozen=True)
class Diagnosis:
    """How greedy a population has been, when all its members have been given a generation.

    Attributes:
        generation: Which, from 0.
        spread: Of each hyperparameter that is searched, how far the members' values lie apart: 1 for values spread
            evenly over the range, 0 for equal ones. See `spread`.
        diversity: The mean of these, as a share of the first generation's.
        exploits: Share of the members that adopted another one's state for this generation.
        donors: Effective number of states that were adopted (see `effective_number`); None where none was.
        founders: Effective number of first ancestors.
        largest: Share of the members that descend from the most frequent first ancestor.
        alarms: What collapsed early, and was not told before: `ANCESTOR`, `DIVERSITY`, `LEARNING_RATE`.
    """

    generation: int
    spread: Mapping[str, float]
    diversity: float
    exploits: float
    donors: float | None
    founders: float
    largest: float
    alarms: tuple[str, ...] = ()


class Diagnostics:
    """Watches one population through its assignments.

    Args:
        space: The search space.
        size: Members of the population.
        epochs: Epochs that each trains in all.
    """

    def __init__(self, space: Space, size: int, epochs: float) -> None:
        self._space = space
        self._size = size
        self._epochs = epochs
        self._founder: dict[str, str] = {}
        self._given: dict[int, list[Assignment]] = {}
        self._first: float | None = None
        self._told: set[str] = set()

    def take(self, assignment: Assignment) -> Diagnosis | None:
        """Record an interval that a member was given.

        Args:
            assignment: The interval; those of each member come in order.

        Returns:
            The diagnosis of its generation, when this was the last member to be given it; else None.
        """
        parent = assignment.parent
        self._founder[assignment.trial] = assignment.trial if parent is None else self._founder[parent]
        generation = self._given.setdefault(assignment.generation, [])
        generation.append(assignment)
        return self._diagnose(self._given.pop(assignment.generation)) if len(generation) == self._size else None

    def _diagnose(self, members: Sequence[Assignment]) -> Diagnosis:
        domains = [domain for domain in self._space.domains if not isinstance(domain, Constant)]
        held = {domain.name: [member.values[domain.name] for member in members] for domain in domains}
        spreads = {domain.name: round(spread(domain, held[domain.name]), 6) for domain in domains}
        mean = math.fsum(spreads.values()) / len(spreads) if spreads else 0.0
        self._first = mean if self._first is None else self._first
        founders = Counter(self._founder[member.trial] for member in members)
        adopted = [member.parent for member in members if member.inherited]
        diversity = mean / self._first if self._first else 1.0
        largest = max(founders.values()) / len(members)
        rates = [domain.to_unit(value) for domain in domains if domain.name == RATE for value in held[RATE]]
        collapsed = {
            ANCESTOR: largest == 1.0,
            DIVERSITY: diversity < DIVERSITY_LEFT,
            LEARNING_RATE: bool(rates) and max(rates) <= LOW_RATES,
        }
        return Diagnosis(
            generation=members[0].generation,
            spread=spreads,
            diversity=round(diversity, 6),
            exploits=round(len(adopted) / len(members), 6),
            donors=round(effective_number(adopted), 6) if adopted else None,
            founders=round(effective_number(self._founder[member.trial] for member in members), 6),
            largest=round(largest, 6),
            alarms=self._alarms(collapsed, max(member.start for member in members), members[0].generation),
        )

    def _alarms(self, collapsed: Mapping[str, bool], age: float, generation: int) -> tuple[str, ...]:
        early = generation > 0 and age < EARLY * self._epochs and self._size >= SMALLEST
        found = tuple(name for name, is_so in collapsed.items() if is_so and early and name not in self._told)
        # What has collapsed late, or in the draws that the population began with, is no alarm for later, either.
        self._told.update(name for name, is_so in collapsed.items() if is_so)
        return found


def spread(domain: Domain, values: Sequence[Value]) -> float:
    """Return how far values lie apart on their domain's own scale.

    Args:
        domain: The domain.
        values: One a member.

    Returns:
        For numbers and ordered choices the standard deviation of their places in the range, as a multiple of that of
        values spread evenly over it; at most 1.74, when they lie half at either end. For unordered choices the chance
        that two draws from them differ, as a share of the greatest chance there can be.
    """
    if isinstance(domain, Choice) and not domain.ordered:
        return (1 - 1 / effective_number(values)) / (1 - 1 / domain.size) if domain.size > 1 else 0.0
    import numpy as np  # 0.1 s, which a refusal need not pay

    return float(np.std([domain.to_unit(value) for value in values])) * math.sqrt(12)


def effective_number(items: Iterable[Hashable]) -> float:
    """Return of how many kinds, equally frequent, a draw would be as often two alike: the inverse Simpson index.

    Args:
        items: At least one.

    Returns:
        1 where all are alike, their number where all differ.
    """
    counts = Counter(items)
    total = sum(counts.values())
    return total**2 / sum(count**2 for count in counts.values())
