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

from nmt_pbt.errors import SearchError, UsageError
from nmt_pbt.randomness import derive_seed, generator
from nmt_pbt.search.exploit import Exploit
from nmt_pbt.search.explore import Explorer, Moment
from nmt_pbt.search.member import KEPT_EVALUATIONS, Member, Plan, Snapshot, Turn
from nmt_pbt.search.ranking import FAILED, Ranking
from nmt_pbt.search.space import Space
from nmt_pbt.values import Value


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
        exploit: Who adopts whom; None for no exploit: a member that `trigger` picks keeps its weights.
        explore: How adopted values move; None for no explore.
        trigger: Without exploit, the strategy that picks the members whose values move.
        burn_in: Epochs of age before a member may adopt or be adopted from.
        synchronous: All members finish a generation before any decides.
        initial: Values for the first members; those of the others are drawn from the space.
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
    ) -> None:
        _check(size, interval, epochs, burn_in, initial)
        self.space = space
        self.size = size
        self.interval = interval
        self.epochs = epochs
        self.seed = seed
        self.exploit = exploit
        self.explore = explore
        self.trigger = trigger
        self.burn_in = burn_in
        self.synchronous = synchronous
        self.generations = math.ceil(epochs / interval - 1e-9)
        self.exploits = 0
        self.ranking = Ranking()
        self.best_ranking = Ranking()
        self.members = [Member(index) for index in range(size)]
        self._in_flight: dict[str, int] = {}
        for member, given in zip(self.members, initial, strict=False):
            values = space.complete(given, seed, "initial", member.index)
            space.check({**values, **given}, f"initial values of member {member.index}")
            member.plan = Plan(None, False, values)
        self._ready: list[tuple[int, float, int]] = []
        self._make_ready(self.members)

    # --- turns ---

    def next_turn(self, trial: str) -> Turn | Pause:
        """Give out the next interval: that of the member furthest behind.

        Args:
            trial: The id the interval is to have.

        Returns:
            The interval, or why there is none.
        """
        if not self._ready:
            return Pause.WAIT if self._in_flight and self._more_to_come() else Pause.FINISHED
        _, _, index = heapq.heappop(self._ready)
        member = self.members[index]
        plan = member.plan or self._decide(member)
        self._adopt(member, plan)
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
        return member.turn

    def record(
        self, trial: str, evaluations: Sequence[float], values: Mapping[str, Value] | None = None, reason: str = ""
    ) -> None:
        """Take in the end of a trial.

        Args:
            trial: Its id.
            evaluations: Its evaluations in order, higher being better; the last one is its score. None at all, or a
                last one that is not finite, is a failure.
            values: Values it ran with, when there turned out to be more than were given out.
            reason: Why it failed, for the error when all do.

        Raises:
            SearchError: The latest trial of every member failed.
        """
        member = self.members[self._in_flight.pop(trial)]
        turn = member.turn
        assert turn is not None
        member.turn = None
        member.done += 1
        member.ranked = True
        before = member.state
        failed = not evaluations or not math.isfinite(evaluations[-1])
        member.failed = failed
        if failed:
            member.state = member.best = None
        else:
            history = (*(before.evaluations if before is not None else ()), *filter(math.isfinite, evaluations))
            member.state = Snapshot(
                trial=trial,
                member=member.index,
                age=turn.age + turn.epochs,
                score=float(evaluations[-1]),
                evaluations=history[-KEPT_EVALUATIONS:],
                values=dict(turn.values if values is None else values),
            )
            if self._looks_back and (member.best is None or member.state.score > member.best.score):
                member.best = member.state
        self._rank(member)
        self._tell_explorer(turn, before, member.state)
        if all(other.failed for other in self.members):
            raise SearchError(
                f"the latest trials of all {self.size} members failed, the last one with: {reason or 'unknown'}; "
                "narrow the search space, for instance to smaller learning rates or batches"
            )
        if not self.synchronous:
            self._make_ready([member])
        elif not self._in_flight and not self._ready and self._more_to_come():
            self._plan_generation()

    def _more_to_come(self) -> bool:
        return any(member.given < self.generations for member in self.members)

    def _length(self, generation: int) -> float:
        """Return the epochs of an interval; the last one takes what is left."""
        if generation == self.generations - 1:
            return self.epochs - generation * self.interval
        return self.interval

    def _make_ready(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.given < self.generations:
                age = member.state.age if member.state is not None else 0.0
                heapq.heappush(self._ready, (member.given, age, member.index))

    def _rank(self, member: Member) -> None:
        if not member.ranked:
            self.ranking.remove(member.index)
        else:
            # A draw decides between equal scores: the order of arrival must not.
            tie = derive_seed(self.seed, "tie", member.index, member.done)
            self.ranking.put(member.index, member.state.score if member.state is not None else FAILED, tie)
        if member.best is None:
            self.best_ranking.remove(member.index)
        else:
            tie = derive_seed(self.seed, "tie", member.index, member.best.trial)
            self.best_ranking.put(member.index, member.best.score, tie)

    # --- decisions ---

    def _plan_generation(self) -> None:
        """Decide for all members at once, all of them seeing the same scores."""
        plans = [self._decide(member) for member in self.members]
        for member, plan in zip(self.members, plans, strict=True):
            member.plan = plan
            self._adopt(member, plan)
        self._make_ready(self.members)

    def _decide(self, member: Member) -> Plan:
        """Choose where a member's next interval starts, and with which values."""
        index, generation = member.index, member.given
        if generation == 0:
            return Plan(None, False, self.space.sample(self.seed, "initial", index))
        if member.failed:
            donor = self._any_donor(member) if self.exploit is not None else None
            if donor is None:
                return Plan(None, False, self.space.sample(self.seed, "restart", index, generation))
            return Plan(donor, True, self._moved(member, donor))
        assert member.state is not None
        strategy = self.exploit or self.trigger
        chosen = None
        if strategy is not None and self._past_burn_in(member):
            chosen = strategy.choose(index, self, generator(self.seed, "exploit", index, generation))
        if chosen is None or chosen.trial == member.state.trial:
            return Plan(member.state, False, dict(member.state.values))
        if self.exploit is None:
            return Plan(member.state, False, self._moved(member, member.state))
        return Plan(chosen, True, self._moved(member, chosen))

    def _any_donor(self, member: Member) -> Snapshot | None:
        """Return a healthy member's state for one that failed: from the better half of those past burn-in."""
        donors = [index for index in self.ranking.healthy() if self._past_burn_in(self.members[index])]
        if not donors:
            return None
        better = donors[len(donors) // 2 :]
        random = generator(self.seed, "rescue", member.index, member.given)
        return self.members[better[int(random.integers(len(better)))]].state

    def _moved(self, member: Member, start: Snapshot) -> dict[str, Value]:
        if self.explore is None:
            return dict(start.values)
        key = (member.index, member.given)
        values = self.space.complete(start.values, self.seed, "activate", *key)
        moved = self.explore.propose(self.space, values, _moment(start), generator(self.seed, "explore", *key))
        # A moved value may switch others on or off.
        return self.space.complete(moved, self.seed, "activate", *key)

    def _adopt(self, member: Member, plan: Plan) -> None:
        """Put a member where its plan starts. Until it has a score of its own it is not ranked, and cannot donate."""
        if _trial(plan.parent) == _trial(member.state) and not member.failed:
            return
        if plan.inherited:
            self.exploits += 1
        member.state = plan.parent
        member.best = plan.parent if self._looks_back else None
        member.failed = False if plan.parent is not None else member.failed
        member.ranked = False
        self._rank(member)

    def _past_burn_in(self, member: Member) -> bool:
        return member.state is not None and member.state.age >= self.burn_in - 1e-9

    @property
    def _looks_back(self) -> bool:
        strategy = self.exploit or self.trigger
        return strategy is not None and strategy.looks_back

    def _tell_explorer(self, turn: Turn, before: Snapshot | None, after: Snapshot | None) -> None:
        if self.explore is not None:
            start = _moment(before) if before is not None else None
            end = _moment(after) if after is not None else None
            self.explore.observe(self.space, turn.values, start, end, turn.epochs)

    # --- what exploit strategies see ---

    def latest(self, member: int) -> Snapshot:
        """Return the state a healthy member stands at."""
        state = self.members[member].state
        assert state is not None
        return state

    def best(self, member: int) -> Snapshot:
        """Return the best state of a healthy member's present lineage since it came into the slot."""
        best = self.members[member].best
        assert best is not None
        return best

    def may_donate(self, member: int) -> bool:
        """Return whether a member has a state that is past burn-in."""
        return self._past_burn_in(self.members[member])

    # --- what the experiment asks ---

    def turn_of(self, trial: str) -> Turn:
        """Return the turn of a trial in flight."""
        turn = self.members[self._in_flight[trial]].turn
        assert turn is not None
        return turn

    def needed(self) -> set[str]:
        """Return the trials whose final states may still be started from: at most two for each member."""
        states = (state for member in self.members for state in (member.state, member.best))
        return {state.trial for state in states if state is not None}

    def get_state(self) -> dict[str, Any]:
        """Return everything that decides what comes next and is no argument, as JSON."""
        return {
            "members": [member.to_json() for member in self.members],
            "ready": [list(key) for key in self._ready],
            "exploits": self.exploits,
            "exploit": self.exploit.get_state() if self.exploit is not None else {},
            "explore": self.explore.get_state() if self.explore is not None else {},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` of a population with the same arguments returned.

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
        self.ranking, self.best_ranking = Ranking(), Ranking()
        for member in self.members:
            self._rank(member)
        if self.exploit is not None:
            self.exploit.set_state(state["exploit"])
        if self.explore is not None:
            self.explore.set_state(state["explore"])


def _moment(state: Snapshot) -> Moment:
    return Moment(state.age, state.score)


def _trial(state: Snapshot | None) -> str | None:
    return state.trial if state is not None else None


def _check(size: int, interval: float, epochs: float, burn_in: float, initial: Sequence[Mapping[str, Value]]) -> None:
    if size < 2:
        raise UsageError(f"population {size}; a population needs at least 2 members")
    if not (math.isfinite(interval) and 0 < interval <= epochs):
        raise UsageError(f"interval {interval:g}; it has to be above 0 and at most the {epochs:g} epochs of a member")
    if not burn_in >= 0:
        raise UsageError(f"burn_in {burn_in:g}; it has to be 0 or more epochs")
    if len(initial) > size:
        raise UsageError(f"initial values for {len(initial)} members, but the population has {size}; remove some")
