"""`nmt_pbt.compare`: several search methods on one Keras model, at equal budget, in a script or a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import keras
import keras_tuner
import pandas as pd

from nmt_pbt import comparison
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.own_task import check_count, check_counts
from nmt_pbt.run.records import Evaluated
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.oracles.keras_tuner_internals import create_objective, get_hypermodel
from nmt_pbt.search.oracles.keras_tuner_space import from_hyperparameters
from nmt_pbt.tasks.keras.arguments import check_fit_arguments, check_project, check_whole
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.models import check_model
from nmt_pbt.tasks.keras.schedule import rates_in
from nmt_pbt.tasks.keras.space import find_space, fits_itself, with_space_of_fit
from nmt_pbt.tasks.keras.start import starting_from
from nmt_pbt.tasks.keras.task import KerasTask, one_thread_each
from nmt_pbt.tasks.keras.trainable import KerasTrainable


@dataclass(frozen=True)
class Comparison(comparison.Comparison):
    """What a comparison of methods on a Keras model found."""

    @cached_property
    def models(self) -> Mapping[str, keras.Model]:
        """The best model of each method, by the objective, with its weights; built when first asked for."""
        return {method: self.model(method) for method in dict.fromkeys(record.method for record in self.run.tested)}

    def model(self, method: str | None = None, seed: int | None = None) -> keras.Model:
        """Return the model of a winner; see `winner`."""
        return cast(KerasTrainable, self.winner(method, seed)).model

    @property
    def schedule(self) -> pd.DataFrame:
        """The hyperparameters of PBT's best model over its training: one row a segment of constant values.

        Columns: epoch and until (epochs that its weights were trained on), and one for each hyperparameter; where
        callbacks change a learning rate, `optimizer.learning_rate` is what they had made of it at the segment's end,
        empty where it was the hyperparameter still.
        Empty where the method `pbt` was not compared.
        """
        frame, found = super().schedule, self._found
        if found is None or found.source is None:
            return frame
        ended = {
            record.trial: record.metrics
            for record in self.run.records
            if isinstance(record, Evaluated) and (record.method, record.seed) == ("pbt", found.source.seed)
        }
        metrics = [ended[segment.trial or ""] for segment in found.segments]
        for name in dict.fromkeys(name for each in metrics for name in rates_in(each)):
            frame[name] = [each.get(name) for each in metrics]
        return frame


def compare(
    build_model: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation_data: Any = None,
    test_data: Any = None,
    objective: Any = "val_loss",
    methods: Sequence[str] = comparison.METHODS,
    seeds: int = 3,
    population: int = 8,
    epochs: int = 20,
    more_epochs: int = 0,
    interval: int = 1,
    structural: Sequence[str] = (),
    workers: int = 0,
    address: str | None = None,
    seed: int = 0,
    directory: str | Path = "results/keras",
    hyperparameters: keras_tuner.HyperParameters | None = None,
    start_from: str | Path | None = None,
    stop: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    accept_changes: bool = False,
    track: Sequence[str] = (),
    report: bool = True,
    verbose: int = 1,
    **fit_arguments: Any,
) -> Comparison:
    """Search for a Keras model's hyperparameters with several methods at equal budget, and report what is best.

    Each method trains `population` x `epochs` epochs for each seed, and is evaluated after every interval. Each winner
    is evaluated once on the test data. The report is `report/index.html` in the folder. Called again with the same
    arguments it goes on where it was stopped; methods and seeds may be added.

    Args:
        build_model: A function of `hp` that returns a compiled model, or a `keras_tuner.HyperModel`, which may have a
            `fit` of its own, and `apply(hp, model)`, which puts hyperparameters in force in a live model.
        x: Training data, as for `Model.fit`; or a function that returns them, for what cannot be sent to worker
            processes, such as a `tf.data.Dataset`.
        y: Targets, as for `Model.fit`.
        validation_data: What searches decide by; or a function that returns them.
        test_data: What winners are tested on, in the form of `validation_data`; None tests none.
        objective: The metric that decides: its name, or a `keras_tuner.Objective`.
        methods: Which, by name: `pbt`, `random`, `hyperband`, `bayes`, `grid`, and all others that
            `nmt-pbt compare --help` lists, `replay` and the ablations `exploit-only` and `explore-only` among them.
        seeds: How often each search is repeated.
        population: Models that PBT trains side by side; all methods get its budget.
        epochs: Whole epochs that each of them trains.
        more_epochs: Whole epochs that each of them trains beyond these: a run that has ended goes on with them. For
            populations alone.
        interval: Whole epochs between two evaluations, and two decisions of PBT.
        structural: Hyperparameters that change what variables a model has; `units_*` stands for all that begin so.
            Those that building the model shows to do so need not be named.
        workers: Processes that train, for all searches at once; 0 takes as many as cores and memory allow, 1 trains in
            this process. What is found does not depend on it.
        address: Of a Ray cluster, whose workers train.
        seed: Seed of the first search; the others follow on it.
        directory: The run's folder.
        hyperparameters: Ranges to search in place of those that the build function names.
        start_from: Weights that all models start from, instead of fresh ones: the folder of a run, whose best winner is
            taken, or a `.weights.h5` or `.keras` file. Weights alone: optimizers and epochs begin anew.
        stop: Rules that end a search before its budget is spent, for instance `{"patience_intervals": 40}`: `seconds`
            of wall-clock, `patience_intervals` without a better objective, a `target` of the objective; see
            docs/settings.md.
        settings: More settings under `search`, for instance `{"pbt": {"fraction": 0.3}}`; see docs/settings.md.
        accept_changes: Go on with a run under another version of this program or of its libraries.
        track: Trackers that follow each model while it is trained: `mlflow`, `wandb`.
        report: Draw the report when the searches are over; False leaves it to `nmt-pbt report`.
        verbose: 0 prints nothing, 1 a line for each search, 2 for each interval.
        **fit_arguments: Others of `Model.fit`, such as `batch_size` and `callbacks`.

    Returns:
        The run's tables, its winners as models, PBT's schedule, and where the report is.

    Raises:
        UsageError: An argument cannot be used, or the folder holds a run with other settings; says what to do.
        SearchError: Every trial of every method failed.
    """
    check_counts(seeds, population, workers, seed)
    check_count("more_epochs", more_epochs)
    check_whole(interval=interval, epochs=epochs)
    check_project(Path(directory))
    run = RunDirectory(Path(directory))
    task = keras_task(
        build_model,
        x,
        y,
        validation_data=validation_data,
        test_data=test_data,
        objective=objective,
        interval=interval,
        structural=structural,
        hyperparameters=hyperparameters,
        **fit_arguments,
    )
    if start_from is not None:
        task = starting_from(start_from, task, run)
    found = comparison.compare_task(
        task,
        methods=methods,
        seeds=seeds,
        population=population,
        epochs=epochs,
        interval=interval,
        workers=workers,
        address=address,
        seed=seed,
        directory=directory,
        more_epochs=more_epochs,
        stop=stop,
        settings=settings,
        accept_changes=accept_changes,
        track=track,
        report=report,
        verbose=verbose,
    )
    return Comparison(task, found.run, found.report)


def keras_task(
    build_model: Any,
    x: Any = None,
    y: Any = None,
    *,
    validation_data: Any = None,
    test_data: Any = None,
    objective: Any = "val_loss",
    interval: int = 1,
    structural: Sequence[str] = (),
    hyperparameters: keras_tuner.HyperParameters | None = None,
    start_from: str | Path | None = None,
    **fit_arguments: Any,
) -> KerasTask:
    """Return a Keras model and its data as a task, for `nmt-pbt compare --task my_module:my_task`.

    Its search space is found by building models with the least and the greatest value of each hyperparameter.

    Args:
        build_model: As for `compare`, as all that follows.
        x: Training data.
        y: Targets.
        validation_data: What searches decide by.
        test_data: What winners are tested on.
        objective: The metric that decides.
        interval: Whole epochs between two evaluations.
        structural: Hyperparameters that change what variables a model has.
        hyperparameters: Ranges to search in place of those that the build function names.
        start_from: Weights that all models start from.
        **fit_arguments: Others of `Model.fit`.

    Raises:
        UsageError: Nothing can be trained or scored with these, or a structural name is not in the search space.
    """
    one_thread_each()
    for name in ("epochs", "initial_epoch"):
        if name in fit_arguments:
            raise UsageError(f"{name}: is set for each trial; leave it out")
    hypermodel = get_hypermodel(build_model)
    if hypermodel is None:
        raise UsageError("build_model is missing; give a function that builds a model, or a keras_tuner.HyperModel")
    given = {"x": x, "y": y, "validation_data": validation_data, "verbose": 0, **fit_arguments}
    arguments = FitArguments((), {name: value for name, value in given.items() if value is not None})
    arguments.check(sent=False)

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        return check_model(hypermodel.build(hp), None)

    decides = create_objective(objective)
    task = KerasTask(hypermodel, keras_tuner.HyperParameters(), arguments, decides, test_data=test_data)
    check_fit_arguments(arguments, task.objective_names, fits_itself(hypermodel), interval)
    found = find_space(build, hyperparameters)
    known = with_space_of_fit(hypermodel, build, found.hyperparameters, arguments)
    stays = from_hyperparameters(known, structural).structural | set(found.structural)
    task = replace(task, hyperparameters=known, structural=frozenset(stays))
    return task if start_from is None else starting_from(start_from, task)
