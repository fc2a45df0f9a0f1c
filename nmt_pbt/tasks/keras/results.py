"""What `HyperModel.fit` returned, as the metrics of the last epoch."""

from __future__ import annotations

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
    validate_trial_results(results, objective, source)
    if isinstance(results, list):
        each = [last_metrics(result, objective, source) for result in results]
        return {name: sum(metrics[name] for metrics in each) / len(each) for name in each[0]}
    if isinstance(results, keras.callbacks.History):
        metrics = {name: float(values[-1]) for name, values in results.history.items() if values}
    elif isinstance(results, dict):
        metrics = {name: float(value) for name, value in results.items()}
    else:
        metrics = {objective.name: float(results)}
    if isinstance(objective, MultiObjective) and objective.has_value(metrics):
        metrics[objective.name] = float(objective.get_value(metrics))
    if objective.name not in metrics:
        raise UsageError(
            f"objective {objective.name}: not among the metrics that {source} reported"
            f"{suggest(objective.name, metrics) if metrics else ', which are none'}"
        )
    return metrics
