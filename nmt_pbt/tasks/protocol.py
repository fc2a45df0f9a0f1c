"""What a search asks of what it trains. Anything that keeps this contract can be searched.

A class of one's own may inherit from these protocols; then what has a body here need not be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from nmt_pbt.space.space import Space


LEARNING_RATE = ".learning_rate"
"""Metrics whose names end so tell what training, not the search, made of a learning rate; before it stands whose."""


@dataclass(frozen=True)
class MemberState:
    """Everything that makes a member what it is.

    Attributes:
        arrays: Named arrays, in a fixed order: `weights/...`, `optimizer/...` (slots and iteration count),
            `generator/...` (state of the dropout masks' generator) and `values/...` (learning rate, rates and other
            mutable values in force); `average/...` (the weights that are evaluated, where they are not those trained),
            `checkpoint/...` (what they are the mean of) and `plateau/...` (how far the learning rate has been cut).
        age: Sentence pairs these weights were trained on; the position in the data.
    """

    arrays: Mapping[str, np.ndarray]
    age: int


@dataclass(frozen=True)
class Objective:
    """The metric on the dev split that a search decides by.

    Attributes:
        name: Of the metric, as in `Evaluation.metrics`.
        direction: Whether lower or higher values are better.
    """

    name: str
    direction: Literal["min", "max"]


@dataclass(frozen=True)
class Evaluation:
    """What the dev split says of a model.

    Attributes:
        metrics: By name, for instance `val_loss`.
        evidence: What the score is made of, packed as the task likes: for strategies that the task declares, and for
            its own tests in the report. None where it was not asked for.
        samples: A few texts by which people see what the model does.
    """

    metrics: Mapping[str, float]
    evidence: str | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestResult:
    """What the test split says of a winner.

    Attributes:
        metrics: By name.
        signatures: How metrics were computed, by name, where that has to be told.
        outputs: The file, relative to the run's folder, of what the winner made of the test split;
            None where the task keeps none.
        test_set: Which test set this is, where the task has several.
        others: What the task's other test sets say; methods are compared by this one.
    """

    __test__: ClassVar = False  # not one of pytest's

    metrics: Mapping[str, float]
    signatures: Mapping[str, str] = field(default_factory=dict)
    outputs: str | None = None
    test_set: str | None = None
    others: tuple[TestResult, ...] = ()


class Trainable(Protocol):
    """One live model. Same state, same values, same data order: the same next state, bit for bit.

    Attributes:
        checks_load: Whether it compares by itself, in `set_hyperparameters`, what the live model holds with the state
            that was loaded. Then it may return that very state from `state` before.
        checks_values: Whether it refuses by itself, in `set_hyperparameters`, values that are not in force. Then
            `effective_values` need not tell them.
    """

    checks_load: bool = False
    checks_values: bool = False

    def reset(self, seed: int) -> None:
        """Become a fresh model: weights drawn from `seed`, empty optimizer slots, age 0."""
        ...

    def load(self, state: MemberState) -> None:
        """Become the member that `state` describes; its learning rate and rates stay until `set_hyperparameters`."""
        ...

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        """Set hyperparameter values. Those not named go back to the trainable's configured ones."""
        ...

    def effective_values(self) -> Mapping[str, Value]:
        """Return all mutable values as the live model holds them, read back from its variables."""
        ...

    def reseed(self, seed: int) -> None:
        """Start the generator of dropout masks afresh, so that a child does not repeat its donor's masks."""
        ...

    def reorder(self, seed: int) -> None:
        """Take the training pairs in the order of this seed; the position in the data, `age`, stays.

        Nothing, where that order comes from what `reseed` sets, or there is none.
        """
        return

    def train(self, pairs: int) -> Mapping[str, float]:
        """Train on exactly the next `pairs` sentence pairs; return `train_loss` (nats a target token)."""
        ...

    def evaluate(self, evidence: bool = False) -> Evaluation:
        """Score the dev split; with `evidence`, report that, too."""
        ...

    def state(self) -> MemberState:
        """Return a copy of everything that makes this member."""
        ...


class Task(Protocol):
    """What is trained. Small and picklable, so that it can be sent to a worker."""

    @property
    def name(self) -> str:
        """A word for it, which a run records."""
        ...

    @property
    def structural(self) -> frozenset[str]:
        """Names of the hyperparameters that change weight shapes; none unless it says so."""
        return frozenset()

    @property
    def pairs_per_epoch(self) -> int:
        """Training pairs in one epoch: what budgets are counted in. 1 where an epoch is the least that is trained."""
        return 1

    @property
    def data_digest(self) -> str:
        """SHA-256 of what is trained and tested on: a run is only continued with the same."""
        ...

    def with_threads(self, threads: int) -> Self:
        """Return the task for a worker process that is to use so many threads: itself, where it takes no heed."""
        return self

    def build(self, structural: Mapping[str, Value]) -> Trainable:
        """Return a live trainable whose shapes the structural values decide."""
        ...

    def begin(self, run: Path) -> None:
        """Write into a run's folder what the report and the models need of the task beside the journal, if anything."""
        return

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        """Test a winner once on the test split; without a body of its own, nothing is tested.

        Args:
            trainable: It, with its values in force.
            run: A folder whose files go into the run's folder, under the same names.
            name: What such files are to be called, without an ending.
        """
        return TestResult({})


class SearchableTask(Task, Protocol):
    """A task that says what is searched by which metric: what `nmt_pbt.compare_task` needs."""

    @property
    def search_space(self) -> Space:
        """The search space."""
        ...

    @property
    def searched_objective(self) -> Objective:
        """The metric that a search decides by."""
        ...

    @property
    def unit(self) -> str:
        """A word for what budgets are counted in, for the report."""
        return "epoch"

    @property
    def start_from(self) -> str | None:
        """Where the weights come from that all models start from; None where each draws fresh ones."""
        return None

    @property
    def start_digest(self) -> str | None:
        """Those weights' SHA-256: a run is only continued with the same."""
        return None

    def check_sendable(self) -> None:
        """Refuse what cannot be sent to worker processes.

        Raises:
            UsageError: Says why.
        """
        from multiprocessing.reduction import ForkingPickler  # takes its time, and few commands need it

        try:
            ForkingPickler.dumps(self)
        except Exception as error:
            raise UsageError(
                f"task {self.name}: cannot be sent to worker processes ({error}); let it load its data in build(), or "
                "train in this process with workers=1"
            ) from error
