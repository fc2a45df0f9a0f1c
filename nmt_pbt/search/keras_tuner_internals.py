"""What KerasTuner does not offer publicly but this package needs, in one place: to look at when KerasTuner changes."""

from __future__ import annotations

from keras_tuner.src.engine.metrics_tracking import MetricsTracker, infer_metric_direction
from keras_tuner.src.engine.oracle import LOCKS, THREADS

__all__ = ["LOCKS", "THREADS", "MetricsTracker", "infer_metric_direction"]
