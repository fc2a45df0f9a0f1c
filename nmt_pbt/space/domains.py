"""Domains: the values that one hyperparameter can take, and the scale they lie on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value

if TYPE_CHECKING:
    import numpy as np

Scale = Literal["linear", "log", "reverse_log"]

_TOLERANCE = 1e-9  # relative to the range: what sums and quotients of floats may be off by


@dataclass(frozen=True)
class Condition:
    """A hyperparameter exists only while another one has one of some values."""

    parent: str
    values: tuple[Value, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether `values` meet the condition."""
        return self.parent in values and values[self.parent] in self.values


@dataclass(frozen=True)
class _Number:
    """What ranges of numbers share: a coordinate in which the range is even, and a grid inside it."""

    name: str
    min: float
    max: float
    scale: Scale = "linear"
    step: float | None = None
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min) and math.isfinite(self.max)):
            raise UsageError(f"{self.name}: bounds {self.min:g} and {self.max:g}; give finite numbers")
        if self.min > self.max:
            raise UsageError(f"{self.name}: min {self.min:g} is above max {self.max:g}; swap them")
        if self.scale != "linear" and self.min <= 0:
            raise UsageError(f"{self.name}: min {self.min:g} on a log scale; a log scale needs min > 0")
        if self.step is not None and self.step <= (0 if self.scale == "linear" else 1):
            least = "0" if self.scale == "linear" else "1 on a log scale, where it multiplies"
            raise UsageError(f"{self.name}: step {self.step:g}; it has to be above {least}")

    def coordinate(self, value: float) -> float:
        """Return where a value lies on the domain's own scale, rising with the value."""
        if self.scale == "log":
            return math.log(value)
        if self.scale == "reverse_log":
            return -math.log(self.max + self.min - value)
        return value

    def at_coordinate(self, coordinate: float) -> float:
        """Return the value at a place on the domain's own scale: the inverse of `coordinate`."""
        if self.scale == "log":
            return math.exp(coordinate)
        if self.scale == "reverse_log":
            return self.max + self.min - math.exp(-coordinate)
        return coordinate

    @property
    def spacing(self) -> float | None:
        """Distance between two grid values on the domain's own scale; None without a grid."""
        if self.step is None:
            return None
        return self.step if self.scale == "linear" else math.log(self.step)

    @property
    def size(self) -> int | None:
        """Number of values on the grid; None without a grid."""
        return None if self.step is None else self._grid()[2]

    def index(self, value: float) -> int:
        """Return the index of the grid value nearest to `value`, counted upwards from 0."""
        first, spacing, size = self._grid()
        clamped = min(max(value, self.min), self.max)
        return min(max(round((self.coordinate(clamped) - first) / spacing), 0), size - 1)

    def _grid(self) -> tuple[float, float, int]:
        """Return the first coordinate, the distance between two and their number."""
        assert self.spacing is not None
        low, high = self.coordinate(self.min), self.coordinate(self.max)
        size = math.floor((high - low) / self.spacing + _TOLERANCE) + 1
        # A reverse log grid is anchored at max, as KerasTuner's is.
        first = high - (size - 1) * self.spacing if self.scale == "reverse_log" else low
        return first, self.spacing, size

    def _at_index(self, index: int) -> float:
        first, spacing, _ = self._grid()
        return min(max(_tidy(self.at_coordinate(first + index * spacing)), self.min), self.max)


