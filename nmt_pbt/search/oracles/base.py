"""What all oracles of this project share on top of `keras_tuner.Oracle`."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import AllFailedError
from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.keras_tuner_internals import LOCKS, THREADS, MetricsTracker, infer_metric_direction
from nmt_pbt.search.oracles.keras_tuner_space import to_hyperparameters
from nmt_pbt.space.space import Space

Method = TypeVar("Method", bound=Callable[..., Any])

EPOCHS = "search/epochs"
"""Bookkeeping among a trial's values: how many epochs it is to train."""


def locked(method: Method) -> Method:
    """Hold KerasTuner's lock of the oracle during a method, and let it go whatever happens.

    KerasTuner's own `synchronized` keeps the lock for ever when the method raises. Within this one it finds the lock
    held by its thread, and leaves it alone; it still takes the old signature of `end_trial`.
    """
    inner = keras_tuner.synchronized(method)

    @functools.wraps(method)
    def holding(oracle: keras_tuner.Oracle, *args: Any, **kwargs: Any) -> Any:
        thread = threading.current_thread().name
        if THREADS[oracle] == thread:
            return inner(oracle, *args, **kwargs)
        with LOCKS[oracle]:
            THREADS[oracle] = thread
            try:
                return inner(oracle, *args, **kwargs)
            finally:
                THREADS[oracle] = None

    return holding  # type: ignore[return-value]


@functools.cache
def _inferred_direction(metric: str) -> str:
    """Return KerasTuner's guess, which takes a millisecond as it builds the metric, for one that is no objective."""
    return infer_metric_direction(metric) or "min"


class SafeOracle(keras_tuner.Oracle):
    """KerasTuner's oracle without what makes it hang, forget its seed, or give up.

    The lock is released when a method raises; seed 0 is a seed; a trial that is issued again starts with empty
    metrics, so that its new results count; three failures in a row do not end a search; metrics that are not finite
    cause no warnings.
    """

    def __init__(self, *args: Any, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, seed=seed, **kwargs)
        if seed is not None:
            # KerasTuner takes `seed or a random one`.
            self.seed = seed
            self._seed_state = seed

    @locked
    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial to run, or one whose status is IDLE (ask again later) or STOPPED (the search is over).

        Args:
            tuner_id: The worker's id. As long as its trial has not ended, it gets the same one again.
        """
        again = tuner_id in self.ongoing_trials or bool(self._retry_queue)
        trial = super().create_trial(tuner_id)
        if again:
            trial.metrics = MetricsTracker()
        return trial

    @locked
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Record an evaluation.

        Args:
            trial_id: A trial under way.
            metrics: Values by name, the objective among them.
            step: Its number within the trial, rising.

        Returns:
            The trial.

        Raises:
            ValueError: The objective is missing.
        """
        trial = self.trials[trial_id]
        self._check_objective_found(metrics)
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=self._direction(name))
            # Not `MetricsTracker.update`, which takes the best of all values twice, and warns when none is finite.
            trial.metrics.metrics[name].update(float(value), step=step)
        self._save_trial(trial)
        return trial

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial; what it was given stays as it was given.

        What comes back over KerasTuner's wire has 32 bits: 0.6 would be above a largest value of 0.6. From the old way
        to end a trial, by its id, nothing comes back.

        Args:
            trial: With its status COMPLETED, FAILED or INVALID, and a message if it failed.
        """
        given = self.trials[trial.trial_id].hyperparameters.values
        trial.hyperparameters.values = {**trial.hyperparameters.values, **given}
        super().end_trial(trial)

    def _direction(self, metric: str) -> str:
        named = (objective.direction for objective in self._objectives if objective.name == metric)
        return next(named, None) or _inferred_direction(metric)

    def evaluations(self, trial: Trial) -> dict[int, float]:
        """Return the objective's evaluations of a trial by step, in order; the mean over executions.

        Several objectives count as KerasTuner's sum of them, which is to be minimised.
        """
        histories = {
            objective.name: {
                observation.step: float(np.mean(observation.value))
                for observation in trial.metrics.get_history(objective.name)
            }
            for objective in self._objectives
            if trial.metrics.exists(objective.name)
        }
        if len(histories) < len(self._objectives):
            return {}
        steps = sorted(set.intersection(*map(set, histories.values())))
        return {
            step: float(self.objective.get_value({name: history[step] for name, history in histories.items()}))
            for step in steps
        }

    def observations(self, trial: Trial) -> list[float]:
        """Return the objective's evaluations of a trial, in the order of their steps."""
        return list(self.evaluations(trial).values())

    @property
    def _objectives(self) -> list[Any]:
        return list(getattr(self.objective, "objectives", [self.objective]))

    def score_trial(self, trial: Trial) -> None:
        """Score a trial by its best finite evaluation; NaN without one, which KerasTuner takes for a failure."""
        finite = {step: value for step, value in self.evaluations(trial).items() if math.isfinite(value)}
        trial.score = math.nan
        if finite:
            best = max if self.objective.direction == "max" else min
            trial.score = best(finite.values())
            trial.best_step = next(step for step, value in finite.items() if value == trial.score)

    @property
    def needs_evidence(self) -> str | None:
        """The kind of evidence to report of each trial, by `report_evidence`; None where scores are enough."""
        return None

    def report_evidence(self, trial_id: str, evidence: str) -> None:
        """Record the evidence of a trial's latest evaluation; dropped where none is needed."""

    def _check_consecutive_failures(self) -> None:
        """Go on after failures; each search has its own rule for when to stop."""


