"""States that were lost are made again: by training what made them, from the nearest earlier state that is still there.

The journal tells which state each interval began and ended with. Training is repeatable bit for bit, so that a state
made again has the hash that the journal holds, or something else has changed, which is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from nmt_pbt.errors import StateError
from nmt_pbt.experiment.engine import Leg, LegResult, StateReference
from nmt_pbt.experiment.legs import Legs, Progress
from nmt_pbt.journal import Evaluated, Journal

_LOG = logging.getLogger(__name__)


@dataclass
class _Repair:
    """What one worker does before it goes on: `legs` in turn, the last first, each to make the state of its place."""

    then: Leg | None
    problem: str
    legs: list[Leg] = field(default_factory=list)
    wanted: list[StateReference] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)


class Repairs:
    """Repairs under way, by worker.

    Args:
        legs: Makes the legs of the search.
        journal: Knows which state each interval began and ended with.
        progress_of: Returns a trial of the search, be it over or not.
    """

    def __init__(self, legs: Legs, journal: Journal, progress_of: Callable[[str], Progress]) -> None:
        self._legs = legs
        self._journal = journal
        self._progress_of = progress_of
        self._under_way: dict[str, _Repair] = {}

    def begin(self, worker: str, lost: StateReference, problem: str, leg: Leg | None = None) -> Leg:
        """Return the leg that makes a lost state again.

        Args:
            worker: Who is to make it.
            lost: The state.
            problem: What is wrong with it; names the file.
            leg: What the worker is to train when the state is there again; None for nothing.

        Raises:
            StateError: The journal knows nothing of the state, or it was lost again.
        """
        repair = self._under_way.setdefault(worker, _Repair(leg, problem))
        if lost.name in repair.tried:
            raise StateError(problem)
        made_by = self._made_by(lost, problem)
        origin = "fresh weights" if made_by.start is None else made_by.start.name
        _LOG.warning("%s: training it again, from %s", problem.partition(";")[0], origin)
        repair.tried.add(lost.name)
        repair.legs.append(made_by)
        repair.wanted.append(lost)
        return made_by

    def is_under_way(self, worker: str) -> bool:
        """Tell whether a worker's next result is that of a repair."""
        return worker in self._under_way

    @property
    def in_use(self) -> frozenset[str]:
        """Names of the states that legs under way here, or waiting for their turn, start from."""
        legs = [leg for repair in self._under_way.values() for leg in (*repair.legs, repair.then) if leg is not None]
        return frozenset(leg.start.name for leg in legs if leg.start is not None)

    def go_on(self, result: LegResult) -> tuple[Leg | None, StateReference | None]:
        """Take in a state that was made again.

        Args:
            result: Of a worker for which a repair is under way.

        Returns:
            What the worker is to train next, if anything; and the state that this one was made from, if any.

        Raises:
            StateError: It is another state than the journal says, or could not be trained.
        """
        repair = self._under_way[result.worker]
        leg, wanted = repair.legs.pop(), repair.wanted.pop()
        if result.state != wanted:
            came = result.failure or f"another state, {result.state.hash[:12] if result.state else 'none'}"
            raise StateError(
                f"{repair.problem.partition(';')[0]}, and training it again gave {came}: the machine, its threads or "
                "the libraries are not those it was trained with; restore the file from a copy, or start a new run "
                "with another --out"
            )
        if repair.legs:
            return repair.legs[-1], leg.start
        del self._under_way[result.worker]
        return repair.then, leg.start

    def _made_by(self, state: StateReference, problem: str) -> Leg:
        """Return the leg that made a state."""
        ends: dict[str, Evaluated] = {}  # by the name of the state: what was recorded of the interval it ends
        latest: dict[str, str] = {}
        for record in self._journal:
            if not isinstance(record, Evaluated) or record.state is None:
                continue
            if (record.method, record.seed) == (self._legs.method, self._legs.seed):
                name = self._legs.state_name(record.trial, record.interval)
                ends[name], latest[record.trial] = record, name
        if state.name not in ends:
            raise StateError(problem)
        made = ends[state.name]
        progress = self._progress_of(made.trial)
        start = None
        if made.started is not None:
            parent = progress.assignment.parent or ""
            before = self._legs.state_name(made.trial, made.interval - 1) if made.interval else latest[parent]
            start = StateReference(before, made.started)
        return self._legs.leg(progress.assignment, made.interval, progress.intervals[made.interval], start)