@dataclass(frozen=True)
class Real(_Number):
    """A range of real numbers.

    Attributes:
        name: The hyperparameter.
        min: Smallest value.
        max: Largest value, included.
        scale: What the range is even in: the value, its logarithm, or the logarithm of its distance from the far end.
        step: Grid: a difference on the linear scale, a factor on the others; None for any value.
        conditions: All have to hold for the hyperparameter to exist.
    """

    def at(self, index: int) -> float:
        """Return the grid value of an index."""
        return self._at_index(index)

    def contains(self, value: Value) -> bool:
        """Return whether a value is inside the bounds and on the grid."""
        if isinstance(value, (bool, str)) or not self.min <= value <= self.max:
            return False
        if self.step is None:
            return True
        slack = _TOLERANCE * max(abs(self.min), abs(self.max), self.max - self.min)
        return abs(self.at(self.index(value)) - value) <= slack

    def clip(self, value: float) -> float:
        """Return the value of the domain that is nearest to a number."""
        if self.step is not None:
            return self.at(self.index(value))
        return float(min(max(value, self.min), self.max))

    def sample(self, random: np.random.Generator) -> float:
        """Draw a value, evenly on the domain's scale."""
        if self.size is not None:
            return self.at(int(random.integers(self.size)))
        return self.from_unit(float(random.random()))

    def to_unit(self, value: Value) -> float:
        """Return where a value lies between 0 (min) and 1 (max) on the domain's scale."""
        low, high = self.coordinate(self.min), self.coordinate(self.max)
        return 0.5 if high == low else (self.coordinate(float(value)) - low) / (high - low)

    def from_unit(self, unit: float) -> float:
        """Return the value at a place between 0 and 1 on the domain's scale.

        With a step, the nearest one: the first and the last value then own half as much of the scale as the others.
        """
        low, high = self.coordinate(self.min), self.coordinate(self.max)
        return self.clip(_tidy(self.at_coordinate(low + min(max(unit, 0.0), 1.0) * (high - low))))

    def levels(self, count: int) -> tuple[float, ...]:
        """Return at most `count` values: the centres of as many equal parts of the range."""
        if self.size is not None:
            return tuple(self.at(index) for index in _spread(self.size, count))
        return tuple(dict.fromkeys(self.from_unit((part + 0.5) / count) for part in range(count)))


@dataclass(frozen=True)
class Integer(_Number):
    """A range of whole numbers; see `Real` for the attributes.

    Without a step, all whole numbers of the range belong to it.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers = [self.min, self.max] if self.step is None else [self.min, self.max, self.step]
        if any(number != int(number) for number in numbers):
            raise UsageError(f"{self.name}: bounds and step of whole numbers have to be whole numbers")
        if self.step is None and self.scale == "linear":
            object.__setattr__(self, "step", 1)

    def at(self, index: int) -> int:
        """Return the grid value of an index."""
        return round(self._at_index(index))

    def contains(self, value: Value) -> bool:
        """Return whether a value is a whole number inside the bounds and on the grid."""
        if isinstance(value, (bool, str)) or not self.min <= value <= self.max or not float(value).is_integer():
            return False
        return self.step is None or self.at(self.index(value)) == value

    def clip(self, value: float) -> int:
        """Return the value of the domain that is nearest to a number."""
        if self.step is not None:
            return self.at(self.index(value))
        return int(min(max(round(value), self.min), self.max))

    def sample(self, random: np.random.Generator) -> int:
        """Draw a value, evenly on the domain's scale."""
        if self.size is not None:
            return self.at(int(random.integers(self.size)))
        return self.from_unit(float(random.random()))

    def to_unit(self, value: Value) -> float:
        """Return the middle of the part of 0 to 1 that belongs to a value."""
        if self.size is not None:
            return (self.index(float(value)) + 0.5) / self.size
        # Whole numbers own the segment up to the next one, so that the last is as likely as its size deserves.
        low, high = math.log(self.min), math.log(self.max + 1)
        if self.scale == "reverse_log":
            return 1 - (math.log(self.max + self.min - float(value) + 0.5) - low) / (high - low)
        return (math.log(float(value) + 0.5) - low) / (high - low)

    def from_unit(self, unit: float) -> int:
        """Return the value that a place between 0 and 1 belongs to."""
        unit = min(max(unit, 0.0), 1.0)
        if self.size is not None:
            return self.at(min(int(unit * self.size), self.size - 1))
        low, high = math.log(self.min), math.log(self.max + 1)
        reverse = self.scale == "reverse_log"
        value = math.exp(low + (1 - unit if reverse else unit) * (high - low))
        whole = math.floor(value + _TOLERANCE)
        return self.clip(self.max + self.min - whole if reverse else whole)

    def levels(self, count: int) -> tuple[int, ...]:
        """Return at most `count` values: the centres of as many equal parts of the range."""
        if self.size is not None:
            return tuple(self.at(index) for index in _spread(self.size, count))
        return tuple(dict.fromkeys(self.from_unit((part + 0.5) / count) for part in range(count)))


