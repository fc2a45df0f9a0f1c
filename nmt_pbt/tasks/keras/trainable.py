"""Any Keras model as a trainable: one interval is one call of the hypermodel's `fit`."""

from __future__ import annotations

import copy
import json
import math
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.errors import FatalError, FatalValueError

from nmt_pbt.base.errors import NmtPbtError, OutOfMemoryError, TrialFailedError, UsageError, first_line
from nmt_pbt.base.files import FULL
from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.tasks.keras.model_state import (
    ShapeError,
    build_optimizer,
    capture,
    is_built,
    is_finite,
    learning_rates,
    optimizers,
    reseed,
    start_with,
    trained_by,
)
from nmt_pbt.tasks.keras.models import Donor, LiveModel, WhatToFit, searched
from nmt_pbt.tasks.keras.watch import Watch, found_in, last_metrics
from nmt_pbt.tasks.protocol import LEARNING_RATE, Evaluation, MemberState

MASKS = "generator/seed"
ORIGIN = "values/origin"
RATES = "callbacks/"
"""Before an optimizer's name: its own learning rate, and what callbacks made of it along the lineage."""
_MOST_LIVE, _FEW_LIVE = 8, 2  # compiled models that stay; few where there is a trainable for each of several shapes


class KerasTrainable:
    """A Keras model in training. One epoch is the unit that is counted.

    Generators of random layers and the order of the data are seeded at the start of each interval by the member's own
    seed and its age: so an interval comes out the same in whatever process it is trained.

    Args:
        task: What is trained.
    """

    checks_load: bool = True
    """A state is loaded only once the values are set, and compared bit for bit then; see `model_state.load`."""
    checks_values: bool = True
    """Which variable keeps which value is the model's own affair; see `in_force`, which looks."""

    def __init__(self, task: WhatToFit) -> None:
        self._task = task
        most = _FEW_LIVE if task.structural else _MOST_LIVE
        self._live = LiveModel(task, most)
        self._waiting: int | MemberState | None = 0  # a seed of fresh weights, or a state: what is to be put in force
        self._begun_with: int | MemberState = 0
        self._hp = task.hyperparameters.copy()
        self._own_rates: dict[str, float] = {}  # before callbacks changed them
        self._masks = 0
        self._order = 0
        self._epochs = 0
        self._metrics: dict[str, float] = {}

    @property
    def model(self) -> keras.Model:
        """The live model, with its values in force."""
        return self._live.model

    # --- the contract of `tasks.protocol.Trainable` ---

    def reset(self, seed: int) -> None:
        """Become a fresh model, once its values are set; see `Trainable.reset`."""
        self._waiting = seed
        self._epochs = 0

    def load(self, state: MemberState) -> None:
        """Become a saved model, once its values are set: only then can it be built."""
        self._waiting = state
        self._epochs = state.age
        self._masks = int(state.arrays[MASKS])

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        """Put values in force, in a model that holds what was reset or loaded before.

        Raises:
            UsageError: A value would not be in force, or the state does not fit a model with these values.
            HandoverError: The model does not hold the state after the load.
            TrialFailedError: The model could not be built.
        """
        hp = self._task.with_values(values)
        if self._waiting is None:
            if searched(hp) == searched(self._hp):
                return
            self._waiting = self.state()
        self._begun_with, self._waiting = self._waiting, None
        with _failing():
            self._take_up(hp)

    def _take_up(self, hp: keras_tuner.HyperParameters) -> None:
        begun = self._begun_with
        if isinstance(begun, MemberState):
            keras.utils.set_random_seed(0)  # what is drawn is overwritten
            self._live.go_on(hp, self._donor(begun))
        else:
            keras.utils.set_random_seed(begun % 2**32)
            self._live.begin(hp)
            self._start()
        rates = learning_rates(self.model)
        self._own_rates = {name: float(rate) for name, rate in rates.items()}
        if isinstance(begun, MemberState):
            for name, variable in rates.items():
                if RATES + name in begun.arrays:
                    own, rate = map(float, begun.arrays[RATES + name])
                    variable.assign(self._own_rates[name] * (rate / own) if own else rate)
        self._hp = hp

    def _changed_rates(self) -> dict[str, float]:
        """Return the learning rates that callbacks have changed, by optimizer."""
        now = {name: float(rate) for name, rate in learning_rates(self.model).items()}
        return {name: rate for name, rate in now.items() if rate != self._own_rates.get(name, rate)}

    def _start(self) -> None:
        """Put the weights to start from, if there are such, in the place of fresh ones."""
        if self._task.start is None:
            return
        try:
            start_with(self.model, self._task.start)
        except ShapeError as error:
            raise UsageError(
                f"start_from: these weights do not fit the model of this trial ({error}); leave hyperparameters that "
                "change shapes out of the search, for instance with hp.Fixed"
            ) from None

    def effective_values(self) -> Mapping[str, Value]:
        """Return none: which variable keeps which value is the model's own affair; see `in_force`, which looks."""
        return {}

    def reseed(self, seed: int) -> None:
        """Take another stream of random numbers for dropout and its like."""
        self._masks = seed

    def reorder(self, seed: int) -> None:
        """Take the training data in the order of this seed, where they are shuffled."""
        self._order = seed

    def train(self, pairs: int) -> Mapping[str, float]:
        """Train so many epochs; after a failure again from where they began, as often as the task allows.

        Returns:
            The loss of the last epoch, where the model reports one.

        Raises:
            TrialFailedError: The build function, `fit` or a callback raised something.
            OutOfMemoryError: The model or a batch did not fit into memory.
        """
        begun, began = self._begun_with if self._epochs == _age(self._begun_with) else self.state(), self._epochs
        for retries in range(self._task.max_retries, -1, -1):
            try:
                with _failing():
                    self._metrics = self._fit(began + pairs)
                break
            except (TrialFailedError, OutOfMemoryError):
                if not retries:
                    raise
                self._begun_with, self._epochs = begun, began
                with _failing():
                    self._take_up(self._hp)
        self._epochs = began + pairs
        loss = self._metrics.get("loss")
        return {} if loss is None else {"train_loss": loss}

    def evaluate(self, evidence: bool = False) -> Evaluation:
        """Return the metrics of the last epoch, by which the saved state is scored."""
        return Evaluation(self._metrics)

    def state(self) -> MemberState:
        """Return weights, optimizers, and what is needed to build them again."""
        if isinstance(self._waiting, MemberState):
            return self._waiting  # it is not in a model before its values are set
        model = self.model
        if is_built(model):
            build_optimizer(model)  # one that has not trained yet has its slots in a state, too
        origin = {
            "values": searched(self._hp),
            "build_config": model.get_build_config(),
            "trained_by": trained_by(model),
        }
        arrays = {
            **capture(model, self._epochs).arrays,
            **{RATES + name: np.array([self._own_rates[name], rate]) for name, rate in self._changed_rates().items()},
            MASKS: np.array(self._masks, np.uint64),
            ORIGIN: np.frombuffer(json.dumps(origin).encode("utf-8"), np.uint8),
        }
        return MemberState(arrays, self._epochs)

    def _donor(self, state: MemberState) -> Donor:
        origin = json.loads(bytes(state.arrays[ORIGIN]).decode("utf-8"))
        hp = self._task.with_values(origin["values"])
        return Donor(state, hp, origin["build_config"], origin["trained_by"])

    # --- one interval ---

    def _fit(self, end: int) -> dict[str, float]:
        model, objective = self.model, self._task.objective
        callbacks = self._callbacks()
        order = derive_seed(self._order, "training", str(self._masks), end) % 2**32
        watch = Watch(self._epochs, end, order)
        positional, named = self._task.arguments.made()
        named.pop("callbacks", None)
        before = optimizers(model)
        # The last draws before training: it does not matter what was built, by which process.
        keras.utils.set_random_seed(order)
        reseed(model, derive_seed(self._masks, "masks", end))
        results = self._task.hypermodel.fit(
            self._hp,
            model,
            *positional,
            **{**named, "epochs": end, "initial_epoch": self._epochs, "callbacks": [*callbacks, watch]},
        )
        _check_optimizers(before, optimizers(model))
        watch.check()
        changed = watch.weights_changed(model)
        if changed and any(getattr(optimizer, "use_ema", False) for optimizer in optimizers(model).values()):
            watch.restore(model)  # training goes on from the weights themselves, which were scored; not their average
            changed = False
        if isinstance(results, keras.callbacks.History) and watch.seen:
            for name, value in self._validated(model, watch, changed, named).items():
                results.history.setdefault(name, []).append(value)
        metrics = last_metrics(results, objective, "HyperModel.fit")
        if not is_finite(model):
            metrics[objective.name] = math.nan
        kept = {objective.name, "loss"}
        values = searched(self._hp).keys() - kept  # Keras reports the rate that a callback set as `learning_rate`
        return {
            **{
                name: value
                for name, value in metrics.items()
                if name in kept or (math.isfinite(value) and name not in values)
            },
            **{name + LEARNING_RATE: rate for name, rate in self._changed_rates().items()},
        }

    def _validated(self, model: keras.Model, watch: Watch, changed: bool, named: Mapping[str, Any]) -> dict[str, float]:
        """Return the metrics of the weights as they are now, where those of the last epoch are not of them."""
        wanted = [name for name in self._task.objective_names if name.startswith("val_")]
        missing = not all(found_in(watch.logs, name) for name in wanted)
        data = named.get("validation_data")
        if not changed and not missing:
            return {}
        if data is None:
            if not changed:
                return {}
            raise UsageError(
                "the weights were changed after the last epoch was scored (a callback that restores others?), and "
                "there is no validation_data to score them by; give that, or leave the callback out"
            )
        return {f"val_{name}": value for name, value in evaluated(model, data, named).items()}

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        given = self._task.arguments.named.get("callbacks") or []
        try:
            callbacks = copy.deepcopy(list(given))
        except Exception as error:
            raise FatalValueError(
                f"All callbacks used during a search should be deep-copyable (since they are reused across trials). "
                f"It is not possible to do `copy.deepcopy({given})`: {error}"
            ) from error
        for callback in callbacks:
            if type(callback).__name__ == "TensorBoard":
                callback.log_dir = str(Path(callback.log_dir) / f"{self._masks % 2**32:08x}")
        return callbacks