class JournaledOracle(SafeOracle):
    """An oracle of this project's own driver: its record is the journal, from which a fresh one is brought back.

    It writes no files and prints nothing, and its space is fixed.

    Args:
        space: The search space.
        **kwargs: Of the KerasTuner oracle.

    Attributes:
        budget: What the whole search may train.
    """

    budget: Budget
    concurrent_trials: int | None = None
    """Trials that may be under way at once, whatever the number of workers; None: as many as a population has"""
    takes_results_in_order = True
    """Whether results are told in a fixed order, so that what is decided does not depend on which worker was faster"""

    def __init__(self, *, space: Space, **kwargs: Any) -> None:
        self.space = space
        super().__init__(
            hyperparameters=to_hyperparameters(space), allow_new_entries=False, tune_new_entries=False, **kwargs
        )
        self.verbose = 0
        self._needed_before: set[str] = set()

    @property
    def population_size(self) -> int | None:
        """Members of its population; None without one."""
        return None

    def save(self) -> None:
        """Write nothing: the journal is the record."""

    def _save_trial(self, trial: Trial) -> None:
        """Write nothing: the journal is the record."""

    def searched(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of the space alone, without bookkeeping."""
        return {name: values[name] for name in self.space.names if name in values}

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial means for whoever trains it."""
        values = trial.hyperparameters.values
        return Assignment(trial.trial_id, self.searched(values), float(values[EPOCHS]))

    def needed(self) -> set[str]:
        """Return the trials whose final states other trials may start from: none."""
        return set()

    def needs(self, trial_id: str) -> bool:
        """Return whether other trials may start from a trial's final state."""
        return trial_id in self.needed()

    def released(self) -> set[str]:
        """Return the trials whose final states ceased to be needed since this was asked last."""
        before, self._needed_before = self._needed_before, self.needed()
        return before - self._needed_before


class BudgetedOracle(JournaledOracle):
    """Gives out trials of any length until they add up to exactly the budget; the last one is cut.

    What a failed trial did not train goes back into the budget.

    Args:
        budget: What the whole search may train.
        epochs: Epochs of one trial, when the space does not name `epochs`.
        max_initial_failures: So many trials may fail, as long as none succeeds, before the search is given up.
        **kwargs: Of `JournaledOracle`.
    """

    def __init__(self, *, budget: Budget, epochs: float, max_initial_failures: int, **kwargs: Any) -> None:
        self.budget = budget
        self.epochs = epochs
        self.max_initial_failures = max_initial_failures
        self._taken: dict[str, int] = {}
        super().__init__(**kwargs)

    def choose(self, trial_id: str) -> Mapping[str, Value] | None:
        """Return the values of the next trial, bookkeeping among them; None when a result has to come in first."""
        raise NotImplementedError

    def length(self, values: Mapping[str, Value]) -> float:
        """Return how many epochs a trial with these values is to train."""
        return float(values.get("epochs", self.epochs))

    @property
    def left(self) -> int:
        """Sentence pairs of the budget that no trial has been given, or that one gave back by failing."""
        return self.budget.total - sum(self._taken.values())

    def _pairs(self, trial: Trial) -> int:
        """Return the pairs that a trial has taken or may still take; the interval in which it failed counts whole."""
        intervals = self.budget.intervals(self.assignment(trial))
        return sum(intervals[: len(self.observations(trial)) + 1] if trial.status == "FAILED" else intervals)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next trial's values, as KerasTuner wants them, until the budget is given out.

        Args:
            trial_id: The trial's id.
        """
        left = self.left
        if not left:
            return {"status": "STOPPED"}
        values = self.choose(trial_id)
        if values is None:
            return {"status": "IDLE"}
        pairs = max(1, self.budget.pairs(self.length(values)))
        # What would be left is too little for a trial of its own: less than a hundredth of an interval.
        if left - pairs <= self.budget.pairs(self.budget.interval_epochs) // 100:
            pairs = left
        self._taken[trial_id] = pairs
        return {"status": "RUNNING", "values": {**values, EPOCHS: pairs / self.budget.pairs_per_epoch}}

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial.

        Args:
            trial: With its status COMPLETED, FAILED or INVALID, and a message if it failed.

        Raises:
            AllFailedError: The first `max_initial_failures` trials all failed.
        """
        super().end_trial(trial)
        self._taken[trial.trial_id] = self._pairs(self.trials[trial.trial_id])
        count = self.max_initial_failures
        first = self.end_order[:count]
        if first and len(first) == count and all(self.trials[ended].status == "FAILED" for ended in first):
            raise AllFailedError.of(f"the first {count} trials all", trial.message)

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial means for whoever trains it."""
        assignment = super().assignment(trial)
        asked = assignment.values.get("epochs")
        if asked is None or self.budget.pairs(assignment.epochs) >= self.budget.pairs(float(asked)):
            return assignment
        return replace(assignment, values={**assignment.values, "epochs": assignment.epochs})  # it was cut

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` of an oracle with the same trials returned; the next one is decided as there."""
        super().set_state(state)
        self._taken = {trial.trial_id: self._pairs(trial) for trial in self.trials.values()}

    def _random_values(self) -> dict[str, Value]:
        """Draw values for the next trial, new ones if there are any.

        KerasTuner's way ends the search when 20 draws in a row were tried before: in a small space it stops early.
        All methods that draw their first values draw the same ones: trial k here, member k of a population. So
        methods compared under one seed share what luck there is. Methods that place values, as grid does, do not.
        """
        key = len(self.trials)
        values = self.space.sample(self.seed, "initial", key)
        for attempt in range(self._max_collisions):
            if not self._duplicate(values):
                break
            values = self.space.sample(self.seed, "initial", key, attempt)
        return values

    def _compute_values_hash(self, values: Mapping[str, Value]) -> str:
        return str(super()._compute_values_hash(self.searched(values)))
