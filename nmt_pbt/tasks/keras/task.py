"""Any Keras model as a task: a hypermodel, the data to fit it with, and the metric that decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import keras
import keras_tuner

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.oracles.keras_tuner_internals import MultiObjective
from nmt_pbt.search.oracles.keras_tuner_space import from_hyperparameters
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.keras.data import FitArguments, check_sendable
from nmt_pbt.tasks.keras.models import check_model
from nmt_pbt.tasks.keras.sending import packed, unpacked
from nmt_pbt.tasks.keras.trainable import KerasTrainable, evaluated
from nmt_pbt.tasks.protocol import MemberState, Objective, SearchableTask, TestResult, Trainable
from nmt_pbt.tasks.state import START, StateStore, content_hash

if TYPE_CHECKING:
    from typing_extensions import Self

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True)
class CompileOverrides:
    """What is compiled in place of what the hypermodel says; None leaves that as it is."""

    optimizer: Any = None
    loss: Any = None
    metrics: Any = None

    def apply(self, model: keras.Model) -> None:
        """Compile a model again where something is to be overridden."""
        if not (self.optimizer or self.loss or self.metrics):
            return
        optimizer = self.optimizer or model.optimizer
        if isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))  # each model has its own
        model.compile(optimizer=optimizer, loss=self.loss or model.loss, metrics=self.metrics or model.metrics)


@dataclass(frozen=True)
class KerasTask(SearchableTask):
    """Trains Keras models on one set of data; see `tasks.protocol.Task`. One epoch is the unit that is counted.

    Attributes:
        hypermodel: Builds compiled models; may have a `fit` of its own, and `apply(hp, model)`.
        hyperparameters: All that it asks for.
        arguments: Of `fit`.
        objective: KerasTuner's objective, of one metric or several.
        structural: Hyperparameters that change what variables a model has.
        test_data: As `validation_data` of `Model.fit`; None for no test of winners.
        compiled: What is compiled otherwise than the hypermodel does.
        max_model_size: Parameters that a model may have; None for any number.
        max_retries: How often a trial that raised is tried again.
        accepts_unknown: Whether hyperparameters that are not among `hyperparameters` keep their defaults; otherwise
            they are refused.
        start: Weights that models start from; None draws fresh ones.
        start_from: Where those come from.
        threads: Of a worker process; 0 for as many as TensorFlow takes. This process keeps those it began with.
    """

    hypermodel: Any
    hyperparameters: keras_tuner.HyperParameters
    arguments: FitArguments
    objective: Any
    structural: frozenset[str] = frozenset()
    test_data: Any = None
    compiled: CompileOverrides = CompileOverrides()
    max_model_size: int | None = None
    max_retries: int = 0
    accepts_unknown: bool = False
    start: MemberState | None = None
    start_from: str | None = None
    threads: int = 0
    name: str = field(default="keras", init=False)
    pairs_per_epoch: int = field(default=1, init=False)
    brings_its_code: bool = field(default=True, init=False)
    """A worker needs nothing of the main script: what is defined there is sent along."""
    finds_structural: bool = field(default=True, init=False)
    """What is structural was found by building models, whose shapes say nothing of words: a search tells which change.
    """

    @property
    def data_digest(self) -> str:
        """SHA-256 of the data that the models are fitted with."""
        return self.arguments.digest()

    @property
    def start_digest(self) -> str | None:
        """SHA-256 of the weights that models start from; None where they are fresh."""
        return None if self.start is None else content_hash(self.start)

    @property
    def searched_objective(self) -> Objective:
        """The metric that a search decides by."""
        return Objective(self.objective.name, self.objective.direction)

    @property
    def objective_names(self) -> tuple[str, ...]:
        """The metrics that make up the objective."""
        parts = self.objective.objectives if isinstance(self.objective, MultiObjective) else [self.objective]
        return tuple(part.name for part in parts)

    @property
    def search_space(self) -> Space:
        """The search space."""
        return from_hyperparameters(self.hyperparameters, self.structural)

    @property
    def apply(self) -> Callable[[keras_tuner.HyperParameters, keras.Model], None] | None:
        """What puts hyperparameters in force in a live model; None where the hypermodel offers no such thing."""
        return getattr(self.hypermodel, "apply", None)

    def with_values(self, values: Mapping[str, Value]) -> keras_tuner.HyperParameters:
        """Return the hyperparameters with these values."""
        hp = self.hyperparameters.copy()
        hp.values = dict(values)
        return hp

    def with_threads(self, threads: int) -> Self:
        """Return the task for a worker process that uses so many threads."""
        return replace(self, threads=threads)

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a compiled model.

        Raises:
            UsageError: It asks for a hyperparameter that was unknown when the search began.
        """
        model = check_model(self.hypermodel.build(hp), self.max_model_size)
        self.compiled.apply(model)
        known = {one.name for one in self.hyperparameters.space}
        new = [one.name for one in hp.space if one.name not in known]
        if new and not self.accepts_unknown:
            raise UsageError(
                f"the hyperparameter {new[0]} came up only in mid-search, so that nothing was searched of it; give all "
                "of them beforehand with hyperparameters=, or ask for it in every build(hp)"
            )
        return model

    def build(self, structural: Mapping[str, Value]) -> KerasTrainable:
        """Return a trainable, whose model is built once all its values are known."""
        return KerasTrainable(self)

    def begin(self, run: Path) -> None:
        """Keep the weights to start from, where there are such: models are built by the user's code."""
        if self.start is not None:
            StateStore(run).save(START, self.start)

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        """Evaluate a winner once on the test data, where there are such."""
        if self.test_data is None:
            return TestResult({})
        model = cast(KerasTrainable, trainable).model  # this task builds no other
        _, named = self.arguments.made()
        (), made = FitArguments((), {"test_data": self.test_data}).made()
        return TestResult(evaluated(model, made["test_data"], named))

    def check_sendable(self) -> None:
        """Refuse what cannot be sent to worker processes.

        Raises:
            UsageError: Says which argument, and how to give it.
        """
        check_sendable("hypermodel", self.hypermodel)
        check_sendable("objective", self.objective)
        self.arguments.check(sent=True)

    def __reduce__(self) -> tuple[Any, ...]:
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        return restored, (packed(named), self.threads)


def one_thread_each() -> None:
    """Let TensorFlow take one thread in this process, as in workers, where it has not begun to work yet."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")


def restored(content: bytes, threads: int) -> KerasTask:
    """Return the task that was sent to this process.

    Args:
        content: As `KerasTask.__reduce__` packs it.
        threads: Of this process.
    """
    if threads:
        for name in _THREADS:
            os.environ[name] = str(threads)  # before TensorFlow does its first work
    return KerasTask(**unpacked(content))
