"""Starting TensorFlow in a process that does nothing but translation: without what Keras brings along unused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

UNUSED = ("matplotlib", "pandas", "sklearn")
"""What Keras imports where it is installed, for galleries of images, data frames and estimators. Nothing here uses
these, and they take a third of the time and 140 MB of the memory that a process needs to start."""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras as if `UNUSED` were not installed; whoever imports these later finds them."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
    try:
        import tensorflow  # noqa: F401
        import tensorflow_text  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]


class TensorflowStarts:
    """Pickled before what needs TensorFlow, it imports TensorFlow before that is unpickled."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return import_tensorflow, ()


Made = TypeVar("Made")


def make_after(_start: TensorflowStarts | None, kind: Callable[..., Made], *arguments: Any) -> Made:
    """Return `kind(*arguments)`, unpickled in this order after TensorFlow's start."""
    return kind(*arguments)
