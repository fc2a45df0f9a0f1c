"""What a model is fitted with: arrays as they are, and functions that return what cannot be sent to other processes."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.keras.sending import packed

_DATA = ("x", "y", "validation_data", "sample_weight", "test_data")
"""Arguments that may be functions which return the data."""


@dataclass
class FitArguments:
    """The arguments of `Model.fit`, or of a hypermodel's own `fit`.

    Data may be given as a function without arguments that returns them: it is called once in each process, or, where
    it returns a generator, each time.

    Attributes:
        positional: Positional arguments.
        named: Others, by name.
    """

    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Yield each argument with what to call it in an error."""
        names = ("x", "y")
        for place, value in enumerate(self.positional):
            yield names[place] if place < len(names) else f"argument {place + 1}", value
        yield from self.named.items()

    def made(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and named arguments, with data in place of the functions that return them."""
        positional = tuple(self._value(f"#{place}", value) for place, value in enumerate(self.positional))
        return positional, {
            name: self._value(name, value) if name in _DATA else value for name, value in self.named.items()
        }

    def _value(self, key: str, value: Any) -> Any:
        if not _returns_data(value):
            return value
        if key in self._made:
            return self._made[key]
        made = value()
        if not isinstance(made, types.GeneratorType):
            self._made[key] = made
        return made

    def digest(self) -> str:
        """Return the SHA-256 of the data as far as they can be told apart: of arrays their bytes, else their kind."""
        digest = hashlib.sha256()
        for name, value in self.parts():
            if name in _DATA or name.startswith("argument"):
                digest.update(name.encode())
                _update(digest, value)
        return digest.hexdigest()

    def check(self, sent: bool) -> None:
        """Refuse what only one model can be trained with, or what cannot be sent to other processes.

        Args:
            sent: Whether other processes train.

        Raises:
            UsageError: Says which argument, and how to give it.
        """
        for name, value in self.parts():
            if isinstance(value, types.GeneratorType):
                raise UsageError(
                    f"{name}: a generator is used up by the first model; give a function that returns a new one, "
                    f"{name}=my_generator without the call"
                )
            if sent:
                check_sendable(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {"positional": self.positional, "named": dict(self.named), "_made": {}}


def check_sendable(name: str, value: Any) -> None:
    """Refuse what cannot be sent to other processes.

    Args:
        name: What to call it.
        value: It.

    Raises:
        UsageError: It cannot; says how to give it instead.
    """
    try:
        packed(value)
    except Exception as error:  # noqa: BLE001 - whatever a library says of it
        kind = type(value).__name__
        raise UsageError(
            f"{name}: what it is ({kind}) cannot be sent to worker processes ({type(error).__name__}); give a function "
            f"that returns it, for instance {name}=make_{_word(name)}, or train in this process with workers=1"
        ) from None


def _word(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def _returns_data(value: Any) -> bool:
    """Return whether a value is a function that has no arguments."""
    if not isinstance(value, (types.FunctionType, types.MethodType)):
        return False
    return not inspect.signature(value).parameters


def _update(digest: hashlib._Hash, value: Any) -> None:
    if isinstance(value, (tuple, list)) and len(value) < 100:
        for item in value:
            _update(digest, item)
    elif isinstance(value, dict):
        for name, item in value.items():
            digest.update(str(name).encode())
            _update(digest, item)
    elif isinstance(value, (int, float, str, bool, type(None))):
        digest.update(repr(value).encode())
    elif not callable(value) and hasattr(value, "__array__"):
        array = np.asarray(value)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).data)
    else:
        digest.update(type(value).__name__.encode())
