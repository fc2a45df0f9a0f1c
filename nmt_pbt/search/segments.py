"""Segments of a schedule, as settings hold them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated

from pydantic import Field

from nmt_pbt.base.errors import suggest
from nmt_pbt.base.section import Positive, Section
from nmt_pbt.base.types import Value


class Segment(Section):
    """A part of a schedule: constant values for so long."""

    epochs: Positive
    """How long, in epochs"""
    values: Annotated[dict[str, Value], Field(min_length=1)]
    """The hyperparameters in force"""


def check_segments(
    segments: Sequence[Segment],
    known: Collection[str],
    structural: Collection[str],
    check_value: Callable[[str, Value, str], None],
) -> None:
    """Refuse segments that no one model can be trained with.

    Args:
        segments: The schedule.
        known: Names of the hyperparameters that can be in force.
        structural: Those among them that change the model's shape.
        check_value: Called with a name, its value and what to name in an error; raises ValueError for a bad value.

    Raises:
        ValueError: A name or value is not a hyperparameter's, a segment names others than the first, or the shape of
            the model changes.
    """
    for number, segment in enumerate(segments, start=1):
        where = f"segment {number} of the schedule"
        for name, value in segment.values.items():
            if name not in known:
                raise ValueError(f"{where}: no hyperparameter '{name}' to put in force{suggest(name, known)}")
            check_value(name, value, f"{where}: {name}")
        for name in {**segments[0].values, **segment.values}:
            if name not in segment.values or name not in segments[0].values:
                raise ValueError(f"{where}: {name} is named in some segments only; give it a value in each")
            if name in structural and segment.values[name] != segments[0].values[name]:
                raise ValueError(f"{where}: {name} changes the model's shape, so it has to stay as in the first")