@dataclass(frozen=True)
class Choice:
    """A list of values.

    Attributes:
        name: The hyperparameter.
        values: The values, all words, all truth values, or all numbers; in their order if they have one.
        ordered: Whether a step goes to a neighbour. None: yes for numbers, no for words.
        conditions: All have to hold for the hyperparameter to exist.
    """

    name: str
    values: tuple[Value, ...]
    ordered: bool | None = None
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise UsageError(f"{self.name}: no values to choose from; list at least one")
        kinds = {type(value) for value in self.values}
        if kinds == {int, float}:
            object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        elif len(kinds) > 1:
            raise UsageError(f"{self.name}: choices of different kinds {list(self.values)}; use one kind")
        if len(set(self.values)) != len(self.values):
            raise UsageError(f"{self.name}: a choice is listed twice; remove it")
        if self.ordered is None:
            object.__setattr__(self, "ordered", not isinstance(self.values[0], (bool, str)))

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    def contains(self, value: Value) -> bool:
        """Return whether a value is one of the choices."""
        kind = type(self.values[0])
        return value in self.values and (type(value) is kind or (kind is float and type(value) is int))

    def index(self, value: Value) -> int:
        """Return the index of a value."""
        return self.values.index(value)

    def clip(self, value: Value) -> Value:
        """Return the choice nearest to a number; a value that is a choice is returned as it is."""
        if self.contains(value):
            return self.values[self.index(value)]
        if isinstance(value, (bool, str)) or isinstance(self.values[0], (bool, str)):
            raise UsageError(f"{self.name}: {value!r} is none of {list(self.values)}")
        return min(self.values, key=lambda choice: abs(float(choice) - float(value)))

    def sample(self, random: np.random.Generator) -> Value:
        """Draw a value, each as likely as the others."""
        return self.values[int(random.integers(self.size))]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the part of 0 to 1 that belongs to a value."""
        return (self.index(value) + 0.5) / self.size

    def from_unit(self, unit: float) -> Value:
        """Return the value that a place between 0 and 1 belongs to."""
        return self.values[min(int(min(max(unit, 0.0), 1.0) * self.size), self.size - 1)]

    def levels(self, count: int) -> tuple[Value, ...]:
        """Return at most `count` values, evenly spread over the list."""
        return tuple(self.values[index] for index in _spread(self.size, count))


@dataclass(frozen=True)
class Constant:
    """A value that is not searched."""

    name: str
    value: Value
    conditions: tuple[Condition, ...] = ()

    @property
    def size(self) -> int:
        """Number of values: 1."""
        return 1

    def contains(self, value: Value) -> bool:
        """Return whether a value is the constant."""
        return value == self.value

    def clip(self, value: Value) -> Value:
        """Return the constant."""
        return self.value

    def sample(self, random: np.random.Generator) -> Value:
        """Return the constant."""
        return self.value

    def to_unit(self, value: Value) -> float:
        """Return 0.5."""
        return 0.5

    def from_unit(self, unit: float) -> Value:
        """Return the constant."""
        return self.value

    def levels(self, count: int) -> tuple[Value, ...]:
        """Return the constant alone."""
        return (self.value,)


Domain = Real | Integer | Choice | Constant


def describe(domain: Domain) -> str:
    """Return what values a domain allows, in words."""
    if isinstance(domain, Constant):
        return f"{domain.value!r}"
    if isinstance(domain, Choice):
        return "one of " + ", ".join(repr(value) for value in domain.values)
    kind = "a whole number" if isinstance(domain, Integer) else "a number"
    grid = f" on its grid of step {domain.step:g}" if domain.step not in (None, 1) else ""
    return f"{kind} from {domain.min:g} to {domain.max:g}{grid}"


def _spread(size: int, count: int) -> tuple[int, ...]:
    """Return at most `count` of `size` indices: the centres of equal parts, outwards where one lies between two."""
    indices = []
    for part in range(count):
        centre = (part + 0.5) * size / count - 0.5
        indices.append(math.ceil(centre - 0.5) if centre < (size - 1) / 2 else math.floor(centre + 0.5))
    return tuple(dict.fromkeys(min(max(index, 0), size - 1) for index in indices))


def _tidy(value: float) -> float:
    """Round away what float arithmetic adds at the end of a decimal: 0.30000000000000004 is 0.3."""
    return float(f"{value:.12g}")
