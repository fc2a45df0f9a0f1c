"""Arguments that are refused before anything is built or trained."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.search.oracles.keras_tuner_internals import has_chief_oracle
from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.strategies import exploit_named
from nmt_pbt.tasks.keras.data import FitArguments

_RENAMED = {
    "max_epochs": "epochs",
    "max_trials": "population_size, and epochs for how long each member trains",
    "hyperband_iterations": "epochs",
    "factor": "explore, for instance Perturb(factor=...)",
    "num_initial_points": "population_size",
}
"""Arguments of KerasTuner's tuners, and what stands in their place here."""


def check_known(kwargs: Mapping[str, Any], known: Callable[..., Any], others: Sequence[str]) -> None:
    """Refuse arguments that there are not.

    Args:
        kwargs: What was given beside the named arguments.
        known: The function that names the arguments.
        others: More that are known.

    Raises:
        UsageError: Names the argument, and the nearest one, or what stands in its place.
    """
    names = [*inspect.signature(known).parameters, *others]
    for name in kwargs:
        if name in others:
            continue
        if name in _RENAMED:
            raise UsageError(f"{name}: no such argument of Population Based Training; give {_RENAMED[name]}")
        raise UsageError(f"{name}: no such argument{suggest(name, [one for one in names if one != 'self'])}")


def check_whole(**lengths: Any) -> None:
    """Refuse lengths that are no whole numbers of epochs.

    Args:
        **lengths: Epochs, by the name of the argument.

    Raises:
        UsageError: Names the argument, and what to do for finer steps.
    """
    for name, length in lengths.items():
        number = isinstance(length, (int, float)) and math.isfinite(length)
        if not (number and length >= 1 and length == int(length)):
            raise UsageError(
                f"{name}={length!r}: Keras trains whole epochs, so this has to be a whole number, at least 1; for "
                "finer steps make an epoch shorter with search(..., steps_per_epoch=...) and count in those"
            )


def check_exploit(exploit: Exploit | str | None) -> None:
    """Refuse a strategy that decides by more than scores.

    Args:
        exploit: As given.

    Raises:
        UsageError: It is no strategy, or it needs evidence that a Keras model does not report.
    """
    strategy = exploit_named(exploit) if isinstance(exploit, str) else exploit
    if strategy is None:
        return
    if not hasattr(strategy, "evidence"):
        raise UsageError(
            f"exploit={exploit!r}: give the name of a strategy, or an object of nmt_pbt.search.population.exploit"
        )
    if strategy.evidence is not None:
        needed = strategy.evidence.replace("_", " ")
        raise UsageError(
            f"exploit {exploit!r} decides by {needed}, which a Keras model does not report; use 'ttest', which "
            "compares the last evaluations"
        )


def check_tuner_arguments(kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments of `keras_tuner.Tuner` that a population cannot use.

    Args:
        kwargs: The arguments.

    Raises:
        UsageError: Names the argument.
    """
    if kwargs.get("executions_per_trial", 1) != 1:
        raise UsageError("executions_per_trial: a member has one state, so this has to be 1; use a larger population")
    if "://" in str(kwargs.get("directory") or ""):
        raise UsageError(f"directory {kwargs['directory']}: has to be a folder that all workers can open as files")
    if kwargs.get("distribution_strategy") is not None:
        raise UsageError(
            "distribution_strategy: states are handed over between models of one device each; leave it out, and train "
            "several members at once with workers=..."
        )
    if has_chief_oracle():
        raise UsageError(
            "KERASTUNER_ORACLE_IP is set: Population Based Training has workers of its own; unset it and give "
            "workers=..., or write a keras_tuner.Tuner with nmt_pbt.PBTOracle"
        )


def check_project(folder: Path) -> None:
    """Refuse a project folder of KerasTuner's form, which earlier versions wrote.

    Raises:
        UsageError: It is one.
    """
    if (folder / "oracle.json").exists():
        raise UsageError(
            f"{folder}: holds a project of another form (oracle.json), of KerasTuner or of an earlier version; go on "
            "with what wrote it, or start afresh with overwrite=True or another project_name"
        )


def check_fit_arguments(arguments: FitArguments, objectives: Sequence[str], own_fit: bool, interval: float) -> None:
    """Refuse arguments of `Model.fit` with which no trial can be trained, or scored.

    Args:
        arguments: Of `fit`.
        objectives: The metrics that make up the objective.
        own_fit: Whether the hypermodel has a `fit` of its own, which may make of them what it likes.
        interval: Epochs of an interval.

    Raises:
        UsageError: Names the argument.
    """
    callbacks = arguments.named.get("callbacks") or []
    if not isinstance(callbacks, (list, tuple)):
        raise UsageError("callbacks: expected a list; put the callback into one: callbacks=[...]")
    for callback in callbacks:
        kind = type(callback).__name__
        if kind == "BackupAndRestore":
            raise UsageError(
                "callbacks: BackupAndRestore would restore one trial's backup into another; leave it out: a search "
                "that is stopped goes on by itself"
            )
        if kind == "EarlyStopping" and getattr(callback, "patience", interval) + 1 < interval:
            raise UsageError(
                "callbacks: EarlyStopping would end an interval early, and members are compared at equal ages; leave "
                "it out"
            )
        if kind == "ReduceLROnPlateau" and getattr(callback, "patience", 0) >= interval:
            raise UsageError(
                f"callbacks: ReduceLROnPlateau counts epochs anew in each interval, and with "
                f"patience={callback.patience} and interval={interval:g} never cuts the rate; give it a patience below "
                "the interval, or leave it out: the search finds a schedule itself"
            )
    validated = any(arguments.named.get(name) is not None for name in ("validation_data", "validation_split"))
    missing = [name for name in objectives if name.startswith("val_")]
    if missing and not validated and not own_fit:
        raise UsageError(
            f"objective {missing[0]}: there is nothing to compute it on; give validation_data=... to search, or choose "
            f"objective={missing[0].removeprefix('val_')!r}"
        )
