"""A schedule, as the settings name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from nmt_pbt.errors import suggest
from nmt_pbt.settings.hyperparameters import MUTABLE, STRUCTURAL, check_value
from nmt_pbt.settings.section import Positive, Section
from nmt_pbt.values import Value


class Stretch(Section):
    """A part of a schedule: constant values for so long."""

    epochs: Positive
    """How long, in epochs"""
    values: Annotated[dict[str, Value], Field(min_length=1)]
    """The hyperparameters in force"""


def check_stretches(stretches: Sequence[Stretch]) -> None:
    """Refuse stretches that no one model can be trained with.

    Raises:
        ValueError: A name or value is not a hyperparameter's, a stretch names others than the first, or the shape of
            the model changes.
    """
    known = (*MUTABLE, *STRUCTURAL)
    for number, stretch in enumerate(stretches, start=1):
        where = f"stretch {number} of the schedule"
        for name, value in stretch.values.items():
            if name not in known:
                raise ValueError(f"{where}: no hyperparameter '{name}' to put in force{suggest(name, known)}")
            check_value(name, value, f"{where}: {name}")
        for name in {**stretches[0].values, **stretch.values}:
            if name not in stretch.values or name not in stretches[0].values:
                raise ValueError(f"{where}: {name} is named in some stretches only; give it a value in each")
            if name in STRUCTURAL and stretch.values[name] != stretches[0].values[name]:
                raise ValueError(f"{where}: {name} changes the model's shape, so it has to stay as in the first")
