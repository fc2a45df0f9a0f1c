"""The models of one worker: built when they must be, kept alive when they can be, and handed states."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalTypeError

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.search.keras_tuner_internals import maybe_compute_model_size
from nmt_pbt.tasks.keras.in_force import (
    InForce,
    check_learning_rates,
    check_not_overwritten,
    same,
    scalars,
)
from nmt_pbt.tasks.keras.model_state import (
    ShapeError,
    build_optimizer,
    capture,
    learning_rates,
    load,
    reseed,
    state_variables,
)
from nmt_pbt.tasks.protocol import MemberState

Build = Callable[[keras_tuner.HyperParameters], keras.Model]
_Key = tuple[tuple[str, Value], ...]
_MOST_LIVE = 4  # models that stay; of more shapes, the one that was not used for longest is let go


@dataclass
class _Live:
    """A compiled model that stays, the values it was built with, the learning rates it had then, and what it keeps."""

    model: keras.Model
    built_with: keras_tuner.HyperParameters
    rates: Mapping[str, float]
    in_force: InForce


@dataclass(frozen=True)
class Parent:
    """What a trial goes on from.

    Attributes:
        trial: The parent.
        state: What it ended with.
        build_config: What `Model.get_build_config` said of its model then.
    """

    trial: Trial
    state: MemberState
    build_config: Mapping[str, Any] | None


class Models:
    """Gives each trial a model that stands where its parent stopped, with the trial's own hyperparameters in force.

    Args:
        hypermodel: May offer `apply(hp, model)`.
        build: Builds a model of it through KerasTuner, with its checks.
        structural_among: Returns which of some names are declared structural.
        seed: Of the generators of live models; None leaves them as they are.
    """

    def __init__(
        self, hypermodel: Any, build: Build, structural_among: Callable[[Iterable[str]], set[str]], seed: int | None
    ) -> None:
        self._apply = getattr(hypermodel, "apply", None)
        self._build = build
        self._structural_among = structural_among
        self._seed = seed
        self._live: dict[_Key, _Live] = {}

    def take_up(self, trial: Trial, parent: Parent | None) -> keras.Model:
        """Return a model for a trial.

        Args:
            trial: The trial.
            parent: What it goes on from; None for fresh weights.

        Raises:
            UsageError: The state does not fit, because of a hyperparameter that was not declared structural; or a
                hyperparameter would not be in force; or the model cannot be built without data.
            HandoverError: The model holds something else after the load.
        """
        if self._apply is not None:
            return self._take_up_live(trial, parent)
        model = self._build(trial.hyperparameters)
        if parent is not None:
            self._hand_over(model, trial, parent)
        return model

    def load(self, ended: Parent) -> keras.Model:
        """Return a new model that stands where a trial ended, with that trial's hyperparameters in force.

        Args:
            ended: The trial and its state.

        Raises:
            UsageError: The model cannot be built without data.
        """
        model = self._build(ended.trial.hyperparameters)
        _build_variables(model, ended.build_config)
        load(model, ended.state)
        self._put_in_force(ended.trial.hyperparameters, model)
        return model

    # --- handing over ---

    def _hand_over(self, model: keras.Model, trial: Trial, parent: Parent) -> None:
        """Hand a state to a model that was just built for a trial."""
        _build_variables(model, parent.build_config)
        fresh = scalars(model)
        try:
            load(model, parent.state)
        except ShapeError as error:
            raise self._explained(error, parent.trial.hyperparameters, trial.hyperparameters, model) from None
        self._put_in_force(trial.hyperparameters, model)
        check_not_overwritten(
            fresh, scalars(model), _searched(parent.trial.hyperparameters), _searched(trial.hyperparameters)
        )

    def _take_up_live(self, trial: Trial, parent: Parent | None) -> keras.Model:
        hp = trial.hyperparameters
        key = tuple((name, hp.values[name]) for name in sorted(self._structural_among(hp.values)))
        live = self._live.pop(key, None)
        if live is None or not live.model.variables:
            if len(self._live) >= _MOST_LIVE:
                del self._live[next(iter(self._live))]
            return self._begin_live(key, trial, parent)
        self._live[key] = live  # last: the latest used
        for name, rate in learning_rates(live.model).items():
            rate.assign(live.rates[name])  # a callback may have changed it
        fresh = None
        if parent is None:
            fresh = self._build(hp)
            _build_variables(fresh, live.model.get_build_config())
            build_optimizer(fresh)
            live.in_force.learn(scalars(fresh), _searched(hp))
        try:
            load(live.model, capture(fresh, 0) if parent is None else parent.state)
        except ShapeError as error:
            raise self._explained(error, live.built_with, hp, live.model) from None
        self._put_in_force(hp, live.model)
        if fresh is not None:
            check_learning_rates(live.model, fresh)
        live.in_force.check(scalars(live.model), _searched(hp))
        if self._seed is not None:
            reseed(live.model, derive_seed(self._seed, "masks", trial.trial_id))
        return live.model

    def _begin_live(self, key: _Key, trial: Trial, parent: Parent | None) -> keras.Model:
        """Build a model that is to stay."""
        hp = trial.hyperparameters
        model = self._build(hp)
        rates = {name: float(rate) for name, rate in learning_rates(model).items()}
        live = self._live[key] = _Live(model, hp.copy(), rates, InForce())
        if model.variables:
            live.in_force.learn(scalars(model), _searched(hp))
        if parent is not None:
            self._hand_over(model, trial, parent)
        elif model.variables:
            self._put_in_force(hp, model)
        return model

    def _put_in_force(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        if self._apply is not None:
            self._apply(hp, model)

    # --- explaining ---

    def _explained(
        self,
        error: ShapeError,
        there: keras_tuner.HyperParameters,
        here: keras_tuner.HyperParameters,
        model: keras.Model,
    ) -> UsageError:
        """Find the hyperparameters that change the model's shapes, by building it with each of them changed alone."""
        names = {hyperparameter.name for hyperparameter in here.space} & there.values.keys() & here.values.keys()
        changed = [name for name in sorted(names) if not same(there.values[name], here.values[name])]
        declared = self._structural_among(changed)
        shapes = self._shapes(there, {}, model)
        guilty = [
            name
            for name in changed
            if name not in declared and self._shapes(there, {name: here.values[name]}, model) != shapes
        ]
        if not guilty:
            return UsageError(
                f"one model does not take the weights of another ({error}), and no hyperparameter explains it; "
                "build(hp) has to return the same structure for the same structural hyperparameters"
            )
        listed = ", ".join(guilty)
        verb = "decide" if len(guilty) > 1 else "decides"
        return UsageError(
            f"{listed} {verb} what variables the model has, so that one model does not take the weights of another "
            f"({error}); declare with structural={tuple(guilty)!r}, which keeps weights and value together"
        )

    def _shapes(
        self, hp: keras_tuner.HyperParameters, changes: Mapping[str, Value], like: keras.Model
    ) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return shape and type of every variable of the state of a model, for data such as another one had."""
        hp = hp.copy()
        hp.values.update(changes)
        model = self._build(hp)
        _build_variables(model, like.get_build_config())
        build_optimizer(model)
        return {key: (tuple(variable.shape), str(variable.dtype)) for key, variable in state_variables(model).items()}


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
    if model.built or model.variables:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where an error follows here
        model.build_from_config(build_config)
    if not model.variables:
        raise UsageError("the model cannot be built without data; build it in build(hp), for instance with keras.Input")


def _searched(hp: keras_tuner.HyperParameters) -> dict[str, Value]:
    """Return a trial's values of the search space alone, without bookkeeping."""
    return {name: hp.values[name] for name in (known.name for known in hp.space) if name in hp.values}
