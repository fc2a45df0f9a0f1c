"""Where a live model holds its mutable hyperparameters: each part that uses one binds its variable under the name."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from nmt_pbt.base.types import Value

Number = TypeVar("Number", int, float)
Holder = TypeVar("Holder")


class PlainValue(Generic[Number]):
    """Holds a value that Python code reads, as a variable holds one that a graph reads.

    Args:
        value: The value at first; whatever is assigned is converted to its type.
    """

    def __init__(self, value: Number) -> None:
        self.value: Number = value

    def assign(self, value: Number) -> None:
        """Hold this value from now on."""
        self.value = type(self.value)(value)


class Bindings:
    """The holders of each hyperparameter's value: variables, or a `PlainValue`."""

    def __init__(self) -> None:
        self._holders: dict[str, list[Any]] = {}

    def bind(self, name: str, holder: Holder) -> Holder:
        """Let a holder follow a hyperparameter.

        Args:
            name: The hyperparameter.
            holder: A scalar float32 variable, or a `PlainValue`; a name may have several.

        Returns:
            The holder.
        """
        self._holders.setdefault(name, []).append(holder)
        return holder

    def holders(self, name: str) -> list[Any]:
        """Return what follows a hyperparameter, in the order of binding."""
        return self._holders[name]

    def check(self, declared: Collection[str]) -> None:
        """Refuse a model that does not use exactly the declared mutable hyperparameters.

        Raises:
            ValueError: Nothing is bound under a declared name, or something under another.
        """
        for name in declared:
            if name not in self._holders:
                raise ValueError(f"hyperparameter {name}: nothing is bound to it; bind a variable where it is used")
        for name in self._holders:
            if name not in declared:
                raise ValueError(f"hyperparameter {name}: not declared; mark its settings field as Searchable")

    def set(self, values: Mapping[str, Value]) -> None:
        """Assign values by name to all their holders."""
        for name, value in values.items():
            for holder in self._holders[name]:
                holder.assign(value)

    def effective_values(self, names: Iterable[str]) -> dict[str, Value]:
        """Return the values of these hyperparameters, read back from their holders.

        A float32 is returned as the shortest decimal that means it. Holders of one name that differ give NaN, which
        equals no assigned value.
        """
        return {name: _common(self._holders[name]) for name in names}


def _common(holders: list[Any]) -> Value:
    values = {_read(holder) for holder in holders}
    return values.pop() if len(values) == 1 else math.nan


def _read(holder: Any) -> Value:
    if isinstance(holder, PlainValue):
        value: Value = holder.value
        return value
    return float(str(np.float32(holder.numpy())))  # 0.2, not 0.20000000298
