"""Values of hyperparameters for tests, made from their declarations: a new hyperparameter needs none of its own."""

from __future__ import annotations

from typing import Annotated, Any

from hypothesis import strategies as st

from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.space.declarations import Searchable, declared_hyperparameters
from nmt_pbt.tasks.translation.settings.sections import ModelSettings, TrainingSettings


def changed_values(share: float, section: type[Section] = TrainingSettings) -> dict[str, Value]:
    """Return values of the mutable hyperparameters that differ from the defaults.

    Args:
        share: Above 0 and below 1, how far: numbers are made smaller by this share, whole numbers larger; 0 becomes it.
        section: Which declares them.
    """
    values: dict[str, Value] = {}
    for declared in declared_hyperparameters(section):
        if not declared.mutable:
            continue
        default = declared.default
        if isinstance(default, (bool, str)):
            raise TypeError(f"{declared.name}: no number; say here what else it may be")
        if declared.integer:
            values[declared.name] = int(default) + round(10 * share)
        else:
            values[declared.name] = round(float(default) * (1 - share), 8) if default else round(share, 8)
        declared.check(values[declared.name], declared.name)
    return values


def values_of(name: str) -> st.SearchStrategy[Any]:
    """Return a strategy for the values that a hyperparameter takes, from the bounds of its field."""
    for section in (TrainingSettings, ModelSettings):
        if name in section.model_fields:
            field = section.model_fields[name]
            bounds = tuple(part for part in field.metadata if not isinstance(part, Searchable))
            return st.from_type(Annotated[(field.annotation, *bounds)] if bounds else field.annotation)
    raise KeyError(name)
