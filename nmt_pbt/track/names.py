"""Trackers that can be named, checked without importing them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from nmt_pbt.base.errors import UsageError, suggest

TRACKERS = {"mlflow": "MlflowTracker", "wandb": "WandbTracker"}
"""MLflow, and Weights & Biases: what is imported, which is also the extra that installs it; and our class for it."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that cannot be had.

    Args:
        names: Of trackers.

    Raises:
        UsageError: There is no such tracker, or it is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"tracker {name!r}: there is no such one{suggest(name, TRACKERS)}; there are {' and '.join(TRACKERS)}"
            )
        if find_spec(name) is None:
            raise UsageError(f"tracker {name!r}: is not installed; pip install 'nmt-pbt[{name}]'")
