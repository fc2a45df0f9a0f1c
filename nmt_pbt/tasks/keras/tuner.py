"""`PopulationBasedTraining`: used where `keras_tuner.Hyperband` is, for any Keras model."""

from __future__ import annotations

import errno
import json
import logging
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pandas as pd
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalError

from nmt_pbt.base.errors import NmtPbtError, StateError, UsageError, first_line
from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.search.exploit import Exploit
from nmt_pbt.search.explore import ExploreFunction, Explorer
from nmt_pbt.search.keras_tuner_internals import TunerCallback, is_chief_oracle
from nmt_pbt.search.oracles import EPOCHS
from nmt_pbt.search.pbt import AGE, PARENT
from nmt_pbt.tasks.keras.arguments import check_exploit, check_tuner_arguments, check_whole
from nmt_pbt.tasks.keras.model_state import capture, is_finite
from nmt_pbt.tasks.keras.models import Models, Parent, check_model
from nmt_pbt.tasks.keras.oracle import STATE, PBTOracle, cannot_write, write_json
from nmt_pbt.tasks.keras.results import last_metrics
from nmt_pbt.tasks.keras.schedule import schedule
from nmt_pbt.tasks.keras.states import ProjectStates

_LOG = logging.getLogger("nmt_pbt")
_FULL = {errno.ENOSPC, errno.EDQUOT}  # the disk, or one's share of it
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two questions to an oracle that has nothing to do yet


