"""Whether a model's hyperparameters are the trial's own after a donor's state was loaded into it.

A hyperparameter that a model keeps in a variable comes along with the donor's weights. Other systems train on with the
donor's value, unnoticed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

import keras
import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.tasks.keras.model_state import learning_rates, shape_of, state_variables
from nmt_pbt.tasks.protocol import LEARNING_RATE

Scalars = Mapping[str, tuple[str, float]]
"""Variables that are single numbers and not trained, where a model may keep a hyperparameter: path and value by key.

A key is that of `model_state.state_variables`, or an optimizer and `LEARNING_RATE` for a constant learning rate.
"""


def held_scalars(model: keras.Model) -> dict[str, keras.Variable]:
    """Return a built model's variables of single numbers: weights that are not trained, and constant learning rates."""
    rates = {f"{name}{LEARNING_RATE}": rate for name, rate in learning_rates(model).items()}
    untrained = {id(variable) for variable in model.non_trainable_variables}
    held = {key: variable for key, variable in state_variables(model).items() if id(variable) in untrained}
    return {
        key: variable
        for key, variable in {**held, **rates}.items()
        if shape_of(variable) == () and "float" in str(variable.dtype)
    }


def scalars(model: keras.Model) -> Scalars:
    """Return path and value of each of `held_scalars`."""
    return {key: (variable.path, float(variable)) for key, variable in held_scalars(model).items()}


def check_not_overwritten(
    fresh: Scalars, held: Scalars, donor: Mapping[str, Value], child: Mapping[str, Value]
) -> None:
    """Refuse a model whose variable held a hyperparameter of the child before the load, and the donor's after it.

    Args:
        fresh: Of the model before the load.
        held: Of the model after it.
        donor: Hyperparameters of the trial that the state is of.
        child: Hyperparameters of the trial that is to begin.

    Raises:
        UsageError: Names the hyperparameter and the variable.
    """
    numbers, others = _numbers(child), _numbers(donor)
    for key, (path, value) in fresh.items():
        for name in sorted(numbers.keys() & others.keys()):
            own, brought = numbers[name], others[name]
            if not same(own, brought) and same(value, own) and same(held[key][1], brought):
                raise UsageError(
                    f"{name} is kept in the model's variable {path}: {own:g} was overwritten by {brought:g}, which "
                    "came with the weights taken over; give the hypermodel apply(hp, model), which assigns it again"
                )


def check_not_changed(
    own: Scalars,
    loaded: Scalars,
    donor: Mapping[str, Value],
    child: Mapping[str, Value],
    begun_as_donor: Callable[[], Scalars],
) -> None:
    """Refuse to give another value to a hyperparameter that training changed in the donor, unless a learning rate.

    What it had become (a callback anneals it, for instance) says nothing of what it should be from another value. All
    that this looks at is the same in every process.

    Args:
        own: Of the model with the child's hyperparameters in force.
        loaded: Of the model with the donor's state alone.
        donor: Hyperparameters of the trial that the state is of.
        child: Hyperparameters of the trial that is to begin.
        begun_as_donor: Builds another model, as the donor's was at its start; asked only where there is a suspicion.

    Raises:
        UsageError: Names the hyperparameter and the variable.
    """
    numbers, others = _numbers(child), _numbers(donor)
    suspects = {}
    for key in own.keys() & loaded.keys():
        names = [name for name, number in numbers.items() if same(own[key][1], number)]
        if len(names) != 1 or names[0] not in others or key.endswith(LEARNING_RATE):
            continue
        number = loaded[key][1]
        if not any(same(number, value) for value in (own[key][1], others[names[0]])):
            suspects[key] = names[0]
    begun = begun_as_donor() if any(not same(numbers[name], others[name]) for name in suspects.values()) else {}
    for key, name in sorted(suspects.items()):
        was, becomes = others[name], numbers[name]
        if not same(was, becomes) and key in begun and same(begun[key][1], was):
            path, number = loaded[key]
            raise UsageError(
                f"{name} is kept in the model's variable {path}, and training changed it from {was:g} to {number:g} (a "
                f"callback?), so that {becomes:g} cannot take its place; leave that out, or declare "
                f"structural=({name!r},), which keeps variable and value together"
            )


class InForce:
    """Finds out which variables of a model keep which hyperparameters, and sees that they hold the trial's own.

    A variable is taken to keep a hyperparameter when it had its value in all models that were built, for at least two
    values, and no other hyperparameter had them too.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], set[float]] | None = None

    def learn(self, built: Scalars, values: Mapping[str, Value]) -> None:
        """Register a model that was just built.

        Args:
            built: Of the model, before anything was loaded into it.
            values: The hyperparameters it was built with.
        """
        found = {
            (key, name): number
            for key, (_, held) in built.items()
            for name, number in _numbers(values).items()
            if same(held, number)
        }
        if self._values is None:
            self._values = {pair: set() for pair in found}
        self._values = {pair: self._values[pair] | {found[pair]} for pair in self._values if pair in found}

    def check(self, held: Scalars, values: Mapping[str, Value]) -> None:
        """Refuse a live model that does not hold a trial's hyperparameters.

        Args:
            held: Of the model after the load and `apply`.
            values: The trial's hyperparameters.

        Raises:
            UsageError: Names the hyperparameter and the variable.
        """
        pairs = [pair for pair, seen in (self._values or {}).items() if len(seen) > 1]
        candidates = Counter(key for key, _ in pairs)
        for key, name in pairs:
            if key not in held or name not in values or candidates[key] > 1:
                continue  # a schedule holds no number of its own
            path, number = held[key]
            if not same(number, values[name]):
                raise UsageError(
                    f"apply(hp, model) leaves {name} at {number:g} in the variable {path}, where this trial's value is "
                    f"{float(values[name]):g}; assign it in apply: what is not assigned stays the donor's"
                )


def check_learning_rates(live: keras.Model, fresh: keras.Model) -> None:
    """Refuse an `apply` after which the live model learns at another rate than one built with the same values.

    Raises:
        UsageError: Names the optimizer.
    """
    wanted = learning_rates(fresh)
    for name, rate in learning_rates(live).items():
        if name in wanted and not same(float(rate), float(wanted[name])):
            raise UsageError(
                f"apply(hp, model) leaves the learning rate of model.{name} at {float(rate):g}, where build(hp) makes "
                f"it {float(wanted[name]):g}; assign it in apply: model.{name}.learning_rate = ..."
            )


def same(first: Value, second: Value) -> bool:
    """Return whether two values are equal; numbers may differ by what 32 bits lose."""
    if isinstance(first, (bool, str)) or isinstance(second, (bool, str)):
        return first == second
    return math.isclose(float(np.float32(first)), float(np.float32(second)), rel_tol=1e-6)


def _numbers(values: Mapping[str, Value]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
