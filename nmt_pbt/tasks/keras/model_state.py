"""The state of any Keras model in training as plain arrays, and back: weights, optimizer slots, iteration counts.

The learning rate is left out on purpose: it is a hyperparameter, and a state that brought the donor's along would
overwrite what was explored. So are the generators of dropout masks: every trial has masks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from nmt_pbt.base.errors import HandoverError, NmtPbtError
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import OPTIMIZER, WEIGHTS

Shape = tuple[int | None, ...]
"""A declared shape; an axis of None may have any length."""
_GENERATOR = "seed_generator_state"
_LEARNING_RATE = "learning_rate"
_BOOKKEEPING = ("_self_", "_tracker")  # of TensorFlow and Keras: what a model holds is named in these, too


class ShapeError(NmtPbtError):
    """A state does not fit a model: another number of variables, other shapes, types or optimizers."""


def optimizers(model: keras.Model) -> dict[str, keras.optimizers.Optimizer]:
    """Return a model's optimizers by attribute: `optimizer`, and those that a model with its own `train_step` holds.

    Those in a list, tuple or dictionary are named after it: `pair[0]`.
    """
    found = {name: held for name, held in vars(model).items() if isinstance(held, keras.optimizers.Optimizer)}
    for name, held in vars(model).items():
        if isinstance(held, (list, tuple, dict)) and not name.startswith(_BOOKKEEPING):
            items = held.items() if isinstance(held, dict) else enumerate(held)
            for key, one in items:
                if isinstance(one, keras.optimizers.Optimizer) and all(one is not known for known in found.values()):
                    found[f"{name}[{key}]"] = one
    return found


def is_built(model: keras.Model) -> bool:
    """Return whether a model has its variables; one that is not built yet may own those of its generators."""
    return bool(model.built) or any(variable.name != _GENERATOR for variable in model.variables)


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
    weights = [variable for variable in model.variables if variable.name != _GENERATOR] + _beside_the_layers(model)
    named = {f"{WEIGHTS}{index:04d}/{_stable(variable.name)}": variable for index, variable in enumerate(weights)}
    for attribute, optimizer in optimizers(model).items():
        if optimizer.built:
            slots = [variable for variable in optimizer.variables if variable.name != _LEARNING_RATE]
            prefix = f"{OPTIMIZER}{attribute}.{_kind(optimizer)}"
            named.update({f"{prefix}/{index:04d}": variable for index, variable in enumerate(slots)})
    return named


def _beside_the_layers(model: keras.Model) -> list[Any]:
    """Return variables of the backend that a model holds itself, which Keras does not know of."""
    return [
        held
        for held in vars(model).values()
        if not isinstance(held, (keras.Variable, keras.layers.Layer)) and hasattr(held, "assign") and _is_array(held)
    ]


def _is_array(held: Any) -> bool:
    return hasattr(held, "shape") and hasattr(held, "dtype") and hasattr(held, "name")


def build_optimizer(model: keras.Model) -> None:
    """Make the slots of a built and compiled model's optimizer, which Keras itself puts off until the first step."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.Optimizer) and not optimizer.built:
        optimizer.build(model.trainable_variables)


def trained_by(model: keras.Model) -> dict[str, list[int]]:
    """Return which of a model's trained variables each of its optimizers was built for, by their places."""
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    return {
        name: [places[id(variable)] for variable in getattr(optimizer, "_trainable_variables", ())]
        for name, optimizer in optimizers(model).items()
        if optimizer.built
        and all(id(variable) in places for variable in getattr(optimizer, "_trainable_variables", ()))
    }


def build_optimizers(model: keras.Model, trained: Mapping[str, Sequence[int]]) -> None:
    """Build the optimizers that a model holds as those of another one of its kind were built.

    Args:
        model: A built model.
        trained: What `trained_by` said of the other one.
    """
    variables = model.trainable_variables
    for name, optimizer in optimizers(model).items():
        if not optimizer.built and name in trained and all(place < len(variables) for place in trained[name]):
            optimizer.build([variables[place] for place in trained[name]])


def capture(model: keras.Model, epochs: int) -> MemberState:
    """Return a copy of a model's state.

    Args:
        model: A built model.
        epochs: Epochs its weights were trained on; kept as the state's age.
    """
    return MemberState({key: _to_array(variable) for key, variable in state_variables(model).items()}, epochs)