def evaluated(model: keras.Model, data: Any, named: Mapping[str, Any]) -> dict[str, float]:
    """Return a model's metrics on data.

    Args:
        model: A compiled model.
        data: As `validation_data` of `Model.fit`.
        named: Arguments of `fit`, some of which say how to evaluate.
    """
    parts = data if isinstance(data, (tuple, list)) else (data,)
    how = {
        name: named[given]
        for name, given in (("batch_size", "validation_batch_size"), ("steps", "validation_steps"))
        if named.get(given) is not None
    }
    if "batch_size" not in how and named.get("batch_size") is not None:
        how["batch_size"] = named["batch_size"]
    if not isinstance(data, (tuple, list)):
        how.pop("batch_size", None)
    sample_weight = parts[2] if len(parts) > 2 else None
    found = model.evaluate(*parts[:2], sample_weight=sample_weight, verbose=0, return_dict=True, **how)
    return {name: float(value) for name, value in found.items()}


def _check_optimizers(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name, optimizer in after.items():
        if before.get(name) is not optimizer:
            raise UsageError(
                f"HyperModel.fit gave the model another optimizer (model.{name}), which would begin anew at each "
                "interval; compile the model in build(hp)"
            )


def _age(begun: int | MemberState) -> int:
    return begun.age if isinstance(begun, MemberState) else 0


@contextmanager
def _failing() -> Iterator[None]:
    """Let what a user's code raises fail the trial, with the place in that code; a full disk ends the search.

    Raises:
        OutOfMemoryError: Something did not fit into memory.
        TrialFailedError: In place of any other error.
    """
    try:
        yield
    except (FatalError, NmtPbtError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        if _is_out_of_memory(error):
            raise OutOfMemoryError(reason_of(error)) from error
        raise TrialFailedError(reason_of(error)) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether Python, TensorFlow or JAX found too little memory."""
    kinds = {kind.__name__ for kind in type(error).__mro__}  # by name: TensorFlow may not be installed
    return bool(kinds & {"MemoryError", "ResourceExhaustedError"}) or str(error).startswith("RESOURCE_EXHAUSTED")


_HERE = Path(__file__).resolve().parents[2]
_NO_REASON = ("Graph execution error", "Detected at node", "<stack traces", "Stack trace", "File ", "\t", "[[")


def reason_of(error: Exception) -> str:
    """Return in a line what went wrong, and where in the user's code."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.lstrip().startswith(_NO_REASON)]
    told = lines[0].strip() if lines else first_line(error, "no reason given")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not Path(frame.filename).resolve().is_relative_to(_HERE)
    ]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {told}{where}"
