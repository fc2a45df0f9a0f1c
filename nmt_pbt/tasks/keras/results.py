"""What `HyperModel.fit` returned, as the metrics of the last epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.search.keras_tuner_internals import MultiObjective, validate_trial_results


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
    validate_trial_results(_renamed(results, objective), objective, source)
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


def _renamed(results: Any, objective: Any) -> Any:
    return _without_counters(results, objective) if isinstance(results, dict) else results


def _without_counters(metrics: dict[str, Any], objective: Any) -> dict[str, Any]:
    """Return metrics in which the objective has its own name: Keras counts up those of metrics that have none.

    A second `keras.metrics.AUC()` of the same process is `auc_1`.
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