class PopulationBasedTraining(keras_tuner.Tuner):
    """Population Based Training (Jaderberg et al. 2017, arXiv 1711.09846) of Keras models.

    A population of models trains side by side. After each interval a model of the bottom takes over the weights,
    optimizer slots and iteration count of one of the top, and its hyperparameters, which then move a little. So the
    search finds *schedules* of hyperparameters, at the cost of training `population_size` models once.

    A hypermodel may offer `apply(hp, model)`, which assigns every hyperparameter that is not structural to variables of
    a live model. Then a trial costs no build, no compile and no trace.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function of `hp` that returns a compiled model.
        objective: Name of a metric, `keras_tuner.Objective`, or a list of them. Its value at the *last* epoch of an
            interval is the score of a trial.
        population_size: Models in training, at least 2.
        interval: Whole epochs between two decisions of a model.
        epochs: Whole epochs each of them trains in all.
        exploit: Who takes over from whom: the name of a strategy, an object of `nmt_pbt.search.exploit`, or None for
            nobody.
        explore: How the hyperparameters then move: the name of a way, an object of `nmt_pbt.search.explore`, a
            function of (values, space, generator) that returns new values, or None for not at all.
        structural: Names of hyperparameters that change the shapes of weights or the kind of optimizer. They stay as
            they are along a lineage. `units_*` stands for all that begin so.
        frozen: Names of further hyperparameters that explore leaves alone.
        burn_in: Epochs a model has to be trained before it may take over or be taken over from.
        synchronous: All models finish an interval before any decides: the same lineage for any number of workers.
        initial: Hyperparameters of the first models, a dictionary each; the others' are drawn from the space.
        seed: Seed of every draw, 0 too. With a seed, `keras.utils.set_random_seed` is called at the start of each
            trial, so that weights, masks and the order of the data repeat as well.
        hyperparameters: As for `keras_tuner.Hyperband`.
        tune_new_entries: As for `keras_tuner.Hyperband`.
        allow_new_entries: As for `keras_tuner.Hyperband`.
        max_retries_per_trial: As for `keras_tuner.Hyperband`.
        **kwargs: Of `keras_tuner.Tuner`: `directory`, `project_name`, `overwrite`, `max_model_size`, `optimizer`,
            `loss`, `metrics`, `distribution_strategy`, `tuner_id`.

    Raises:
        UsageError: An argument cannot be used; says which and what to do.
    """

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
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        **kwargs: Any,
    ) -> None:
        if hypermodel is None and type(self).run_trial is PopulationBasedTraining.run_trial:
            raise UsageError("hypermodel is missing; give a keras_tuner.HyperModel or a function that builds a model")
        check_whole(interval=interval, epochs=epochs)
        check_exploit(exploit)
        check_tuner_arguments(kwargs)
        oracle = PBTOracle(
            objective=objective,
            population_size=population_size,
            interval=interval,
            epochs=epochs,
            exploit=exploit,
            explore=explore,
            structural=structural,
            frozen=frozen,
            burn_in=burn_in,
            synchronous=synchronous,
            initial=initial,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
        )
        self._seed = seed
        self._pause: float | None = None
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        self._states = ProjectStates(Path(self.project_dir) / "states")
        keeps_alive = hasattr(self.hypermodel, "apply")
        build = self._build_beside if keeps_alive else self._try_build
        self._models = Models(self.hypermodel, build, oracle.structural_among, seed)
        if self._is_worker():
            from nmt_pbt.tasks.keras.chief import patient

            patient(self.oracle)
        else:
            oracle.check_arguments()
            oracle.states_released = self._states.keep

    # --- the loop ---

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search; arguments are those of `Model.fit`, or of the hypermodel's own `fit`.

        `epochs` and `initial_epoch` are set for each trial; those given here are not used, with a warning. Goes on
        where an earlier search in the same project directory stopped.

        Args:
            *fit_args: Positional arguments, such as the training data.
            **fit_kwargs: Others, such as `validation_data` and `callbacks`, which are copied for each trial.

        Raises:
            UsageError: A hyperparameter that changes shapes was not declared structural; the objective is missing.
            SearchError: All models failed.
        """
        for name in ("epochs", "initial_epoch"):
            if fit_kwargs.pop(name, None) is not None:
                warnings.warn(
                    f"search({name}=...) is not used: interval and epochs of PopulationBasedTraining say how long each "
                    "trial trains",
                    stacklevel=2,
                )
        if is_chief_oracle():
            from nmt_pbt.tasks.keras.chief import serve

            self.oracle.verbose = fit_kwargs.get("verbose", self.oracle.verbose)
            self.on_search_begin()
            serve(self.oracle)
            return
        try:
            super().search(*fit_args, **fit_kwargs)
        finally:
            self._states.leave()

    def on_search_begin(self) -> None:
        """Save, so that a search killed in its first trial is resumed too."""
        self.save()
        if not self._is_worker():
            self.oracle.release_states()

    def pre_create_trial(self) -> None:
        """Wait a little before asking again an oracle that had nothing to do: other workers' results have to come."""
        if self._pause is not None:
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._pause = _FIRST_PAUSE

    def on_trial_begin(self, trial: Trial) -> None:
        """Stop waiting.

        Args:
            trial: The trial that is about to run.
        """
        self._pause = None

    def on_trial_end(self, trial: Trial) -> None:
        """Tell the oracle, and let other workers save.

        Args:
            trial: The trial that ended.
        """
        super().on_trial_end(trial)
        self._states.leave()

    def _run_and_update_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        results = self.run_trial(trial, *fit_args, **fit_kwargs)
        metrics = last_metrics(results, self.oracle.objective, "run_trial")
        self.oracle.update_trial(trial.trial_id, metrics, step=_end(trial))

    def _try_run_and_update_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> None:
        try:
            self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
        except (FatalError, NmtPbtError):
            raise  # no fault of this trial's values: going on would not help
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise cannot_write(error) from error  # nor is this
            trial.status = "FAILED" if isinstance(error, FailedTrialError) else "INVALID"
            reason = f"{type(error).__name__}: {first_line(error, '')}"
            trial.message = f"{reason}\n\n{traceback.format_exc()}"
            _LOG.warning("trial %s failed: %s", trial.trial_id, reason)
        else:
            trial.status = "COMPLETED"

    # --- one trial ---

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Train one model for one interval, from where its parent stopped, and keep its state.

        Args:
            trial: The trial.
            *fit_args: As given to `search`.
            **fit_kwargs: As given to `search`.

        Returns:
            The metrics of the last epoch.

        Raises:
            StateError: The parent's state is missing or damaged.
            HandoverError: The model does not hold it after the load.
            UsageError: It does not fit the model, because of a hyperparameter that was not declared structural.
        """
        values = trial.hyperparameters.values
        values.pop(STATE, None)  # of an attempt that failed
        self._seed_keras("weights", trial)
        callbacks = self._deepcopy_callbacks(fit_kwargs.pop("callbacks", None) or [])
        if any(type(callback).__name__ == "TensorBoard" for callback in callbacks):
            self._configure_tensorboard_dir(callbacks, trial)
        parent = self._ended(self.oracle.get_trial(values[PARENT])) if values[PARENT] else None
        model = self._models.take_up(trial, parent)
        self._seed_keras("training", trial)  # again, so that it does not matter what was built
        results = self.hypermodel.fit(
            trial.hyperparameters,
            model,
            *fit_args,
            epochs=_end(trial),
            initial_epoch=round(values[AGE]),
            callbacks=[*callbacks, TunerCallback(self, trial)],
            **fit_kwargs,
        )
        metrics = last_metrics(results, self.oracle.objective, "HyperModel.fit")
        self._keep(trial, model, metrics)
        return metrics

    def _seed_keras(self, purpose: str, trial: Trial) -> None:
        if self._seed is not None:
            keras.utils.set_random_seed(derive_seed(self._seed, purpose, trial.trial_id) % 2**32)

    def _build_beside(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model as KerasTuner does, but without clearing Keras's state, which live models share."""
        return check_model(self._build_hypermodel(hp), self.max_model_size)

    def _ended(self, trial: Trial) -> Parent:
        """Return what a trial ended with."""
        if STATE not in trial.hyperparameters.values:
            raise StateError(f"trial {trial.trial_id} left no state to go on from; start a new search")
        state = self._states.load(trial.trial_id, trial.hyperparameters.values[STATE])
        build_config = Path(self._get_build_config_fname(trial.trial_id)).read_text(encoding="utf-8")
        return Parent(trial, state, json.loads(build_config))

    def _keep(self, trial: Trial, model: keras.Model, metrics: dict[str, float]) -> None:
        """Save the state a trial ended with; one with numbers that are not finite fails the trial instead."""
        if not is_finite(model):
            metrics[self.oracle.objective.name] = float("nan")
            return
        self._states.enter()
        if self.oracle.get_trial(trial.trial_id).status == "COMPLETED":
            return  # another worker, which was given the same trial after a crash, was faster
        state = capture(model, _end(trial))
        trial.hyperparameters.values[STATE] = self._states.save(trial.trial_id, state)
        write_json(Path(self._get_build_config_fname(trial.trial_id)), model.get_build_config())

    # --- results ---

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Return the best models with their weights and optimizer slots, best first.

        Args:
            num_models: How many at most. Kept are the best one and those that members may still start from.

        Returns:
            The models of the best trials whose states are kept.

        Raises:
            UsageError: Nothing has been trained.
        """
        trials = [trial for trial in self.oracle.get_best_trials(self.oracle.max_trials) if self._is_kept(trial)]
        if not trials:
            raise UsageError(f"{self.project_dir}: no trained model yet; call search first")
        return [self.load_model(trial) for trial in trials[:num_models]]

    def load_model(self, trial: Trial) -> keras.Model:
        """Build the model of a trial and give it the state that the trial ended with.

        Args:
            trial: A trial whose state is kept.

        Raises:
            StateError: It is not kept.
        """
        return self._models.load(self._ended(trial))

    def schedule(self) -> pd.DataFrame:
        """Return the hyperparameters of the best model over its training, along its lineage.

        Returns:
            One row an interval, in order. Columns: epoch (epochs the weights were trained on when these values came
            into force) and until (when they ended), one column a hyperparameter, score (at the end of the interval),
            trial, member, and inherited (the weights came from another member).

        Raises:
            UsageError: Nothing has been trained.
        """
        return schedule(self.oracle)

    def _is_kept(self, trial: Trial) -> bool:
        content = trial.hyperparameters.values.get(STATE)
        return content is not None and self._states.exists(trial.trial_id, content)

    def _get_tuner_fname(self) -> str:
        """Return one name for chief and lone process, so that each goes on with, or reads, what the other did."""
        return str(super()._get_tuner_fname() if self._is_worker() else Path(self.project_dir) / "tuner.json")

    def save(self) -> None:
        """Write the state of tuner and oracle to the project directory."""
        if not self._is_worker():
            self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())


def _end(trial: Trial) -> int:
    """Return how many epochs the weights of a trial will have been trained on when it is over."""
    values = trial.hyperparameters.values
    end: int = round(values[AGE] + values[EPOCHS])
    return end
