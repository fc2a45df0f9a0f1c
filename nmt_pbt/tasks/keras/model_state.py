"""The state of any Keras model in training as plain arrays, and back: weights, optimizer slots, iteration counts.

The learning rate is left out on purpose: it is a hyperparameter, and a state that brought the donor's along would
overwrite what was explored. So are the generators of dropout masks: every trial has masks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from nmt_pbt.base.errors import HandoverError, NmtPbtError
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import OPTIMIZER, WEIGHTS, content_hash

_GENERATOR = "seed_generator_state"
_LEARNING_RATE = "learning_rate"


class ShapeError(NmtPbtError):
    """A state does not fit a model: another number of variables, other shapes, types or optimizers."""


def optimizers(model: keras.Model) -> dict[str, keras.optimizers.Optimizer]:
    """Return a model's optimizers by attribute: `optimizer`, and those that a model with its own `train_step` holds."""
    return {name: held for name, held in vars(model).items() if isinstance(held, keras.optimizers.Optimizer)}


def learning_rates(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of constant learning rates, by the optimizer's attribute; a schedule has none."""
    return {
        name: variable
        for name, optimizer in optimizers(model).items()
        for variable in optimizer.variables
        if variable.name == _LEARNING_RATE
    }


def state_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables that make a model's state, by a key that does not depend on automatic names.

    Args:
        model: A built model.

    Returns:
        `weights/INDEX/NAME` and `optimizer/ATTRIBUTE.CLASS/INDEX`, in the model's own order.
    """
    weights = [variable for variable in model.variables if variable.name != _GENERATOR]
    named = {f"{WEIGHTS}{index:04d}/{_stable(variable.name)}": variable for index, variable in enumerate(weights)}
    for attribute, optimizer in optimizers(model).items():
        if optimizer.built:
            slots = [variable for variable in optimizer.variables if variable.name != _LEARNING_RATE]
            prefix = f"{OPTIMIZER}{attribute}.{_kind(optimizer)}"
            named.update({f"{prefix}/{index:04d}": variable for index, variable in enumerate(slots)})
    return named


def build_optimizer(model: keras.Model) -> None:
    """Make the slots of a built and compiled model's optimizer, which Keras itself puts off until the first step."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def capture(model: keras.Model, epochs: int) -> MemberState:
    """Return a copy of a model's state.

    Args:
        model: A built model.
        epochs: Epochs its weights were trained on; kept as the state's age.
    """
    return MemberState({key: _to_array(variable) for key, variable in state_variables(model).items()}, epochs)


def is_finite(model: keras.Model) -> bool:
    """Return whether all numbers of a model's weights and optimizer slots are finite."""
    arrays = (keras.ops.convert_to_numpy(variable) for variable in state_variables(model).values())
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind not in "biu")


def load(model: keras.Model, state: MemberState) -> None:
    """Put a state into a built model, and check that the model then holds it, bit for bit.

    The model's learning rates stay as they are.

    Args:
        model: The model; its optimizer is built first, for Keras drops the slots of one that is not.
        state: What `capture` returned of a model of the same structure.

    Raises:
        ShapeError: The state does not fit the model.
        HandoverError: The model holds something else after the load.
    """
    if any(key.startswith(f"{OPTIMIZER}optimizer.") for key in state.arrays):
        build_optimizer(model)
    variables = state_variables(model)
    differences = list(_differences(variables, state.arrays))
    if differences:
        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise ShapeError(differences[0] + more)
    for key, variable in variables.items():
        variable.assign(_as_held(state.arrays[key], variable))
    held = capture(model, state.age)
    if content_hash(held) != content_hash(state):
        wrong = next(key for key in variables if held.arrays[key].tobytes() != state.arrays[key].tobytes())
        raise HandoverError(
            f"{variables[wrong].path} is not what was loaded into it; a variable whose assign changes the value, for "
            "instance by a constraint, cannot be handed over"
        )


def reseed(model: keras.Model, seed: int) -> None:
    """Start the generators of a live model's random layers afresh."""
    generators = [variable for variable in model.variables if variable.name == _GENERATOR]
    for index, variable in enumerate(generators):
        variable.assign(np.array([seed % 2**32, index], dtype="uint32"))


def _differences(variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Say where a state does not fit: `there` is the state, `here` the model."""
    for key, variable in variables.items():
        if key not in arrays:
            yield f"{variable.path} {tuple(variable.shape)} is new"
            continue
        here = _to_array(variable)
        there = arrays[key]
        if here.shape != there.shape:
            yield f"{variable.path} is {here.shape} instead of {there.shape}"
        elif here.dtype != there.dtype:
            yield f"{variable.path} is {here.dtype} instead of {there.dtype}"
    for key in arrays:
        if key not in variables:
            yield f"{key} {arrays[key].shape} has no place"


def _to_array(variable: keras.Variable) -> np.ndarray:
    array = np.array(keras.ops.convert_to_numpy(variable))
    # NumPy has no name for bfloat16 and its like: their bytes are kept as whole numbers.
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _as_held(array: np.ndarray, variable: keras.Variable) -> np.ndarray:
    held = keras.ops.convert_to_numpy(variable).dtype
    return array.view(held) if held.kind == "V" else array


def _stable(name: str) -> str:
    """Drop the number that Keras counts up in the names of unnamed variables."""
    return re.sub(r"_\d+$", "", name)


def _kind(optimizer: keras.optimizers.Optimizer) -> str:
    inner = getattr(optimizer, "inner_optimizer", None)
    return type(optimizer).__name__ + (f"-{type(inner).__name__}" if inner is not None else "")
