"""The population: whose turn it is, where each member starts, and what it starts with. Pure logic, no KerasTuner.

A *slot* (member) runs a fixed number of intervals, so that the budget is population x epochs whatever is decided. The
*state* in a slot is that of its latest trial or an adopted one, whose age it takes over.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from nmt_pbt.base.errors import AllFailedError, UsageError
from nmt_pbt.base.randomness import derive_seed, generator
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.exploit import Adoption, Exploit
from nmt_pbt.search.population.explore import Explorer, Observation
from nmt_pbt.search.population.member import (
    KEPT_EVALUATIONS,
    Member,
    Plan,
    Snapshot,
    Turn,
    check_population,
    generations,
    last_decision,
)
from nmt_pbt.search.population.ranking import FAILED, GenerationRankings, Ranking
from nmt_pbt.search.population.retention import Keeping
from nmt_pbt.search.population.starts import initial_values
from nmt_pbt.space.space import Space


class Pause(Enum):
    """Why there is no turn."""

    WAIT = "wait"
    """A result has to come in first"""
    FINISHED = "finished"
    """Every interval has been given out"""


class Population:
    """Members that train in turns, adopt from each other, and move on.

    Args:
        space: The search space.
        size: Number of members, at least 2.
        interval: Epochs between two decisions of a member.
        epochs: Epochs each slot trains in all; the last interval is shorter if the interval does not divide it.
        seed: Seed of every draw; each is keyed by purpose, member and generation.
        exploit: Who adopts whom; None for no exploit: every member keeps its weights.
        explore: How adopted values move; None for no explore.
        trigger: Without exploit, the strategy that says how many members' values move. In each generation these are as
            many as would adopt, drawn among all healthy members past burn-in.
        burn_in: Epochs of age before a member may adopt or be adopted from.
        synchronous: All members finish a generation before any decides. Otherwise a member decides when its turn comes,
            by the scores there are; with one worker, both come to the same.
        initial: Values for the first members; those of the others are drawn from the space.
        sobol_start: These draws cover the space evenly; otherwise each is drawn by itself.
    """

    def __init__(
        self,
        space: Space,
        size: int,
        interval: float,
        epochs: float,
        seed: int,
        exploit: Exploit | None = None,
        explore: Explorer | None = None,
        trigger: Exploit | None = None,
        burn_in: float = 0.0,
        synchronous: bool = False,
        initial: Sequence[Mapping[str, Value]] = (),
        sobol_start: bool = False,
    ) -> None:
        check_population(size, interval, epochs, burn_in)
        self.space = space
        self.size = size
        self.interval = interval
        self.epochs = epochs
        self.seed = seed
        self.exploit = exploit
        self.explore = explore
        self.strategy = exploit or trigger
        self.burn_in = burn_in
        self.synchronous = synchronous
        self.generations = generations(interval, epochs)
        self.exploits = 0
        self.rungs = GenerationRankings(size)
        self.best_ranking = Ranking(size)
        self.members = [Member(index) for index in range(size)]
        self._in_flight: dict[str, int] = {}
        for index, values in enumerate(initial_values(space, size, initial, seed, sobol_start)):
            self.members[index].plan = Plan(None, False, values)
        self._ready: list[tuple[int, float, int]] = []
        self._make_ready(self.members)
        self._keeping = Keeping(self.members, self.generations)

    # --- turns ---

    def next_turn(self, trial: str) -> Turn | Pause:
        """Give out the next interval: that of the member furthest behind.

        Args:
            trial: The id the interval is to have.

        Returns:
            The interval, or why there is none.
        """
        if not self._ready:
            more = any(member.given < self.generations for member in self.members)
            return Pause.WAIT if more else Pause.FINISHED
        _, _, index = heapq.heappop(self._ready)
        member = self.members[index]
        plan = member.plan or self._decide(member)
        self._take_up(member, plan)
        member.plan = None
        member.turn = Turn(
            trial=trial,
            member=index,
            generation=member.given,
            parent=plan.parent.trial if plan.parent is not None else None,
            inherited=plan.inherited,
            values=plan.values,
            epochs=self._length(member.given),
            age=plan.parent.age if plan.parent is not None else 0.0,
        )
        member.given += 1
        self._in_flight[trial] = index
        self._keeping.update(member)
        return member.turn

    def record(
        self, trial: str, evaluations: Sequence[float], values: Mapping[str, Value] | None = None, reason: str = ""
    ) -> None:
        """Record the end of a trial.

        Args:
            trial: Its id.
            evaluations: Its evaluations in order, higher being better; the last one is its score. None at all, or a
                last one that is not finite, is a failure.
            values: Values it ran with, when there turned out to be more than were given out.
            reason: Why it failed, for the error when all do.

        Raises:
            AllFailedError: The latest trial of every member failed.
        """
        member = self.members[self._in_flight.pop(trial)]
        turn, before = member.turn, member.state
        assert turn is not None
        member.turn = None
        member.done += 1
        member.failed = not evaluations or not math.isfinite(evaluations[-1])
        member.state = None
        if not member.failed:
            history = (*(before.evaluations if before is not None else ()), *filter(math.isfinite, evaluations))
            member.state = Snapshot(
                trial=trial,
                member=member.index,
                age=turn.age + turn.epochs,
                score=float(evaluations[-1]),
                evaluations=history[-KEPT_EVALUATIONS:],
                values=dict(turn.values if values is None else values),
            )
        self._rank(member, turn.generation)
        self._keeping.update(member)
        self._tell_explorer(turn, before, member.state)
        if all(other.failed for other in self.members):
            raise AllFailedError.of(f"the latest trials of all {self.size} members", reason)
        if not self.synchronous:
            self._make_ready([member])
        elif not self._in_flight and not self._ready:
            self._decide_together()

    def _length(self, generation: int) -> float:
        """Return the epochs of an interval; the last one takes what is left."""
        if generation == self.generations - 1:
            return self.epochs - last_decision(self.interval, self.epochs)
        return self.interval

    def _make_ready(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.given < self.generations:
                age = member.state.age if member.state is not None else 0.0
                heapq.heappush(self._ready, (member.given, age, member.index))

    def _rank(self, member: Member, generation: int) -> None:
        """Give a member its place by the result of its latest interval."""
        # A draw decides between equal scores: the order of arrival must not.
        tie = derive_seed(self.seed, "tie", member.index, generation)
        self.rungs.put(member.index, generation, member.state.score if member.state is not None else FAILED, tie)
        if member.state is None:
            self._set_best(member, None)
            return
        kept = 1 if self._looks_back else 2
        member.results = dict([*member.results.items(), (generation, member.state)][-kept:])
        if member.best is None or member.state.score > member.best.score:
            self._set_best(member, member.state)

    def _set_best(self, member: Member, state: Snapshot | None) -> None:
        if state is None or not self._looks_back or state.age < self.burn_in - 1e-9:
            member.best = None
            self.best_ranking.remove(member.index)
        else:
            member.best = state
            tie = derive_seed(self.seed, "tie", member.index, state.trial)
            self.best_ranking.put(member.index, state.score, tie)

    # --- decisions ---

    def _decide_together(self) -> None:
        """Decide for all members at once, before any of them goes on."""
        going_on = [member for member in self.members if member.given < self.generations]
        for member in going_on:
            member.plan = self._decide(member)
        self._make_ready(going_on)
        for member in going_on:
            assert member.plan is not None
            self._take_up(member, member.plan)
            self._keeping.update(member)

    def _decide(self, member: Member) -> Plan:
        """Choose where a member's next interval starts, and with which values."""
        key = (member.index, member.given)
        if member.given == 0:
            return Plan(None, False, self.space.sample(self.seed, "initial", member.index))
        view = _View(self, member.given - 1)
        if member.state is None:
            donor = self._rescuer(member, view) if self.exploit is not None else None
            if donor is None:
                return Plan(None, False, self.space.sample(self.seed, "restart", *key))
            return Plan(donor, True, self._moved(member, donor, donor.values))
        stay = Plan(member.state, False, dict(member.state.values))
        if self.strategy is None or member.state.age < self.burn_in - 1e-9:
            return stay
        asked, present = member.index, member.state
        if self.exploit is None:
            asked = self._stand_in(member, view)
            present = view.state(asked)
        chosen = self.strategy.choose(asked, view, generator(self.seed, "exploit", *key))
        if chosen is None or (chosen.state.trial == present.trial and chosen.values == present.values):
            return stay
        if self.exploit is None:
            chosen = Adoption(member.state, member.state.values, chosen.explore)
        values = self._moved(member, chosen.state, chosen.values) if chosen.explore else dict(chosen.values)
        return Plan(chosen.state, chosen.state.trial != member.state.trial, values)

    def _stand_in(self, member: Member, view: _View) -> int:
        """Return the member that the trigger is asked about in place of another one, when there is no exploit.

        The trigger picks weak members. Asked about each member once, but in an order drawn for the generation, it picks
        as many, of any strength.
        """
        able = {member.index, *(other for other in view.ranking.healthy() if view.may_donate(other))}
        permutation = generator(self.seed, "trigger", member.given).permutation(self.size)
        asked = int(permutation[member.index])
        # Passing over those that cannot adopt leaves a permutation of those that can.
        while asked not in able:
            asked = int(permutation[asked])
        return asked

    def _rescuer(self, member: Member, view: _View) -> Snapshot | None:
        """Return a state for a member that failed: from the better half of those past burn-in."""
        donors = [donor for donor in view.ranking.healthy() if view.may_donate(donor)]
        if not donors:
            return None
        better = donors[len(donors) // 2 :]
        return view.state(better[int(generator(self.seed, "rescue", member.index, member.given).integers(len(better)))])

    def _moved(self, member: Member, start: Snapshot, adopted: Mapping[str, Value]) -> dict[str, Value]:
        if self.explore is None:
            return dict(adopted)
        key = (member.index, member.given)
        values = self.space.complete(adopted, self.seed, "activate", *key)
        moved = self.explore.propose(self.space, values, _moment(start), generator(self.seed, "explore", *key))
        # A moved value may switch others on or off.
        return self.space.complete(moved, self.seed, "activate", *key)

    def _take_up(self, member: Member, plan: Plan) -> None:
        """Put a member where its plan starts. If that is not where it stood, its old score says nothing of it."""
        if _trial(plan.parent) == _trial(member.state) and not member.failed:
            return
        self.exploits += plan.inherited
        self.rungs.withdraw(member.index, member.given)
        member.state = plan.parent
        member.failed = member.failed and plan.parent is None
        member.results = dict([*member.results.items()][-1:])
        self._set_best(member, plan.parent)

    @property
    def _looks_back(self) -> bool:
        return self.strategy is not None and self.strategy.looks_back

    def _tell_explorer(self, turn: Turn, before: Snapshot | None, after: Snapshot | None) -> None:
        if self.explore is not None:
            start = _moment(before) if before is not None else None
            end = _moment(after) if after is not None else None
            self.explore.observe(self.space, turn.values, start, end, turn.epochs)

    # --- what the experiment asks ---

    def needed(self) -> set[str]:
        """Return the trials whose final states may still be started from: at most two for each member."""
        return self._keeping.trials

    def needs(self, trial: str) -> bool:
        """Return whether a trial's final state may still be started from."""
        return trial in self._keeping

    def released(self) -> set[str]:
        """Return the trials whose final states ceased to be needed since this was asked last."""
        return self._keeping.released()

    def get_state(self) -> dict[str, Any]:
        """Return everything that decides what comes next and is no argument, as JSON."""
        return {
            "members": [member.to_json() for member in self.members],
            "rungs": self.rungs.to_json(),
            "ready": [list(key) for key in self._ready],
            "exploits": self.exploits,
            "strategy": self.strategy.get_state() if self.strategy is not None else {},
            "explore": self.explore.get_state() if self.explore is not None else {},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` of a population with the same arguments returned.

        Raises:
            UsageError: It is of a population of another size.
        """
        if len(state["members"]) != self.size:
            raise UsageError(
                f"population of {self.size} cannot go on from one of {len(state['members'])}; use the same population"
            )
        self.members = [Member.from_json(plain) for plain in state["members"]]
        self._in_flight = {member.turn.trial: member.index for member in self.members if member.turn is not None}
        self._ready = [(given, age, index) for given, age, index in state["ready"]]
        self.exploits = state["exploits"]
        self.rungs = GenerationRankings.from_json(self.size, state["rungs"])
        self.best_ranking = Ranking(self.size)
        for member in self.members:
            self._set_best(member, member.best)
        self._keeping = Keeping(self.members, self.generations)
        if self.strategy is not None:
            self.strategy.set_state(state["strategy"])
        if self.explore is not None:
            self.explore.set_state(state["explore"])


class _View:
    """The population as a member sees it that has ended a generation; see `exploit.Standings`."""

    def __init__(self, population: Population, generation: int) -> None:
        self._population = population
        self.generation = generation
        self.clock = min((generation + 1) * population.interval, population.epochs)
        self.ranking = population.rungs.at(generation)
        self.best_ranking = population.best_ranking

    def state(self, member: int) -> Snapshot:
        results = self._population.members[member].results
        later = [generation for generation in results if generation >= self.generation]
        return results[min(later) if later else max(results)]

    def best(self, member: int) -> Snapshot:
        best = self._population.members[member].best
        assert best is not None
        return best

    def may_donate(self, member: int) -> bool:
        results = self._population.members[member].results
        return bool(results) and self.state(member).age >= self._population.burn_in - 1e-9


def _moment(state: Snapshot) -> Observation:
    return Observation(state.age, state.score)


def _trial(state: Snapshot | None) -> str | None:
    return state.trial if state is not None else None
