"""`PopulationBasedTraining`: used where `keras_tuner.Hyperband` is, for any Keras model."""

from __future__ import annotations

import logging
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pandas as pd
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.base.yaml_text import read_yaml
from nmt_pbt.run import compare
from nmt_pbt.run.driver import Driver, combined_listener
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.own_task import (
    Progress,
    check_count,
    engine_settings,
    run_name,
    say,
    say_nothing,
    tell_words_that_change,
    telling_full_disks,
)
from nmt_pbt.run.preflight import is_finished
from nmt_pbt.run.records import search_started
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.oracles.keras_tuner_internals import get_hypermodel
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.explore import ExploreFunction, Explorer
from nmt_pbt.search.segments import Segment
from nmt_pbt.settings.own_task import OwnTaskSettings
from nmt_pbt.tasks.keras.arguments import check_fit_arguments, check_known, check_project, check_tuner_arguments
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.models import check_model
from nmt_pbt.tasks.keras.oracle import SearchOracle
from nmt_pbt.tasks.keras.population_arguments import METHOD, PopulationArguments
from nmt_pbt.tasks.keras.schedule import history, schedule
from nmt_pbt.tasks.keras.space import find_space, fits_itself, with_space_of_fit
from nmt_pbt.tasks.keras.start import starting_from
from nmt_pbt.tasks.keras.task import CompileOverrides, KerasTask, one_thread_each
from nmt_pbt.tasks.keras.trial_states import TrialStates
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore, content_hash
from nmt_pbt.track.names import check_trackers, warn_unsent
from nmt_pbt.track.tracking import tracking

_LOG = logging.getLogger("nmt_pbt")
_TUNER = (
    *("directory", "project_name", "overwrite", "max_model_size", "optimizer", "loss", "metrics"),
    *("distribution_strategy", "tuner_id", "executions_per_trial"),
)
"""Arguments of `keras_tuner.Tuner`."""


