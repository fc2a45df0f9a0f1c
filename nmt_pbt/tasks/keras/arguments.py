"""Arguments that are refused before anything is built."""

from __future__ import annotations

from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.exploit import Exploit
from nmt_pbt.search.keras_tuner_internals import has_chief_oracle, is_chief_oracle
from nmt_pbt.search.strategies import exploit_named


def check_whole(**lengths: float) -> None:
    """Refuse lengths that are no whole numbers of epochs.

    Args:
        **lengths: Epochs, by the name of the argument.

    Raises:
        UsageError: Names the argument, and what to do for finer steps.
    """
    for name, length in lengths.items():
        if not (isinstance(length, (int, float)) and length >= 1 and length == int(length)):
            raise UsageError(
                f"{name}={length!r}: Keras trains whole epochs, so this has to be a whole number, at least 1; for "
                "finer steps make an epoch shorter with search(..., steps_per_epoch=...) and count in those"
            )


def check_exploit(exploit: Exploit | str | None) -> None:
    """Refuse a strategy that decides by more than scores.

    Args:
        exploit: As given.

    Raises:
        UsageError: It needs evidence that a Keras model does not report.
    """
    strategy = exploit_named(exploit) if isinstance(exploit, str) else exploit
    if strategy is not None and strategy.evidence is not None:
        needed = strategy.evidence.replace("_", " ")
        raise UsageError(
            f"exploit {exploit!r} decides by {needed}, which a Keras model does not report; use 'ttest', which "
            "compares the last evaluations"
        )


def check_tuner_arguments(kwargs: dict[str, Any]) -> None:
    """Refuse arguments of `keras_tuner.Tuner` that a population cannot use, and mend one that does harm.

    Args:
        kwargs: The arguments; changed in place.

    Raises:
        UsageError: Names the argument.
    """
    if kwargs.pop("executions_per_trial", 1) != 1:
        raise UsageError("executions_per_trial: a member has one state, so this has to be 1; use a larger population")
    if "://" in str(kwargs.get("directory") or ""):
        raise UsageError(f"directory {kwargs['directory']}: has to be a folder that all workers can open as files")
    if has_chief_oracle() and not is_chief_oracle():
        kwargs["overwrite"] = False  # only the chief may: a worker that starts later would delete the others' work
