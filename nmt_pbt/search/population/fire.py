"""Faster Improvement Rate PBT, against greed (Dalibard & Jaderberg 2021, arXiv 2109.13800).

The population has three parts. *Children* are ordinary PBT, and greedy: they select by scores. *Parents* select by how
fast they would improve if they were trained as the best children are. That is what *evaluators* find out: each takes
over the weights of a parent and the values of the best child, and trains on with them. Where an evaluator turns out to
be on a better way than that child, the child takes over its weights.

So parents may keep, say, a large learning rate that looks worse than it is, and lend their weights to children when
the time has come to let it fall. As published there may be more levels of parents; here there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.population.exploit import Adoption, Standings, copy_of
from nmt_pbt.search.population.improvement import Curve, chance_of_being_better, faster_by, overlap

if TYPE_CHECKING:
    import numpy as np

LONGEST_EVALUATION = 10
"""Intervals of an evaluation, where nothing else is set."""
_FEWEST = 2
"""Scores that make a curve; also members that make a part."""


@dataclass
class _Evaluation:
    """What an evaluator is at: whose weights, whose values, and the scores since."""

    parent: int
    child: int
    curve: list[float] = field(default_factory=list)


class FIRE:
    """Decides for all three parts when the first member of a generation is asked about; needs generations.

    Args:
        size: Members of the whole population: children first, then parents, then evaluators.
        evaluators: Share of the population that evaluates; the rest is cut in two.
        fraction: Share of children, and of parents, that is at the bottom, and at the top.
        significance: Largest p-value with which an evaluator's weights are taken over.
        longest: Intervals after which an evaluator has to be better, significantly so, or is given another parent.
    """

    looks_back = False
    evidence: str | None = None

    def __init__(self, size: int, evaluators: float, fraction: float, significance: float, longest: int) -> None:
        check_evaluators(size, evaluators)
        count, children = _parts(size, evaluators)
        self.children = tuple(range(children))
        self.parents = tuple(range(children, size - count))
        self.evaluators = tuple(range(size - count, size))
        self.fraction = fraction
        self.significance = significance
        self.longest = longest
        self._generation = -1
        self._curves: dict[int, list[float]] = {child: [] for child in self.children}
        self._evaluations: dict[int, _Evaluation] = {}
        self._waited: dict[int, int] = dict.fromkeys(self.parents, 0)
        self._bottom: dict[int, list[int]] = {}
        self._takes: dict[int, tuple[int, int]] = {}

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return what to adopt, or None; see `Exploit`."""
        if standings.generation != self._generation:
            self._generation = standings.generation
            self._decide(standings)
        if member in self._bottom:
            donors = self._bottom[member]
            return copy_of(standings.state(donors[int(random.integers(len(donors)))]))
        if member in self._takes:
            weights, values = self._takes[member]
            return Adoption(standings.state(weights), standings.state(values).values, explore=False)
        return None

    def _decide(self, standings: Standings) -> None:
        """Choose for all members: `_bottom` adopt from one of these donors, `_takes` weights of one, values of one."""
        self._bottom, self._takes = {}, {}
        able = {member for member in standings.ranking.healthy() if standings.may_donate(member)}
        self._note_scores(standings, able)
        self._select([entry.member for entry in standings.ranking if entry.member in able], self.children)
        evaluated = {one.parent: one.curve for one in self._evaluations.values() if len(one.curve) >= _FEWEST}
        fitness = {parent: _fitness(parent, evaluated) for parent in evaluated if parent in able}
        if len(set(fitness.values())) > 1:  # otherwise nothing speaks for one parent against another
            self._select(sorted(fitness, key=lambda parent: fitness[parent]), self.parents)
        for child in self.children:
            if child in self._bottom:
                self._curves[child] = []  # it begins anew with the weights that it adopts
        for parent in self.parents:
            if parent in self._bottom:
                self._waited[parent] = -1
        self._conclude()
        self._begin(standings, able)

    def _note_scores(self, standings: Standings, able: set[int]) -> None:
        for child in self.children:
            self._curves[child] = [*self._curves[child], standings.state(child).score] if child in able else []
        for evaluator in list(self._evaluations):
            one = self._evaluations[evaluator]
            if evaluator in able and one.parent in able and one.child in able:
                one.curve.append(standings.state(evaluator).score)
            else:
                del self._evaluations[evaluator]
        for parent in self.parents:
            busy = any(one.parent == parent for one in self._evaluations.values())
            self._waited[parent] = 0 if busy else self._waited[parent] + 1 if parent in able else -1

    def _select(self, worst_first: list[int], part: tuple[int, ...]) -> None:
        """Let the bottom of a part adopt from its top; members without a fitness take no part."""
        ranked = [member for member in worst_first if member in part]
        count = min(max(1, int(self.fraction * len(part))), len(ranked) // 2)
        for member in ranked[:count]:
            self._bottom[member] = ranked[len(ranked) - count :]

    def _conclude(self) -> None:
        """End evaluations: those that succeeded, those that are not going to, and those whose members moved on."""
        for evaluator in list(self._evaluations):
            one = self._evaluations[evaluator]
            curve = self._curves[one.child]
            moved_on = one.child in self._bottom or one.parent in self._bottom or one.child in self._takes
            if moved_on:
                del self._evaluations[evaluator]
            elif len(one.curve) >= _FEWEST and len(curve) >= _FEWEST:
                if self._succeeded(one.curve, curve):
                    self._takes[one.child] = evaluator, evaluator
                    self._curves[one.child] = list(one.curve)
                    del self._evaluations[evaluator]
                elif self._hopeless(one.curve, curve):
                    del self._evaluations[evaluator]

    def _succeeded(self, curve: Curve, child: Curve) -> bool:
        return chance_of_being_better(curve, child) < self.significance and faster_by(curve, child) > 0

    def _hopeless(self, curve: Curve, child: Curve) -> bool:
        """Return whether an evaluator does not look better, by a measure that becomes stricter with its age."""
        if overlap(curve, child) is None:
            return len(curve) >= self.longest
        patience = max(0.0, 1 - len(curve) / self.longest)
        return chance_of_being_better(curve, child) > self.significance + patience

    def _begin(self, standings: Standings, able: set[int]) -> None:
        """Give evaluators that have nothing to do the parents that have waited longest."""
        best_first = [entry.member for entry in reversed(list(standings.ranking)) if entry.member in able]
        children = [member for member in best_first if member in self.children and member not in self._bottom]
        busy = {one.parent for one in self._evaluations.values()}
        waiting = [parent for parent in self.parents if parent in able - busy and parent not in self._bottom]
        waiting.sort(key=lambda parent: -self._waited[parent])
        for evaluator in self.evaluators:
            if evaluator in able and evaluator not in self._evaluations and waiting and children:
                parent = waiting.pop(0)
                self._evaluations[evaluator] = _Evaluation(parent, children[0])
                self._waited[parent] = 0
                self._takes[evaluator] = parent, children[0]

    def get_state(self) -> dict[str, Any]:
        """Return curves and evaluations, as JSON."""
        return {
            "generation": self._generation,
            "curves": [[child, curve] for child, curve in self._curves.items()],
            "evaluations": [[evaluator, vars(one)] for evaluator, one in self._evaluations.items()],
            "waited": list(self._waited.items()),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._generation = state["generation"]
        self._curves = {child: list(curve) for child, curve in state["curves"]}
        self._evaluations = {evaluator: _Evaluation(**one) for evaluator, one in state["evaluations"]}
        self._waited = dict(state["waited"])


def _fitness(parent: int, curves: Mapping[int, Curve]) -> float:
    """Return by how much a parent improves faster than the others that are evaluated, summed up."""
    return sum(faster_by(curves[parent], curve) for other, curve in curves.items() if other != parent)


def _parts(size: int, evaluators: float) -> tuple[int, int]:
    """Return the number of evaluators, and of children."""
    count = max(1, round(evaluators * size))
    return count, (size - count + 1) // 2


def check_evaluators(size: int, evaluators: float) -> None:
    """Refuse a population that cannot be cut into three parts.

    Args:
        size: Members of the whole population.
        evaluators: Share that evaluates.

    Raises:
        UsageError: Children or parents would be fewer than two.
    """
    count, children = _parts(size, evaluators)
    if min(children, size - count - children) < _FEWEST:
        raise UsageError(
            f"evaluators {evaluators:g}: a population of {size} has less than 2 children or parents beside "
            f"{count} evaluators; make the population larger"
        )
