"""Iterated Population Based Training: restarts that make the interval longer (Chebykin et al. 2025, arXiv 2511.09190).

How many epochs lie between two decisions matters to every kind of PBT, and nobody knows it beforehand. So a search
begins with a short interval, which is good for the beginning of training. When scores no longer rise, the whole
population *restarts*: it goes on from its best weights, with fresh hyperparameters, and decides half as often. What
lies between two restarts is an *iteration*.

After the abstract, public summaries of the paper, and facts read from its authors' code: what triggers a restart, what
hyperparameters restart from, and the numbers. What differs from it here:

- Weights are kept whole. There, they are shrunk and perturbed, and half of the members get fresh ones.
- A population has as many members after a restart as before, for all train equally long. There, twice as many train
  for the first interval, and the better half stays.
- The process behind hyperparameters is that of PB2-Mix. There, it has a trust region (as in BG-PBT, Wan et al. 2022).
- A restart may come shortly before the end: nothing is decided by how long the training will be, as it may go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.exploit import Adoption, Standings, Truncation
from nmt_pbt.search.population.explore import Observation
from nmt_pbt.search.population.improvement import smoothed
from nmt_pbt.search.population.pb2_mix import PB2Mix
from nmt_pbt.space.space import Space


@dataclass(frozen=True)
class Restart:
    """When a population restarts, and with what.

    Attributes:
        patience: Decisions in a row without a rise of the smoothed best score, after which it does.
        slow_decisions: It does as well when the best score of an iteration's last so many decisions, but for the first
            of them, is above the best one before by less than the standard deviation of all.
        growth: From then on there are so many times as many intervals between two decisions.
        random_share: Share of the members whose hyperparameters are drawn from the space. Those of the others are
            chosen by what earlier iterations reached from the values that they began with.
    """

    patience: int = 3
    slow_decisions: int = 15
    growth: int = 2
    random_share: float = 0.5

    def __post_init__(self) -> None:
        if self.patience < 1 or self.slow_decisions < 2 or self.growth < 1 or not 0 <= self.random_share <= 1:
            raise UsageError(
                f"{self}: patience and growth have to be 1 or more, slow_decisions 2 or more, and random_share in "
                "[0, 1]; correct that"
            )


@dataclass(frozen=True)
class _Begun:
    """What a member began an iteration with, and what came of it.

    Attributes:
        iteration: The iteration.
        values: The values that the member began with.
        reached: Best score of those that descend from it, by the mean and deviation of its iteration.
    """

    iteration: int
    values: Mapping[str, Value]
    reached: float


class IPBT:
    """Truncation at a growing interval, with restarts of the whole population; needs generations.

    Args:
        space: The search space.
        size: Members of the population.
        seed: Seed of the values that are drawn from the space.
        fraction: Share of the population that is at the bottom, and at the top.
        restart: When the population restarts, and with what.
    """

    looks_back = False
    evidence: str | None = None

    def __init__(self, space: Space, size: int, seed: int, fraction: float, restart: Restart) -> None:
        self.space = space
        self.size = size
        self.seed = seed
        self.fraction = fraction
        self.restart = restart
        self._truncation = Truncation(fraction)
        self._generation = -1
        self.iteration = 0
        self._ended = 0  # intervals of this iteration
        self._curve: list[float] = []  # the best score at each decision of this iteration
        self._stagnant = 0  # decisions in a row without a rise
        self._origins: dict[int, int] = {}  # by member, which one its state descends from
        self._values: dict[int, Mapping[str, Value]] = {}  # by origin, the values that it began with
        self._reached: dict[int, float] = {}  # by origin, the best score
        self._past: list[_Begun] = []
        self._due = False
        self._chooser: PB2Mix | None = None  # while all members restart

    @property
    def intervals(self) -> int:
        """Intervals between two decisions."""
        return int(self.restart.growth**self.iteration)

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return what to adopt, or None; see `Exploit`."""
        if standings.generation != self._generation:
            self._generation = standings.generation
            self._look(standings)
        if self._chooser is not None:
            return self._restarted(member, standings, random, self._chooser)
        adoption = self._truncation.choose(member, standings, random) if self._due else None
        if adoption is not None:
            self._origins[member] = self._origins[adoption.state.member]
        return adoption

    def _look(self, standings: Standings) -> None:
        """Take in what a generation brought, and find out whether it is time to decide, and to restart."""
        scores = {
            member: standings.state(member).score
            for member in standings.ranking.healthy()
            if standings.may_donate(member)
        }
        if not self._values:
            self._values = {member: dict(standings.state(member).values) for member in scores}
            self._origins = {member: member for member in scores}
        # A member that failed goes on from anywhere; it is told apart again after the next restart.
        self._origins = {
            member: self._origins.get(member, -1) if member in scores else -1 for member in range(self.size)
        }
        for member, score in scores.items():
            origin = self._origins[member]
            if origin >= 0:
                self._reached[origin] = max(score, self._reached.get(origin, score))
        self._ended += 1
        self._due = self._ended % self.intervals == 0
        self._chooser = None
        if self._due:
            self._curve.append(max(scores.values()))
            if self._stagnates():
                self._begin_iteration()

    def _stagnates(self) -> bool:
        curve, slow = self._curve, self.restart.slow_decisions
        if len(curve) < 2:
            return False
        if len(curve) >= slow and max(curve) - max(curve[: len(curve) - slow + 1]) < np.std(curve, ddof=1):
            return True
        smooth = smoothed(curve)
        self._stagnant = 0 if smooth[-1] > smooth[-2] else self._stagnant + 1
        return self._stagnant >= self.restart.patience

    def _begin_iteration(self) -> None:
        scores = list(self._reached.values())
        mean, deviation = float(np.mean(scores)), max(float(np.std(scores)), 1e-12)
        self._past += [
            _Begun(self.iteration, self._values[origin], (score - mean) / deviation)
            for origin, score in sorted(self._reached.items())
        ]
        self.iteration += 1
        self._ended = self._stagnant = 0
        self._curve, self._origins, self._values, self._reached = [], {}, {}, {}
        self._chooser = PB2Mix()
        for begun in self._past:
            start, end = Observation(begun.iteration, 0.0), Observation(begun.iteration + 1, begun.reached)
            self._chooser.observe(self.space, begun.values, start, end, 1.0)

    def _restarted(self, member: int, standings: Standings, random: np.random.Generator, chooser: PB2Mix) -> Adoption:
        """Return a member of the top with fresh values; those of the top keep their own weights."""
        top = [donor for donor in standings.ranking.top(self.fraction) if standings.may_donate(donor)] or [member]
        state = standings.state(member if member in top else top[int(random.integers(len(top)))])
        if member < round(self.restart.random_share * self.size):
            kept = self.space.structural | self.space.frozen
            values = {name: value for name, value in state.values.items() if name in kept}
        else:
            values = chooser.propose(self.space, state.values, Observation(self.iteration, 0.0), random)
        return Adoption(
            state, self.space.complete(values, self.seed, "iteration", self.iteration, member), explore=False
        )

    def get_state(self) -> dict[str, Any]:
        """Return what the iterations brought so far, as JSON."""
        return {
            "generation": self._generation,
            "iteration": self.iteration,
            "ended": self._ended,
            "curve": self._curve,
            "stagnant": self._stagnant,
            "origins": _pairs(self._origins),
            "values": _pairs(self._values),
            "reached": _pairs(self._reached),
            "past": [vars(begun) for begun in self._past],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self._generation = state["generation"]
        self.iteration = state["iteration"]
        self._ended = state["ended"]
        self._curve = list(state["curve"])
        self._stagnant = state["stagnant"]
        self._origins = dict(state["origins"])
        self._values = dict(state["values"])
        self._reached = dict(state["reached"])
        self._past = [_Begun(**plain) for plain in state["past"]]


def _pairs(by_member: Mapping[int, Any]) -> Sequence[list[Any]]:
    # JSON would make words of the members' numbers.
    return [[member, value] for member, value in by_member.items()]
