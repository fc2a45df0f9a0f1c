"""Weights that Keras models start from instead of fresh ones: of another run's winner, or of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nmt_pbt.base.errors import UsageError, first_line
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.settings.own_task import OwnTaskSettings
from nmt_pbt.tasks.keras.model_state import ShapeError, capture, is_built, start_with
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.protocol import SearchableTask
from nmt_pbt.tasks.state import START, StateStore, weights_of

_FILES = (".weights.h5", ".keras")


def starting_from(source: str | Path | None, task: SearchableTask, run: RunDirectory | None = None) -> KerasTask:
    """Return a task whose models start from given weights.

    Args:
        source: Folder of a run, whose best winner on the validation data is taken, or a `.weights.h5` or `.keras` file;
            None for what `run` began with.
        task: The task.
        run: The run that is begun or gone on with. The weights that it keeps are taken, if it began with this source.

    Raises:
        UsageError: There are no such weights, or a model that is built with the default of each hyperparameter does not
            take them, or the task trains no Keras model.
        StateError: The winner's file is damaged.
    """
    if not isinstance(task, KerasTask):
        asked = "this run" if source is None else f"start_from={source}"
        raise UsageError(f"{asked}: starting from given weights is for Keras models; let the task's build() load them")
    if run is not None and run.settings_file.exists():
        begun = run.read_settings(OwnTaskSettings)
        if begun.start_digest is not None and str(source or begun.start_from) == begun.start_from:
            kept = StateStore(run.path)
            if (problem := kept.problem(START, begun.start_digest)) is not None:
                raise UsageError(f"{problem}, or give --start-from again with another --out")
            return replace(task, start=kept.load(START, begun.start_digest), start_from=begun.start_from)
    source = Path(source or "")
    model = task.build_model(task.hyperparameters.copy())
    if not is_built(model):
        raise UsageError(
            f"start_from={source}: the model cannot be built without data; build it in build(hp), for instance with "
            "keras.Input"
        )
    if source.is_dir():
        (chosen,) = choose_models(source, OwnTaskSettings)
        weights = weights_of(StateStore(chosen.folder).load(chosen.name))
    elif source.name.endswith(_FILES) and source.is_file():
        try:
            model.load_weights(source)
        except Exception as error:  # noqa: BLE001 - Keras has no one error for what is wrong with such a file
            raise UsageError(
                f"start_from={source}: these weights do not fit the model ({first_line(error, 'no reason given')}); "
                "give those of a model that the same build(hp) built"
            ) from None
        weights = weights_of(capture(model, 0))
    else:
        raise UsageError(
            f"start_from={source}: no folder of a run, and no {' or '.join(_FILES)} file; correct the path"
        )
    try:
        start_with(model, weights)
    except ShapeError as error:
        raise UsageError(
            f"start_from={source}: its weights do not fit the model ({error}); give those of a model that the same "
            "build(hp) built"
        ) from None
    return replace(task, start=weights, start_from=str(source))
