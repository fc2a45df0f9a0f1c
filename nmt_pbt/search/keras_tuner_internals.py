"""Everything this project takes from inside KerasTuner, which may move with any release of it. Nothing else may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_tuner.src.distribute.utils import has_chief_oracle, is_chief_oracle
from keras_tuner.src.engine.metrics_tracking import MetricsTracker, infer_metric_direction
from keras_tuner.src.engine.objective import MultiObjective
from keras_tuner.src.engine.oracle import LOCKS, THREADS
from keras_tuner.src.engine.tuner import maybe_compute_model_size
from keras_tuner.src.engine.tuner_utils import TunerCallback, validate_trial_results

if TYPE_CHECKING:
    import grpc
    import keras_tuner

__all__ = [
    "LOCKS",
    "THREADS",
    "MetricsTracker",
    "MultiObjective",
    "TunerCallback",
    "add_oracle_servicer",
    "has_chief_oracle",
    "infer_metric_direction",
    "is_chief_oracle",
    "maybe_compute_model_size",
    "validate_trial_results",
    "workers_have_left",
]


def add_oracle_servicer(oracle: keras_tuner.Oracle, server: grpc.Server) -> Any:
    """Let a server answer KerasTuner's workers for an oracle.

    Args:
        oracle: The chief's oracle.
        server: A server that has not started yet.

    Returns:
        KerasTuner's servicer, whose `stop_triggered` tells whether a worker was told that the search is over.
    """
    from keras_tuner.src import protos  # here: only a chief needs protobuf's generated code
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    servicer = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    return servicer


def workers_have_left(oracle: keras_tuner.Oracle) -> bool:
    """Return whether no worker has a trial of the oracle in training any more.

    Args:
        oracle: The chief's oracle.
    """
    from keras_tuner.src.distribute.oracle_chief import exit_chief

    return bool(exit_chief(oracle))
