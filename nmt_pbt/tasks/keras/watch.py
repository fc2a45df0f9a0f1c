"""What `fit` did in an interval: its epochs, and the weights and metrics that the last one ended with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.search.oracles.keras_tuner_internals import MultiObjective, validate_trial_results
from nmt_pbt.tasks.keras.model_state import array_of


class Watch(keras.callbacks.Callback):
    """Comes after all other callbacks: counts epochs, and keeps what the last one ended with.

    It also sets the seed of the order of the data: on JAX, the first `fit` of a model draws an order before it trains,
    which later ones do not.

    Args:
        begin: Epochs that the model was trained before.
        end: Epochs that it is to have been trained afterwards.
        order: The seed.
    """

    def __init__(self, begin: int, end: int, order: int) -> None:
        super().__init__()
        self._order = order
        self._begin = begin
        self._end = end
        self.seen = 0
        self.logs: Mapping[str, Any] = {}
        self._weights: list[np.ndarray] = []

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Set the seed, after all other draws; a `fit` of one's own that calls Keras's for each epoch goes on in it."""
        if not self.seen:
            keras.utils.set_random_seed(self._order)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count an epoch, and keep what it ended with."""
        self.seen += 1
        self.logs = dict(logs or {})
        if self.seen >= self._end - self._begin or self.model.stop_training:
            self._weights = _trained(self.model)

    def check(self) -> None:
        """Refuse an interval of another length."""
        planned = self._end - self._begin
        if self.seen > planned:
            raise UsageError(
                f"HyperModel.fit trained {self.seen} epochs where {planned} were planned; let it train from "
                "kwargs['initial_epoch'] to kwargs['epochs'], as Model.fit does"
            )
        if 0 < self.seen < planned:
            raise UsageError(
                f"a callback ended training after {self.seen} of {planned} epochs (EarlyStopping?); in a search each "
                "model trains its whole interval, so leave that callback out"
            )

    def weights_changed(self, model: keras.Model) -> bool:
        """Return whether the trained weights are no longer those that the last epoch ended with."""
        if not self._weights:
            return False
        return not all(
            np.array_equal(before, after, equal_nan=True)
            for before, after in zip(self._weights, _trained(model), strict=True)
        )

    def restore(self, model: keras.Model) -> None:
        """Give a model the weights that the last epoch ended with."""
        for variable, array in zip(model.trainable_variables, self._weights, strict=True):
            variable.assign(array)


def _trained(model: keras.Model) -> list[np.ndarray]:
    return [array_of(variable).astype(np.float64) for variable in model.trainable_variables]


def last_metrics(results: Any, objective: Any, source: str) -> dict[str, float]:
    """Return the metrics a trial ended with; KerasTuner takes those of its best epoch.

    Args:
        results: A `History`, a dictionary, a number, or a list of these, which are averaged.
        objective: The search's objective.
        source: Who returned them, for the error's text.

    Returns:
        Metrics by name, the objective among them.

    Raises:
        UsageError: The objective is not among them.
        keras_tuner.errors.FatalError: They are of another type.
    """
    named = _without_counters(results, objective) if isinstance(results, dict) else results
    validate_trial_results(named, objective, source)
    if isinstance(results, list):
        each = [last_metrics(result, objective, source) for result in results]
        return {name: sum(metrics[name] for metrics in each) / len(each) for name in each[0]}
    if isinstance(results, keras.callbacks.History):
        metrics = {name: float(values[-1]) for name, values in results.history.items() if values}
    elif isinstance(results, dict):
        metrics = {name: float(value) for name, value in results.items()}
    else:
        metrics = {objective.name: float(results)}
    metrics = _without_counters(metrics, objective)
    if isinstance(objective, MultiObjective) and objective.has_value(metrics):
        metrics[objective.name] = float(objective.get_value(metrics))
    if objective.name not in metrics:
        raise UsageError(
            f"objective {objective.name}: not among the metrics that {source} reported"
            f"{suggest(objective.name, metrics) if metrics else ', which are none'}"
        )
    return metrics


def _without_counters(metrics: dict[str, Any], objective: Any) -> dict[str, Any]:
    """Return metrics in which the objective has its own name, without the number that Keras adds to repeated names.

    A second `keras.metrics.AUC()` in the same process is `auc_1`.
    """
    parts = objective.objectives if isinstance(objective, MultiObjective) else [objective]
    found = dict(metrics)
    for name in {part.name for part in parts} - metrics.keys():
        counted = [other for other in metrics if _is_counted(other, name)]
        if len(counted) == 1:
            found[name] = found.pop(counted[0])
    return found


def found_in(metrics: Mapping[str, Any], name: str) -> bool:
    """Return whether a metric is among some, by its name or with the number that Keras counts up.

    Args:
        metrics: By name.
        name: Of the metric.
    """
    return any(other == name or _is_counted(other, name) for other in metrics)


def _is_counted(metric: str, name: str) -> bool:
    return re.fullmatch(rf"{re.escape(name)}_\d+", metric) is not None
