"""Declarations of hyperparameters: a field of a settings section with the marker `Searchable` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain


@dataclass(frozen=True)
class Searchable:
    """Marks a settings field as a hyperparameter: `dropout: Annotated[Rate, Searchable(mutable=True)] = 0.2`.

    Attributes:
        mutable: Whether its value may change during training.
    """

    mutable: bool


@dataclass(frozen=True)
class Hyperparameter:
    """What a search has to know of one hyperparameter.

    Attributes:
        name: Its name in the search space.
        mutable: Whether its value may change during training.
        default: Its value where nothing else is configured.
        integer: Whether it takes whole numbers only.
        validate: Raises `ValueError` for a value that it does not take.
    """

    name: str
    mutable: bool
    default: Value
    integer: bool
    validate: Callable[[Value], None]

    def check(self, value: Value, where: str) -> None:
        """Refuse a value that this hyperparameter does not take.

        Args:
            value: The value.
            where: What to name in the error.

        Raises:
            ValueError: The value is out of bounds or of the wrong type.
        """
        try:
            self.validate(value)
        except ValueError as error:
            raise ValueError(f"{where}: {value!r} is out of place ({error}); correct it") from None

    def check_domain(self, domain: NumberDomain | ChoiceDomain, where: str) -> None:
        """Refuse a domain that holds a value which this hyperparameter does not take.

        Args:
            domain: The domain.
            where: What to name in the error.

        Raises:
            ValueError: It holds such a value.
        """
        if isinstance(domain, NumberDomain) and self.integer and not domain.integer:
            raise ValueError(f"{where}: takes whole numbers; add integer: true, or list choices")
        if isinstance(domain, ChoiceDomain):
            values: Sequence[Value] = domain.choices
        else:
            values = [int(end) if domain.integer else end for end in (domain.min, domain.max)]
        for value in values:
            self.check(value, where)


def declared_hyperparameters(section: type[Section]) -> tuple[Hyperparameter, ...]:
    """Return the hyperparameters that a settings section declares, in the order of its fields."""
    return tuple(
        Hyperparameter(name, marker.mutable, field.default, field.annotation is int, partial(_validate, section, name))
        for name, field in section.model_fields.items()
        for marker in field.metadata
        if isinstance(marker, Searchable)
    )


def _validate(section: type[Section], name: str, value: Value) -> None:
    try:
        section.model_validate({name: value})
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None