def is_finite(model: keras.Model) -> bool:
    """Return whether all numbers of a model's weights and optimizer slots are finite."""
    arrays = map(array_of, state_variables(model).values())
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
    arrays = {key: array for key, array in state.arrays.items() if key.startswith((WEIGHTS, OPTIMIZER))}
    if any(key.startswith(f"{OPTIMIZER}optimizer.") for key in arrays):
        build_optimizer(model)
    variables = state_variables(model)
    _check_fit(variables, arrays)
    for key, variable in variables.items():
        variable.assign(_as_held(arrays[key], variable))
        if not np.array_equal(_bits(array_of(variable)), _bits(arrays[key])):
            raise HandoverError(
                f"{_path(variable)} is not what was loaded into it; a variable whose assign changes the value, for "
                "instance by a constraint, cannot be handed over"
            )
    _finalize(model)


def start_with(model: keras.Model, weights: MemberState) -> None:
    """Put weights alone into a built model; its optimizers stay as they are.

    So do single numbers that are not trained: the model may keep a hyperparameter in one.

    Args:
        model: The model.
        weights: What `state.weights_of` returned of a model of the same structure.

    Raises:
        ShapeError: The weights do not fit the model.
    """
    variables = {key: variable for key, variable in state_variables(model).items() if key.startswith(WEIGHTS)}
    _check_fit(variables, weights.arrays)
    trained = {id(variable) for variable in model.trainable_variables}
    for key, variable in variables.items():
        if shape_of(variable) != () or id(variable) in trained:
            variable.assign(_as_held(weights.arrays[key], variable))
    _finalize(model)


def _check_fit(variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray]) -> None:
    differences = list(_differences(variables, arrays))
    if differences:
        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise ShapeError(differences[0] + more)


def _finalize(model: keras.Model) -> None:
    for layer in model._flatten_layers(include_self=False):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # a Normalization layer computes with what it makes of its variables here


def reseed(model: keras.Model, seed: int) -> None:
    """Start the generators of a live model's random layers afresh."""
    generators = [variable for variable in model.variables if variable.name == _GENERATOR]
    for index, variable in enumerate(generators):
        variable.assign(np.array([seed % 2**32, index], dtype="uint32"))


def _differences(variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Say where a state does not fit: `there` is the state, `here` the model."""
    for key, variable in variables.items():
        if key not in arrays:
            yield f"{_path(variable)} {shape_of(variable)} is new"
            continue
        shape, there = shape_of(variable), arrays[key]
        if not _takes(shape, there.shape):
            yield f"{_path(variable)} is {shape} instead of {there.shape}"
        elif _saved_dtype(variable) != there.dtype:
            yield f"{_path(variable)} is {_saved_dtype(variable)} instead of {there.dtype}"
    for key in arrays:
        if key not in variables:
            yield f"{key} {arrays[key].shape} has no place"


def shape_of(variable: Any) -> Shape | None:
    """Return the shape that a variable is declared with; None where TensorFlow lets it have any."""
    rank = getattr(variable.shape, "rank", 0)  # `tf.Variable(..., shape=tf.TensorShape(None))` has none
    return None if rank is None else tuple(variable.shape)


def _takes(declared: Shape | None, shape: tuple[int, ...]) -> bool:
    """Return whether a variable can be assigned an array of this shape."""
    if declared is None:
        return True
    return len(declared) == len(shape) and all(size in (None, own) for size, own in zip(declared, shape, strict=True))


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))


def array_of(variable: keras.Variable) -> np.ndarray:
    """Return a copy of what a variable holds; `keras.ops.convert_to_numpy` would take ten times as long."""
    return np.asarray(variable.numpy())


def _to_array(variable: keras.Variable) -> np.ndarray:
    return array_of(variable).view(_saved_dtype(variable))


def _as_held(array: np.ndarray, variable: keras.Variable) -> np.ndarray:
    return array.view(_held_dtype(variable))


def _held_dtype(variable: keras.Variable) -> np.dtype:
    named: np.dtype = np.dtype(keras.backend.standardize_dtype(variable.dtype))
    return named


def _saved_dtype(variable: keras.Variable) -> np.dtype:
    """Return the type of an array of a variable: NumPy has no name for bfloat16 and its like, kept as whole numbers."""
    held = _held_dtype(variable)
    return np.dtype(f"u{held.itemsize}") if held.kind == "V" else held


def _bits(array: np.ndarray) -> np.ndarray:
    """Return an array as whole numbers, of which NaN is like any other."""
    return array.view(f"u{array.dtype.itemsize}")


def _stable(name: str) -> str:
    """Drop the number that Keras counts up in the names of unnamed variables."""
    return re.sub(r"_\d+$", "", name)


def _kind(optimizer: keras.optimizers.Optimizer) -> str:
    inner = getattr(optimizer, "inner_optimizer", None)
    return type(optimizer).__name__ + (f"-{type(inner).__name__}" if inner is not None else "")
