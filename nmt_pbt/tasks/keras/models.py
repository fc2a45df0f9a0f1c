"""The model of one trainable: built when it must be, kept alive when it can be, and handed states."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalTypeError

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.oracles.keras_tuner_internals import maybe_compute_model_size
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.in_force import (
    InForce,
    Scalars,
    check_learning_rates,
    check_not_changed,
    check_not_overwritten,
    held_scalars,
    same,
    scalars,
)
from nmt_pbt.tasks.keras.model_state import (
    Shape,
    ShapeError,
    build_optimizer,
    build_optimizers,
    capture,
    is_built,
    learning_rates,
    load,
    shape_of,
    state_variables,
    trained_by,
)
from nmt_pbt.tasks.protocol import LEARNING_RATE, MemberState


class WhatToFit(Protocol):
    """What models and their training ask of a task; see `task.KerasTask`."""

    @property
    def hypermodel(self) -> Any:
        """Fits models."""

    @property
    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """All that the hypermodel asks for."""

    @property
    def arguments(self) -> FitArguments:
        """Arguments of `fit`."""

    @property
    def objective(self) -> Any:
        """KerasTuner's objective."""

    @property
    def objective_names(self) -> tuple[str, ...]:
        """The metrics that make it up."""

    @property
    def structural(self) -> frozenset[str]:
        """Hyperparameters that change what variables a model has."""

    @property
    def start(self) -> MemberState | None:
        """Weights that models start from; None draws fresh ones."""

    @property
    def max_retries(self) -> int:
        """How often a trial that raised is tried again."""

    @property
    def apply(self) -> Callable[[keras_tuner.HyperParameters, keras.Model], None] | None:
        """What puts hyperparameters in force in a live model."""

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a compiled model."""

    def with_values(self, values: Mapping[str, Value]) -> keras_tuner.HyperParameters:
        """Return the hyperparameters with these values."""


@dataclass(frozen=True)
class Donor:
    """What a model goes on from.

    Attributes:
        state: The state; of its arrays, weights and optimizers are loaded.
        hp: The hyperparameters it was trained with.
        build_config: What `Model.get_build_config` said of its model then.
        trained_by: Which of its variables each of its optimizers trains; see `model_state.trained_by`.
    """

    state: MemberState
    hp: keras_tuner.HyperParameters
    build_config: Mapping[str, Any] | None
    trained_by: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class _Built:
    """A compiled model that stays.

    Attributes:
        model: The model.
        hp: What it was built with.
        rates: Its constant learning rates then.
        held: Its single numbers then; None where it had no variables yet.
    """

    model: keras.Model
    hp: keras_tuner.HyperParameters
    rates: Mapping[str, float]
    held: Scalars | None


class LiveModel:
    """A model that stands where a job starts, with the job's own hyperparameters in force.

    With `apply`, one compiled model stays alive and states are copied into it. Without, a model can only take states
    that are to be trained with the values it was built with; those of the values used last stay.

    Args:
        task: Builds compiled models, and knows whether and how hyperparameters are put in force in a live one.
        most: Models that may stay; the one that was not used for longest is let go.
    """

    def __init__(self, task: WhatToFit, most: int) -> None:
        self._build = task.build_model
        self._apply = task.apply
        self._structural = task.structural
        self._most = most
        self._kept: dict[str, _Built] = {}
        self._in_force = InForce()

    @property
    def model(self) -> keras.Model:
        """The model; there is one once it was begun or gone on with."""
        return self._current.model

    @property
    def _current(self) -> _Built:
        assert self._kept, "begin or go_on comes first"
        return next(reversed(self._kept.values()))

    def begin(self, hp: keras_tuner.HyperParameters) -> None:
        """Start with fresh weights, as the build function draws them.

        Args:
            hp: The hyperparameters.

        Raises:
            UsageError: A hyperparameter would not be in force, or the model cannot be built without data.
        """
        if self._apply is None or not self._find(hp):
            self._add(self._build(hp), hp)
            if self._apply is not None and is_built(self.model):
                self._apply(hp, self.model)
            return
        live, fresh = self.model, self._build(hp)
        _build_variables(fresh, live.get_build_config())
        build_optimizer(fresh)
        build_optimizers(fresh, trained_by(live))
        self._in_force.learn(scalars(fresh), searched(hp))
        self._reset_rates()
        self._load(capture(fresh, 0), hp, hp)
        self._apply(hp, live)
        check_learning_rates(live, fresh)
        self._in_force.check(scalars(live), searched(hp))

    def go_on(self, hp: keras_tuner.HyperParameters, donor: Donor) -> None:
        """Take over a state.

        Args:
            hp: The hyperparameters to go on with.
            donor: The state.

        Raises:
            UsageError: The state does not fit, because of a hyperparameter that was not declared structural; or a
                hyperparameter would not be in force; or the model cannot be built without data.
            HandoverError: The model holds something else after the load.
        """
        if not self._find(hp):
            model = self._build(hp)
            _build_variables(model, donor.build_config)
            self._add(model, hp)
        build_optimizers(self.model, donor.trained_by)
        self._reset_rates()
        own, brought = searched(hp), searched(donor.hp)
        there = donor.hp if self._apply is None or self._current.hp.values == hp.values else self._current.hp
        if own == brought:
            if self._apply is not None:
                # Before the load: what training made of a variable that apply assigns goes on, as in a live model.
                self._apply(hp, self.model)
            self._load(donor.state, there, hp)
            return
        self._load(donor.state, there, hp)
        loaded = scalars(self.model)
        if self._apply is None:
            in_force = self._held_at_start(hp)
            check_not_overwritten(in_force, loaded, brought, own)
            check_not_changed(in_force, loaded, brought, own, lambda: self._begun(donor.hp))
            return
        as_donor = self._applied(donor.hp)
        in_force = self._applied(hp)
        self._in_force.check(in_force, own)
        check_not_changed(in_force, loaded, brought, own, lambda: self._begun(donor.hp))
        for key, variable in held_scalars(self.model).items():
            # Where apply assigns what it assigned to the donor's model, what training made of that goes on.
            if not key.endswith(LEARNING_RATE) and as_donor[key] == in_force[key] != loaded[key]:
                variable.assign(loaded[key][1])

    def _applied(self, hp: keras_tuner.HyperParameters) -> Scalars:
        """Put hyperparameters in force in the live model, and return its single numbers then."""
        assert self._apply is not None
        self._apply(hp, self.model)
        return scalars(self.model)

    def _held_at_start(self, hp: keras_tuner.HyperParameters) -> Scalars:
        """Return the current model's single numbers as it was built, with its variables."""
        built = self._current
        if built.held is None:  # it has its variables only since it saw data
            built = self._kept[self._key(hp)] = replace(built, held=self._begun(hp))
        assert built.held is not None
        return built.held

    def _begun(self, hp: keras_tuner.HyperParameters) -> Scalars:
        """Build another model with these values, and return its single numbers."""
        model = self._build(hp)
        _build_variables(model, self.model.get_build_config())
        if self._apply is not None:
            self._apply(hp, model)
        return scalars(model)

    def _find(self, hp: keras_tuner.HyperParameters) -> bool:
        """Make the model that can be used with these values the current one; tell whether there is one."""
        built = self._kept.get(self._key(hp))
        if built is None or not is_built(built.model):
            return False
        self._kept[self._key(hp)] = self._kept.pop(self._key(hp))  # last: the latest used
        return True

    def _key(self, hp: keras_tuner.HyperParameters) -> str:
        return "" if self._apply is not None else repr(sorted(searched(hp).items()))

    def _add(self, model: keras.Model, hp: keras_tuner.HyperParameters) -> None:
        self._kept.pop(self._key(hp), None)
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
            gc.collect()  # a model's layers refer to one another
        rates = {name: float(rate) for name, rate in learning_rates(model).items()}
        held = scalars(model) if is_built(model) else None
        self._kept[self._key(hp)] = _Built(model, hp.copy(), rates, held)
        if held is not None and self._apply is not None:
            self._in_force.learn(held, searched(hp))

    def _reset_rates(self) -> None:
        """Put the learning rates back with which the current model was built: a callback may have changed them."""
        for name, rate in learning_rates(self.model).items():
            if name in self._current.rates:
                rate.assign(self._current.rates[name])

    def _load(self, state: MemberState, there: keras_tuner.HyperParameters, here: keras_tuner.HyperParameters) -> None:
        """Copy a state into the current model.

        Args:
            state: The state.
            there: The hyperparameters to name in an error: of the state, or of the model that takes it.
            here: Those of the trial that is to begin.
        """
        try:
            load(self.model, state)
        except ShapeError as error:
            raise self._explained(error, there, here) from None

    # --- explaining ---

    def _explained(
        self, error: ShapeError, there: keras_tuner.HyperParameters, here: keras_tuner.HyperParameters
    ) -> UsageError:
        """Find the hyperparameters that change the model's shapes, by building it with each of them changed alone."""
        names = {hyperparameter.name for hyperparameter in here.space} & there.values.keys() & here.values.keys()
        changed = [name for name in sorted(names) if not same(there.values[name], here.values[name])]
        shapes = self._shapes(there, {})
        guilty = [
            name
            for name in changed
            if name not in self._structural and self._shapes(there, {name: here.values[name]}) != shapes
        ]
        if guilty:
            return not_declared(guilty, str(error))
        return UsageError(
            f"one model does not take the weights of another ({error}), and no hyperparameter explains it; "
            "build(hp) has to return the same structure for the same structural hyperparameters"
        )

    def _shapes(self, hp: keras_tuner.HyperParameters, changes: Mapping[str, Value]) -> Shapes:
        """Return the shapes of a model for data such as this one had."""
        hp = hp.copy()
        hp.values.update(changes)
        model = self._build(hp)
        _build_variables(model, self.model.get_build_config())
        return shapes_of(model)