class PopulationBasedTraining(keras_tuner.Tuner):
    """Population Based Training (Jaderberg et al. 2017, arXiv 1711.09846) of Keras models.

    A population of models trains side by side. After each interval a model of the bottom takes over the weights,
    optimizer slots and iteration count of one of the top, and its hyperparameters, which then move a little. So the
    search finds *schedules* of hyperparameters, at the cost of training `population_size` models once.

    A hypermodel may offer `apply(hp, model)`, which assigns every hyperparameter that is not structural to variables of
    a live model. Then a trial costs no build, no compile and no trace.

    The project folder is the folder of a run: `nmt-pbt report` draws its report, `nmt_pbt.load_run` reads its tables.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function of `hp` that returns a compiled model.
        objective: Name of a metric, `keras_tuner.Objective`, or a list of them. Its value at the *last* epoch of an
            interval is the score of a trial.
        population_size: Models in training, at least 2.
        interval: Whole epochs between two decisions of a model.
        epochs: Whole epochs each of them trains in all.
        exploit: Who takes over from whom: the name of a strategy, an object of
            `nmt_pbt.search.population.exploit`, or None for nobody.
        explore: How the hyperparameters then move: the name of a way, an object of
            `nmt_pbt.search.population.explore`, a function of (values, space, generator) that returns new values, or
            None for not at all.
        structural: Names of hyperparameters that change the shapes of weights or the kind of optimizer. They stay as
            they are along a lineage. `units_*` stands for all that begin so.
        frozen: Names of further hyperparameters that explore leaves alone.
        burn_in: Epochs a model has to be trained before it may take over or be taken over from.
        synchronous: All models finish an interval before any decides: the same lineage for any number of workers.
            Otherwise a free worker goes on at once. With one worker, both come to the same.
        initial: Hyperparameters of the first models, a dictionary each; the others' are drawn from the space.
        seed: Seed of every draw, 0 too; None draws one. `keras.utils.set_random_seed` is called at the start of each
            trial, so that weights, masks and the order of the data repeat as well.
        workers: Processes that train. 1 trains in this process; 0 takes as many as cores and memory allow.
        address: Of a Ray cluster, whose workers train.
        stop: Rules that end the search before all epochs are trained, for instance `{"patience_intervals": 40}`:
            `seconds` of wall-clock, `patience_intervals` without a better objective, a `target` of the objective; see
            docs/settings.md.
        more_epochs: Whole epochs that each model trains beyond `epochs`: a search that has ended goes on with them.
        start_from: Weights that all models start from, instead of fresh ones: the folder of a run, whose best winner is
            taken, or a `.weights.h5` or `.keras` file. Weights alone: optimizers and epochs begin anew.
        track: Trackers that follow each model while it is trained: `mlflow`, `wandb`.
        hyperparameters: As for `keras_tuner.Hyperband`.
        tune_new_entries: As for `keras_tuner.Hyperband`.
        allow_new_entries: As for `keras_tuner.Hyperband`.
        max_retries_per_trial: As for `keras_tuner.Hyperband`.
        **kwargs: Of `keras_tuner.Tuner`: `directory`, `project_name`, `overwrite`, `max_model_size`, `optimizer`,
            `loss`, `metrics`.

    Raises:
        UsageError: An argument cannot be used; says which and what to do.
    """

    oracle: SearchOracle

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        population_size: int = 8,
        interval: int = 1,
        epochs: int = 10,
        exploit: Exploit | str | None = "truncation",
        explore: Explorer | ExploreFunction | str | None = "perturb",
        structural: Sequence[str] = (),
        frozen: Sequence[str] = (),
        burn_in: float = 0.0,
        synchronous: bool = False,
        initial: Sequence[Mapping[str, Value]] = (),
        seed: int | None = None,
        workers: int = 1,
        address: str | None = None,
        stop: Mapping[str, float] | None = None,
        more_epochs: int = 0,
        start_from: str | Path | None = None,
        track: Sequence[str] = (),
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        **kwargs: Any,
    ) -> None:
        if type(self).run_trial is not keras_tuner.Tuner.run_trial:
            raise UsageError(
                "run_trial: what it trains would not be handed over; write HyperModel.fit instead, or a "
                "keras_tuner.Tuner of your own with nmt_pbt.PBTOracle(hyperparameters=...)"
            )
        if hypermodel is None:
            raise UsageError("hypermodel is missing; give a keras_tuner.HyperModel or a function that builds a model")
        check_known(kwargs, PopulationBasedTraining.__init__, _TUNER)
        check_count("workers", workers)
        if seed is not None:
            check_count("seed", seed)
        check_trackers(track)
        self._population = PopulationArguments(
            population_size=population_size,
            interval=interval,
            epochs=epochs,
            more_epochs=more_epochs,
            exploit=exploit,
            explore=explore,
            burn_in=burn_in,
            synchronous=synchronous,
            initial=initial,
            structural=tuple(structural),
            frozen=tuple(frozen),
            objective=objective,
        )
        self._population.check()
        check_tuner_arguments(kwargs)
        folder = Path(kwargs.get("directory") or ".") / (kwargs.get("project_name") or "untitled_project")
        overwrite = bool(kwargs.get("overwrite"))
        if not overwrite:
            check_project(folder)
        self._workers, self._address = workers, address
        self._stop = dict(stop or {})
        self._track = track
        self._retries = max_retries_per_trial
        self._accepts_unknown = allow_new_entries and not tune_new_entries
        self._compiled = CompileOverrides(*(kwargs.get(name) for name in ("optimizer", "loss", "metrics")))
        self._largest = kwargs.get("max_model_size")
        one_thread_each()
        made = get_hypermodel(hypermodel)
        if hyperparameters is not None and not tune_new_entries:
            self._space, self._changes_shapes = hyperparameters.copy(), {}
        else:
            found = find_space(lambda hp: self._built(made, hp), hyperparameters)
            self._space, self._changes_shapes = found.hyperparameters, found.structural
        run = None if overwrite else RunDirectory(folder)
        self._seed = self._chosen_seed(seed, run)
        super().__init__(oracle=self._new_oracle(), hypermodel=made, **kwargs)
        self._start_from = start_from
        self._start: MemberState | None = None
        if start_from is not None:
            self._start = starting_from(start_from, self._task(FitArguments()), run).start
        self._run = RunDirectory(
            Path(self.project_dir), accept_changes=True, elsewhere="overwrite=True or another project_name"
        )
        self._recall()

    def _populate_initial_space(self) -> None:
        """Do nothing: the space is known."""

    def _built(self, hypermodel: Any, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = check_model(hypermodel.build(hp), None)
        self._compiled.apply(model)
        return model

    def _chosen_seed(self, seed: int | None, run: RunDirectory | None) -> int:
        if seed is not None:
            return seed
        if run is not None and run.journal_file.exists():
            return int(read_yaml(run.settings_file).get("seed", 0))
        return secrets.randbelow(2**31)

    # --- what is searched ---

    def _new_oracle(self) -> SearchOracle:
        return self._population.oracle(self._space, self._seed)

    def _settings(self) -> OwnTaskSettings:
        return self._population.settings(
            self.oracle,
            {
                "name": run_name(self.project_name),
                "start_from": None if self._start_from is None else str(self._start_from),
                "start_digest": None if self._start is None else content_hash(self._start),
                "engine": engine_settings(self._workers, self._address),
            },
            self._stop,
        )

    def _task(self, arguments: FitArguments) -> KerasTask:
        return KerasTask(
            hypermodel=self.hypermodel,
            hyperparameters=self._space,
            arguments=arguments,
            objective=self.oracle.objective,
            structural=self.oracle.space.structural,
            compiled=self._compiled,
            max_model_size=self._largest,
            max_retries=self._retries,
            accepts_unknown=self._accepts_unknown,
            start=self._start,
        )

    def _recall(self) -> None:
        """Bring the oracle to where the run in the project folder stands, if there is one."""
        if self._run.started() is None:
            return
        settings = self._settings()
        self._run.check_same(settings)
        with Journal(self._run.journal_file, writable=False) as journal:
            start = search_started(METHOD, self.oracle, settings.search_plan(), self._seed)
            Driver(self.oracle, StateStore(self._run.states), journal, start, stop=settings.search.stop).recall()

    # --- searching ---

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search; arguments are those of `Model.fit`, or of the hypermodel's own `fit`.

        `epochs` and `initial_epoch` are set for each trial; those given here are not used, with a warning. Goes on
        where an earlier search in the same project directory stopped.

        Args:
            *fit_args: Positional arguments, such as the training data. Data may be functions that return them.
            **fit_kwargs: Others, such as `validation_data` and `callbacks`, which are copied for each trial. `verbose`
                0 prints nothing.

        Raises:
            UsageError: A hyperparameter that changes shapes was not declared structural; the objective is missing;
                something cannot be sent to worker processes; another process searches in this project.
            SearchError: All models failed, or the disk is full.
        """
        for name in ("epochs", "initial_epoch"):
            if fit_kwargs.pop(name, None) is not None:
                warnings.warn(
                    f"search({name}=...) is not used: interval and epochs of PopulationBasedTraining say how long each "
                    "trial trains",
                    stacklevel=2,
                )
        show = fit_kwargs.get("verbose", 1) not in (0, "0")
        if not (own_fit := fits_itself(self.hypermodel)):
            fit_kwargs.setdefault("verbose", 0)
        arguments = FitArguments(fit_args, fit_kwargs)
        arguments.check(sent=False)
        check_fit_arguments(arguments, self._task(arguments).objective_names, own_fit, self._population.interval)
        if self._run.started() is None:
            self._space = with_space_of_fit(
                self.hypermodel, lambda hp: self._built(self.hypermodel, hp), self._space, arguments
            )
        written = self._run.records()
        if is_finished(written, self._settings()):
            if show:
                say(f"{self.project_dir}: this search is finished; see get_best_models(), report()")
            warn_unsent(self._run, self._track, _LOG.warning)
            return
        self.oracle = self._new_oracle()
        self._population.check_structural(self.oracle.space, self._changes_shapes)
        if self._population.explore is not None and self._run.started() is None:
            tell_words_that_change(self.oracle.space)
        task = self._task(arguments)
        if self._workers != 1 or self._address is not None:
            task.check_sendable()
        progress, told = Progress(show, intervals=True), say if show else say_nothing
        with telling_full_disks(), tracking(self._track, self._run, _LOG.warning) as track:
            tell = combined_listener(progress, track)
            compare.compare(self._run, self._settings(), task, tell, told, self._oracle_of_search)

    def _oracle_of_search(
        self, name: str, plan: SearchPlan, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
    ) -> SearchOracle:
        return self.oracle

    # --- results ---

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Return the best models with their weights and optimizer slots, best first.

        Args:
            num_models: How many at most. Kept are the best one, and the best one of each other member.

        Returns:
            The models of the best trials whose states are kept.

        Raises:
            UsageError: Nothing has been trained.
        """
        states = TrialStates.of(self._run, METHOD, self._seed)
        trials = self.oracle.get_best_trials(self.oracle.max_trials)
        kept = [trial for trial in trials if states.has(trial.trial_id)]
        if not kept:
            raise UsageError(f"{self.project_dir}: no trained model yet; call search first")
        return [self.load_model(trial) for trial in kept[:num_models]]

    def load_model(self, trial: Trial) -> keras.Model:
        """Build the model of a trial and give it the state that the trial ended with.

        Args:
            trial: A trial whose state is kept.

        Raises:
            StateError: It is not kept.
        """
        states = TrialStates.of(self._run, METHOD, self._seed)
        values = self.oracle.searched(trial.hyperparameters.values)
        return states.model(trial.trial_id, self._task(FitArguments()), values)

    def schedule(self) -> pd.DataFrame:
        """Return the hyperparameters of the best model over its training, along its lineage.

        Returns:
            One row an interval, in order. Columns: epoch (epochs the weights were trained on when these values came
            into force) and until (when they ended), one column a hyperparameter, score (at the end of the interval),
            trial, member, and inherited (the weights came from another member). Where callbacks change a learning rate,
            `optimizer.learning_rate` is what they had made of it at the end of the interval, empty where it was the
            hyperparameter still.

        Raises:
            UsageError: Nothing has been trained.
        """
        return schedule(self.oracle)

    def history(self) -> pd.DataFrame:
        """Return what every member was in every interval.

        Returns:
            One row an interval of a member, in the order in which they ended. Columns: member, generation, epoch
            (epochs that the weights were trained on at its end), trial, parent (the trial whose state it began with;
            None for fresh weights), inherited, one column a hyperparameter, one a metric (at the last epoch), and
            failure (why it failed; None where it did not).
        """
        return history(self._run.records())

    def report(self) -> Path:
        """Write the report of the run; see `nmt_pbt.report.page.write_report`.

        Returns:
            Its page.

        Raises:
            UsageError: Nothing has been trained.
        """
        from nmt_pbt.report.page import write_report

        if self._run.started() is None:
            raise UsageError(f"{self.project_dir}: nothing to report yet; call search first")
        return write_report(self._run.path)

    def save(self) -> None:
        """Do nothing: the journal is the record."""
