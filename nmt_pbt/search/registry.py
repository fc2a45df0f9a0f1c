"""What is declared once and known by its name: methods, exploit strategies, explore strategies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nmt_pbt.base.errors import UsageError, suggest


class Named(Protocol):
    """A declaration: it has a name, and a sentence on what it is."""

    @property
    def name(self) -> str:
        """What settings call it."""
        ...

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        ...


Spec = TypeVar("Spec", bound=Named)


class Registry(Generic[Spec]):
    """Declarations by name, in the order in which they were registered.

    As the annotation of a setting, `Annotated[str, REGISTRY]`, it refuses names that are not registered.

    Args:
        kind: What is registered, for errors.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._specs: dict[str, Spec] = {}

    def register(self, spec: Spec) -> None:
        """Make a declaration known.

        Raises:
            UsageError: Another one has its name.
        """
        if self._specs.setdefault(spec.name, spec) is not spec:
            raise UsageError(f"{self.kind} '{spec.name}' is registered already; choose another name")

    def get(self, name: str) -> Spec:
        """Return what has a name.

        Raises:
            UsageError: Nothing has; names the nearest one.
        """
        if name not in self._specs:
            raise UsageError(f"no such {self.kind} '{name}'{suggest(name, self._specs)}")
        return self._specs[name]

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self._specs)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._specs.values())

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic check names; called when a settings class is made."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, name: str) -> str:
        try:
            self.get(name)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return name
