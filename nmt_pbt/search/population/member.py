"""What a population is made of: a member's slot, the state it stands at, and the interval it is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.base.types import Value

KEPT_EVALUATIONS = 10
"""Evaluations remembered along a lineage: as many as the PBT paper's t-test uses."""


@dataclass(frozen=True)
class Snapshot:
    """A trained state that a member can start from.

    Attributes:
        trial: The trial that ended in it.
        member: The slot that trained it.
        age: Epochs the weights were trained on along the lineage.
        score: Last evaluation, higher being better.
        evaluations: Last evaluations along the lineage, oldest first, higher being better.
        values: The values that were in force.
    """

    trial: str
    member: int
    age: float
    score: float
    evaluations: tuple[float, ...]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Turn:
    """One interval of one member.

    Attributes:
        trial: The trial's id.
        member: The slot.
        generation: 0-based index of the interval in the slot.
        parent: The trial whose final state it starts from; None for fresh weights.
        inherited: The parent is not the slot's own latest trial: an exploit.
        values: The hyperparameters in force.
        epochs: How far to train.
        age: Epochs the weights were trained on before.
    """

    trial: str
    member: int
    generation: int
    parent: str | None
    inherited: bool
    values: Mapping[str, Value]
    epochs: float
    age: float


@dataclass(frozen=True)
class Plan:
    """How a member's next interval starts: from which state (None: fresh weights), whose, and with which values."""

    parent: Snapshot | None
    inherited: bool
    values: Mapping[str, Value]


@dataclass
class Member:
    """One slot of the population.

    Attributes:
        index: Its number, from 0.
        given: Intervals given out to it.
        done: Intervals of it that ended.
        failed: Its latest trial failed, and it adopted nothing since.
        state: Where it stands: after its latest trial, or after an exploit.
        best: The best state since it was fresh or adopted; kept only for strategies that look back.
        results: What its latest two intervals ended in, by generation, but for failures: members that are behind may
            adopt the older one.
        turn: The interval it is training.
        plan: How its next interval starts, when that is decided already.
    """

    index: int
    given: int = 0
    done: int = 0
    failed: bool = False
    state: Snapshot | None = None
    best: Snapshot | None = None
    results: dict[int, Snapshot] = field(default_factory=dict)
    turn: Turn | None = None
    plan: Plan | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Member:
        """Build a member from what `to_json` returned, also after it went through JSON."""
        fields = dict(plain)
        fields["state"] = _snapshot(fields["state"])
        fields["best"] = _snapshot(fields["best"])
        fields["results"] = {int(key): _snapshot(value) for key, value in fields["results"].items()}
        fields["turn"] = Turn(**fields["turn"]) if fields["turn"] is not None else None
        if (plan := fields["plan"]) is not None:
            fields["plan"] = Plan(_snapshot(plan["parent"]), plan["inherited"], plan["values"])
        return cls(**fields)


def _snapshot(plain: Mapping[str, Any] | None) -> Snapshot | None:
    if plain is None:
        return None
    return Snapshot(**{**plain, "evaluations": tuple(plain["evaluations"])})


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
