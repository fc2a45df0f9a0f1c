"""`nmt-pbt compare --task`: a task in a file of one's own, a Keras model for instance."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import typer

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.cli.running import drawn_report, going_on
from nmt_pbt.cli.streams import warn
from nmt_pbt.track.names import check_trackers, warn_unsent

if TYPE_CHECKING:
    from nmt_pbt.tasks.protocol import SearchableTask


def compare_own_task(
    name: str,
    folder: Path,
    config: Path | None,
    assignments: list[str],
    overrides: dict[str, Any],
    resume: bool,
    accept_changes: bool = False,
    start_from: Path | None = None,
    trackers: Sequence[str] = (),
) -> None:
    """Compare methods on a task of one's own, or go on with that.

    Args:
        name: `package.module:name` of a task, such as `nmt_pbt.keras_task` returns, or of a function that returns one.
        folder: The run's folder.
        config: Settings in YAML.
        assignments: Of `--set`.
        overrides: Dotted keys to values, of other options.
        resume: Whether the folder holds a run that is to be gone on with.
        accept_changes: Go on with a run under another version of this program or of its libraries.
        start_from: A run, or a file of weights, that models start from; None leaves that to the task.
        trackers: Names of trackers that follow each model.

    Raises:
        UsageError: There is no such task, or the settings cannot be used with it.
    """
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.settings.loading import load
    from nmt_pbt.settings.own_task import OwnTaskSettings

    check_trackers(trackers)
    task = task_named(name)
    run = RunDirectory(folder, accept_changes)
    if resume:
        run.check_run(OwnTaskSettings)
    settings = load(OwnTaskSettings, run.settings_file if resume else config, assignments, overrides)
    if start_from is not None or (resume and settings.start_digest is not None and task.start_digest is None):
        from nmt_pbt.tasks.keras.start import starting_from

        task = starting_from(start_from, task, run if resume else None)
    from nmt_pbt.run.own_task import run_searches, task_settings
    from nmt_pbt.track.tracking import tracking

    settings = task_settings(task, {**settings.model_dump(mode="json"), "task": name})

    with (
        going_on(folder, f"nmt-pbt compare --task {name} --resume {folder}"),
        tracking(trackers, run, warn) as listener,
    ):
        if not run_searches(run, settings, task, verbose=1, listener=listener):
            typer.echo(f"{folder}: nothing was left to do; its report:", err=True)
            warn_unsent(run, trackers, warn)
    typer.echo(drawn_report(run, settings))


def task_named(name: str) -> SearchableTask:
    """Return the task that a module of the working folder, or an installed one, holds.

    Args:
        name: `package.module:name`.

    Raises:
        UsageError: There is no such module, or nothing of that name in it, or that is no task.
    """
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module.split(".")) or not attribute:
        raise UsageError(f"--task {name}: expected MODULE:NAME, for instance my_module:my_task")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        held = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"--task {name}: no module '{module}' in {os.getcwd()} or among what is installed; correct the name"
        ) from None
    if not hasattr(held, attribute):
        raise UsageError(f"--task {name}: {module} holds no '{attribute}'{suggest(attribute, _offered(held))}")
    found = getattr(held, attribute)
    task = found if not callable(found) or _is_task(found) else found()
    if not _is_task(task):
        raise UsageError(
            f"--task {name}: is no task but {type(task).__name__}; make one with "
            "nmt_pbt.keras_task(build_model, x, y), or write a nmt_pbt.tasks.protocol.SearchableTask"
        )
    return cast("SearchableTask", task)


def _offered(module: ModuleType) -> list[str]:
    """Return the names of a module that may be tasks: what it defines itself, but for other modules."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    ]


def _is_task(value: object) -> bool:
    """Tell whether a value is meant as a task; what else it needs is checked with its settings."""
    return not isinstance(value, type) and hasattr(value, "build")