Shapes = Mapping[str, tuple[Shape | None, str]]
"""Shape and type of every variable of a model's state."""


def shapes_of(model: keras.Model) -> Shapes:
    """Return shape and type of every variable of the state of a built model."""
    build_optimizer(model)
    return {key: (shape_of(variable), str(variable.dtype)) for key, variable in state_variables(model).items()}


def not_declared(names: Sequence[str], difference: str) -> UsageError:
    """Return the error of hyperparameters that change shapes and are not declared structural.

    Args:
        names: The hyperparameters.
        difference: Where two models differ.
    """
    listed = ", ".join(names)
    verb = "decide" if len(names) > 1 else "decides"
    return UsageError(
        f"{listed} {verb} what variables the model has, so that one model does not take the weights of another "
        f"({difference}); declare with structural={tuple(names)!r}, which keeps weights and value together"
    )


def check_model(model: Any, largest: int | None) -> keras.Model:
    """Return a model that was built, after KerasTuner's checks.

    Args:
        model: What build(hp) returned.
        largest: Parameters it may have; None for any number.

    Raises:
        keras_tuner.errors.FatalTypeError: It is no model.
        keras_tuner.errors.FailedTrialError: It is too large.
    """
    if not isinstance(model, keras.Model):
        raise FatalTypeError(f"build(hp) has to return a Keras model; it returned {type(model).__name__}")
    size = maybe_compute_model_size(model)
    if largest and size > largest:
        raise FailedTrialError(f"the model has {size} parameters, more than max_model_size={largest}")
    return model


def _build_variables(model: keras.Model, build_config: Mapping[str, Any] | None) -> None:
    """Make the variables of a model that Keras would make only when it sees data."""
    if is_built(model):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where an error follows here
        model.build_from_config(build_config)
    if not is_built(model):
        raise UsageError("the model cannot be built without data; build it in build(hp), for instance with keras.Input")


def searched(hp: keras_tuner.HyperParameters) -> dict[str, Value]:
    """Return the values of the search space alone, without bookkeeping."""
    return {name: hp.values[name] for name in (known.name for known in hp.space) if name in hp.values}
