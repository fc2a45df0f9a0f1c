"""Ranges to search, as settings files name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from nmt_pbt.base.section import Positive, Section
from nmt_pbt.base.types import Value

MOST_VALUES = 10**15
"""Largest number of a range, and most values on its grid: up to here a double tells whole numbers apart."""

_End = Annotated[float, Field(ge=-MOST_VALUES, le=MOST_VALUES)]


class NumberDomain(Section):
    """A range of numbers to search."""

    min: _End
    """Smallest value"""
    max: _End
    """Largest value, included"""
    scale: Literal["linear", "log"] = "linear"
    """Whether values are drawn, and steps taken, on a linear or on a logarithmic scale"""
    step: Positive | None = None
    """Distance between the values of a grid inside the range, on a linear scale; null: no grid"""
    integer: bool = False
    """Whole numbers only"""

    @model_validator(mode="after")
    def _ordered(self) -> NumberDomain:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; swap them")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"min {self.min:g} on a log scale; a log scale needs min > 0")
        if self.scale == "log" and self.step is not None:
            raise ValueError("step is for a linear scale; leave it out")
        if self.step is not None and self.max - self.min > self.step * MOST_VALUES:
            raise ValueError(f"step {self.step:g} cuts the range into too many values; make it larger, or leave it out")
        if self.integer and (self.min != int(self.min) or self.max != int(self.max)):
            raise ValueError("integer needs whole numbers for min and max")
        return self


class ChoiceDomain(Section):
    """A list of values to search."""

    choices: Annotated[list[Value], Field(min_length=1)]
    """The values, in their order if they have one"""
    ordered: bool | None = None
    """Whether a step goes to a neighbouring value; null: yes for numbers, no for words"""

    @model_validator(mode="after")
    def _distinct(self) -> ChoiceDomain:
        if len({(type(value).__name__, value) for value in self.choices}) != len(self.choices):
            raise ValueError("a choice is listed twice; remove it")
        return self


def _kind(value: object) -> str:
    listed = "choices" in value if isinstance(value, Mapping) else isinstance(value, ChoiceDomain)
    return "<choice>" if listed else "<number>"


Domain = Annotated[
    Annotated[NumberDomain, Tag("<number>")] | Annotated[ChoiceDomain, Tag("<choice>")], Discriminator(_kind)
]
