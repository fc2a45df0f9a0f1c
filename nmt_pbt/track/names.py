"""Trackers that can be named, checked without importing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError, suggest

if TYPE_CHECKING:
    from nmt_pbt.run.run_directory import RunDirectory

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


def sending_command(run: RunDirectory, names: Sequence[str]) -> str:
    """Return the command that sends a run to trackers.

    Args:
        run: The run.
        names: Of trackers.
    """
    return run.report_command + "".join(f" --track {name}" for name in names)


def warn_unsent(run: RunDirectory, names: Sequence[str], warn: Callable[[str], None]) -> None:
    """Say how a run in which nothing was left to do gets to trackers, if any were asked for.

    Args:
        run: The run.
        names: Of trackers.
        warn: Told that in a line.
    """
    if names:
        warn(f"nothing was tracked; {sending_command(run, names)} sends a finished run")
