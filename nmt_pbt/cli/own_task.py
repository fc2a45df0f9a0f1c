"""`nmt-pbt compare --task`: a task in a file of one's own, a Keras model for instance."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import typer

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.cli.running import going_on

if TYPE_CHECKING:
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.settings.own_task import OwnTaskSettings
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

    Raises:
        UsageError: There is no such task, or the settings cannot be used with it.
    """
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.settings.loading import load
    from nmt_pbt.settings.own_task import OwnTaskSettings, own_task_settings

    task = task_named(name)
    run = RunDirectory(folder, accept_changes)
    if resume:
        run.check_run()
    settings = load(OwnTaskSettings, run.settings_file if resume else config, assignments, overrides)
    task = _started(task, run, settings, start_from, resume)
    tree = {
        **settings.model_dump(mode="json"),
        "task": name,
        "unit": task.unit,
        "start_from": task.start_from or settings.start_from,
        "start_digest": task.start_digest,
    }
    settings = own_task_settings(task.search_space, task.searched_objective, tree)
    from nmt_pbt.report.page import write_report
    from nmt_pbt.run.own_task import run_searches

    with going_on(folder, f"nmt-pbt compare --task {name} --resume {folder}"):
        if not run_searches(run, settings, task, verbose=1):
            typer.echo(f"{folder}: nothing was left to do; its report:", err=True)
    typer.echo(str(write_report(folder)))


_OF_A_TASK = ("build", "search_space", "searched_objective", "unit", "start_digest", "check_sendable")
"""What a task of one's own has, itself or from `SearchableTask`."""


def _started(
    task: SearchableTask, run: RunDirectory, settings: OwnTaskSettings, start_from: Path | None, resume: bool
) -> SearchableTask:
    """Return the task with the weights that are asked for, or that its run began with."""
    again = resume and settings.start_digest is not None and task.start_digest is None
    if start_from is None and not again:
        return task
    from nmt_pbt.tasks.keras.start import start_of_run, starting_from
    from nmt_pbt.tasks.keras.task import KerasTask

    if not isinstance(task, KerasTask):
        asked = "this run" if start_from is None else f"--start-from {start_from}"
        raise UsageError(f"{asked}: starting from given weights is for Keras models; let the task's build() load them")
    if start_from is not None:
        return starting_from(start_from, task)
    return start_of_run(run, task, settings.start_digest or "")


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
    return not isinstance(value, type) and all(hasattr(value, name) for name in _OF_A_TASK)
