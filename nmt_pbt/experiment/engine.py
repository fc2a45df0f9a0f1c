"""What the driver asks of whatever runs trials, and what it hears back: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nmt_pbt.journal import Seconds
from nmt_pbt.significance import Counts
from nmt_pbt.values import Value


@dataclass(frozen=True)
class StateReference:
    """A saved state: its name in the run's state store, and the content hash it must have."""

    name: str
    hash: str


@dataclass(frozen=True)
class Leg:
    """One interval of one trial, to be trained and evaluated.

    Attributes:
        trial: The trial's id.
        values: The hyperparameters in force.
        pairs: Sentence pairs to train.
        start: The state to begin with; None for fresh weights.
        weights_seed: Seed of fresh weights, used when `start` is None.
        order_seed: Seed of the order of the training pairs.
        masks_seed: Seed to start the generator of dropout masks with; None goes on with that of the state.
        save_as: Name to save the resulting state under.
        counts: Whether to count what BLEU of each dev sentence is made of.
    """

    trial: str
    values: Mapping[str, Value]
    pairs: int
    start: StateReference | None
    weights_seed: int
    order_seed: int
    masks_seed: int | None
    save_as: str
    counts: bool = False


@dataclass(frozen=True)
class LegResult:
    """What became of a leg.

    Attributes:
        worker: The worker that ran it.
        trial: The trial's id.
        metrics: Metrics of the dev split and `train_loss`; empty after a failure.
        age: Sentence pairs the state was trained on along its lineage.
        state: The saved state; None after a failure.
        failure: Why it failed, in a few words; None when it did not. A failed leg leaves no state.
        lost: What is wrong with the state that it starts from, when that cannot be had: nothing was trained then.
        seconds: Wall-clock, itemised.
        counts: What BLEU of the dev translations is made of, `(sentences, 10)`; None where the leg did not ask.
        samples: Translations of the dev sentences that the run shows.
    """

    worker: str
    trial: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    age: int = 0
    state: StateReference | None = None
    failure: str | None = None
    lost: str | None = None
    seconds: Seconds = field(default_factory=Seconds)
    counts: Counts | None = None
    samples: tuple[str, ...] = ()


class Engine(Protocol):
    """Runs legs on workers. The driver alone calls it."""

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers that can be given work; the same from run to run, but some may join late."""
        ...

    def submit(self, worker: str, leg: Leg) -> None:
        """Give a leg to a free worker."""
        ...

    def wait(self) -> LegResult | None:
        """Wait for the next result, its state being on the disk; None when a worker joined that can be given work."""
        ...

    def problem(self, state: StateReference) -> str | None:
        """Tell what is wrong with a saved state; None when it is there and undamaged."""
        ...

    def keep(self, names: frozenset[str]) -> None:
        """Delete every saved state but those named."""
        ...

    def drop(self, names: frozenset[str]) -> None:
        """Delete the saved states named; some may not be there."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...
