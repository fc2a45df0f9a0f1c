"""What a task and its trainables declare and return, checked: a mistake in one's own is told with its method."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Set
from typing import Any, TypeVar

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import (
    Evaluation,
    MemberState,
    Objective,
    SearchableTask,
    Task,
    TestResult,
    Trainable,
)

T = TypeVar("T")
_SET: type[Set[str]] = Set  # type: ignore[type-abstract]

_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    Mapping: "a dict",
    Set: "a frozenset of names",
    Space: "a nmt_pbt.space.space.Space",
    **{
        kind: f"a nmt_pbt.tasks.protocol.{kind.__name__}"
        for kind in (Objective, Evaluation, MemberState, TestResult, Trainable, Task, SearchableTask)
    },
}
"""What each kind of thing that is expected is called."""


def check_complete(task: object) -> None:
    """Refuse what lacks something of a task that can be searched.

    Raises:
        UsageError: Names what it lacks.
    """
    if lacking := _lacking(task, SearchableTask):
        raise UsageError(
            f"{type(task).__name__}: has no {lacking}; inherit from {_WORDS[SearchableTask][2:]}, or make a task of a "
            "Keras model with nmt_pbt.keras_task"
        )


def declared(task: object, name: str, kind: type[T]) -> T:
    """Return what a task declares.

    Args:
        task: The task.
        name: Of the attribute or property.
        kind: What it has to be.

    Raises:
        UsageError: It is of another kind, or cannot be used; names the class and the attribute.
    """
    where = f"{type(task).__name__}.{name}"
    value = getattr(task, name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UsageError(f"{where}: is {_shown(value)} where {kind.__name__} is expected; make it {_WORDS[kind]}")
    _check_declared(task, where, value)
    return value


def _check_declared(task: object, where: str, value: object) -> None:
    """Refuse what is of the right kind, and yet cannot be used."""
    match value:
        case int() if value < 1:
            raise UsageError(f"{where}: is {value}; make it a whole number, at least 1")
        case "":
            raise UsageError(f"{where}: is empty; make it a text")
        case Objective(name=metric) if not isinstance(metric, str):
            raise UsageError(f"{where}: has the name {metric!r}; name a metric that evaluate returns")
        case Objective(direction=direction) if direction not in ("min", "max"):
            raise UsageError(f"{where}: has the direction {direction!r}; make it 'min' or 'max'")
        case Space():
            moving = sorted(declared(task, "structural", _SET) & {*value.names} - value.structural)
            if moving:
                raise UsageError(
                    f"{type(task).__name__}.structural: names {moving[0]}, which search_space lets change in training; "
                    "give Space the same structural="
                )


def check_answer(asked: object, method: str, answer: object, kind: type) -> None:
    """Refuse what a task or trainable must not return.

    Args:
        asked: The task or trainable.
        method: Which of its methods returned it.
        answer: What it returned.
        kind: What it has to be. Metrics have to be numbers, those of a test finite ones, and arrays of a state arrays.

    Raises:
        UsageError: Names the class and the method.
    """
    where = f"{type(asked).__name__}.{method}"
    if kind in (Task, Trainable):
        if lacking := _lacking(answer, kind):
            raise UsageError(
                f"{where}: returned {type(answer).__name__}, which has no {lacking}; return {_WORDS[kind]}"
            )
        return
    _check_kind(where, answer, kind)
    match answer:
        case MemberState():
            _check_kind(where, answer.arrays, Mapping, " as arrays")
            _check_kind(where, answer.age, int, " as age")
            for name, array in answer.arrays.items():
                _check_array(where, name, array)
        case Evaluation():
            _check_kind(where, answer.metrics, Mapping, " as metrics")
            _check_metrics(where, answer.metrics)
        case TestResult():
            for result in (answer, *answer.others):
                _check_kind(where, result, TestResult, " as one of others")
                _check_kind(where, result.metrics, Mapping, " as metrics")
                _check_metrics(where, result.metrics, finite=True)
        case Mapping() if method == "train":
            _check_metrics(where, answer)


def fault_of(trainable: object, *methods: str) -> str:
    """Return whose fault it is that a model did not take over what it should, and what to do about it.

    Args:
        trainable: The model.
        *methods: Of its methods, those that may be wrong.
    """
    kind = type(trainable)
    found = " or ".join(f"{kind.__name__}.{method}" for method in methods)
    if kind.__module__.startswith("nmt_pbt."):
        return f"this is a fault of {found}: report it"
    return f"this is a fault of {found}: correct it; nmt_pbt.testing.check_task tells more"


def _lacking(value: object, kind: type) -> str:
    """Return what a value lacks of a protocol, as a list of names. Properties are not asked: they may raise."""
    names = [
        name
        for part in kind.__mro__
        for name, member in vars(part).items()
        if name[0] != "_" and not isinstance(member, bool)  # what need not be promised
    ]
    return ", ".join(
        n for n in names if inspect.getattr_static(value, n, _lacking) is _lacking and not hasattr(value, n)
    )


def _check_kind(where: str, value: object, kind: type, named: str = "") -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UsageError(
            f"{where}: returned {type(value).__name__}{named} where {kind.__name__} is expected; return {_WORDS[kind]}"
        )


def _check_array(where: str, name: object, array: Any) -> None:
    if not isinstance(name, str):
        raise UsageError(f"{where}: names an array {name!r}; return texts as names, such as 'weights/w'")
    if not isinstance(array, (np.ndarray, np.generic)):
        raise UsageError(f"{where}: returned {type(array).__name__} as {name}; return a NumPy array of numbers")
    if array.dtype.kind in "OSUMm":
        raise UsageError(f"{where}: returned an array of {array.dtype} as {name}; return a NumPy array of numbers")


def _check_metrics(where: str, metrics: Mapping[Any, Any], finite: bool = False) -> None:
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise UsageError(f"{where}: names a metric {name!r}; return texts as names, such as 'val_loss'")
        number = _number(value)
        if number is None:
            raise UsageError(f"{where}: returned {_shown(value)} as {name}, which is no number; return a float")
        if finite and not math.isfinite(number):
            raise UsageError(f"{where}: returned {value} as {name}, which is not finite; leave it out, or correct it")


def _number(value: Any) -> float | None:
    """Return a value as a number, be it one of a library's own; None where it is none."""
    if isinstance(value, (str, bytes)):
        return None  # that of a text could be read
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _shown(value: object) -> str:
    """Return a value as an error quotes it, in short."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
