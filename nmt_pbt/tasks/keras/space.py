"""Which hyperparameters a hypermodel has: found by building it with their least and greatest values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner

from nmt_pbt.base.types import Value
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.model_state import is_built
from nmt_pbt.tasks.keras.models import Shapes, shapes_of

_DECLARING = {"Boolean", "Choice", "Fixed", "Float", "Int"}
_MOST_CHOICES = 8  # of a list of values, so many are tried


@dataclass(frozen=True)
class FoundSpace:
    """What was found.

    Attributes:
        hyperparameters: All that the hypermodel asks for, whatever the values of the others.
        structural: For each that changes what variables the model has, where two models differ. Models that Keras
            builds only when they see data do not tell.
    """

    hyperparameters: keras_tuner.HyperParameters
    structural: dict[str, str]


def find_space(
    build: Callable[[keras_tuner.HyperParameters], keras.Model], given: keras_tuner.HyperParameters | None
) -> FoundSpace:
    """Find the hyperparameters that a build function asks for, conditional ones and those of loops too.

    Args:
        build: Builds a model.
        given: Hyperparameters that are known; they stay as they are.

    Returns:
        What was found. A build that fails with other values than the first is left to the search.
    """
    space = given.copy() if given is not None else keras_tuner.HyperParameters()
    usual = _shapes(build(space))
    structural: dict[str, str] = {}
    tried: set[tuple[str, str]] = set()
    while True:
        waiting = [
            (known, value)
            for known in space.space
            for value in _extremes(known)
            if (f"{known.name} {known.conditions}", repr(value)) not in tried
        ]
        if not waiting:
            return FoundSpace(space, structural)
        for known, value in waiting:
            tried.add((f"{known.name} {known.conditions}", repr(value)))
            changed = space.copy()
            for condition in known.conditions:
                changed.values[condition.name] = condition.values[0]
            changed.values[known.name] = value
            changed.ensure_active_values()
            try:
                shapes = _shapes(build(changed))
            except Exception:  # noqa: BLE001 - whatever it is, the trial that has these values will tell
                continue
            space.merge(changed.space, overwrite=False)
            if usual is not None and shapes is not None and not known.conditions and shapes != usual:
                structural.setdefault(known.name, _difference(usual, shapes))


def _shapes(model: Any) -> Shapes | None:
    if isinstance(model, keras.Model) and is_built(model):
        return shapes_of(model)
    return None


def _difference(here: Shapes, there: Shapes) -> str:
    for key, (shape, _) in here.items():
        if key not in there:
            return f"{key} {shape} has no place"
        if there[key] != here[key]:
            return f"{key} is {there[key][0]} instead of {shape}"
    return f"{next(key for key in there if key not in here)} is new"


def _extremes(known: Any) -> Iterator[Value]:
    """Yield the values of a hyperparameter that decide what others there are: its ends, or its choices."""
    if hasattr(known, "min_value"):
        yield known.min_value
        yield known.max_value
    else:
        values = list(getattr(known, "values", ()))
        yield from values if len(values) <= _MOST_CHOICES else (values[0], values[-1])


def fits_itself(hypermodel: keras_tuner.HyperModel) -> bool:
    """Return whether a hypermodel has a `fit` of its own."""
    return type(hypermodel).fit is not keras_tuner.HyperModel.fit


class _Enough(Exception):
    """What `fit` does before it trains is done."""


class _Stop(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.on_train_begin = self.on_epoch_begin = self.on_epoch_end = self._stop

    def set_model(self, model: keras.Model) -> None:
        self._stop()

    def _stop(self, *_: Any) -> None:
        raise _Enough


def with_space_of_fit(
    hypermodel: keras_tuner.HyperModel,
    build: Callable[[keras_tuner.HyperParameters], keras.Model],
    space: keras_tuner.HyperParameters,
    arguments: FitArguments,
) -> keras_tuner.HyperParameters:
    """Return a space with the hyperparameters that a `HyperModel.fit` asks for before it trains.

    Args:
        hypermodel: If its `fit` names such in its own code, that is called, and stopped where it begins to train.
        build: Builds a model of it.
        space: What is known.
        arguments: Of `fit`.
    """
    code = getattr(inspect.unwrap(type(hypermodel).fit), "__code__", None)
    if not fits_itself(hypermodel) or code is None or not _DECLARING & set(code.co_names):
        return space
    found = space.copy()
    model = build(found)

    def stop(*_: Any, **__: Any) -> None:
        raise _Enough

    model.fit = stop
    positional, named = arguments.made()
    set_here = {"epochs": 1, "initial_epoch": 0, "callbacks": [_Stop()]}
    with suppress(_Enough):
        hypermodel.fit(found, model, *positional, **{**named, **set_here})
    whole = space.copy()
    whole.merge(found.space, overwrite=False)
    return whole
