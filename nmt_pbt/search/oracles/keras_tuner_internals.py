"""Everything this project takes from inside KerasTuner, which may move with any release of it. Nothing else may."""

from __future__ import annotations

from keras_tuner.src.distribute.utils import has_chief_oracle
from keras_tuner.src.engine.hypermodel import get_hypermodel
from keras_tuner.src.engine.metrics_tracking import MetricsTracker, infer_metric_direction
from keras_tuner.src.engine.objective import MultiObjective, create_objective
from keras_tuner.src.engine.oracle import LOCKS, THREADS
from keras_tuner.src.engine.tuner import maybe_compute_model_size
from keras_tuner.src.engine.tuner_utils import validate_trial_results

__all__ = [
    "LOCKS",
    "THREADS",
    "MetricsTracker",
    "MultiObjective",
    "create_objective",
    "get_hypermodel",
    "has_chief_oracle",
    "infer_metric_direction",
    "maybe_compute_model_size",
    "validate_trial_results",
]
