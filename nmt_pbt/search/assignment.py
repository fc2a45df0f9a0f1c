"""A trial as the oracle gives it to whoever trains it: plain data between `search` and `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nmt_pbt.base.types import Value


@dataclass(frozen=True)
class Assignment:
    """One trial to be trained.

    Attributes:
        trial: The trial's id.
        values: The hyperparameters in force, without the oracle's bookkeeping.
        epochs: How far to train, in epochs (fractions allowed).
        parent: The trial whose final state this one starts from; None for fresh weights.
        inherited: The parent was another member's: an exploit, not a continuation.
        member: The slot of the population; None for methods without one.
        generation: 0-based index of this interval of the member.
        start: Epochs that its slot has trained before; from there it is cut into intervals.
        fresh: Key of the random streams for fresh weights and dropout masks, if it gets any. None: the trial's number,
            so that trials with the same number start alike in all methods.
    """

    trial: str
    values: Mapping[str, Value]
    epochs: float
    parent: str | None = None
    inherited: bool = False
    member: int | None = None
    generation: int = 0
    start: float = 0.0
    fresh: str | None = None
