"""MLflow: an experiment for a run, a run of its own for each model. MLFLOW_TRACKING_URI says where."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from nmt_pbt.track.feed import TrackedModel

_NOT_IN_NAMES = re.compile(r"[^\w./ -]")
_KEY = "nmt_pbt.model"
_INTERVALS = "intervals"


class MlflowTracker:
    """Sends models to MLflow; see `feed.Tracker`.

    Args:
        run_name: What to call the experiment, unless MLFLOW_EXPERIMENT_NAME does; it is made where there is none.
    """

    def __init__(self, run_name: str) -> None:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", run_name)
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        self._experiment: str = found.experiment_id if found else self._client.create_experiment(experiment)
        self._runs: dict[TrackedModel, str] = {}

    def start(self, model: TrackedModel) -> int:
        """Begin a run, or go on with the one that has the model's tag."""
        key = f"{model.run_id}/{model.label}"
        found = self._client.search_runs([self._experiment], f"tags.`{_KEY}` = '{key}'", max_results=1)
        if found:
            self._runs[model] = found[0].info.run_id
            self._client.update_run(self._runs[model], status="RUNNING")
            return int(found[0].data.metrics.get(_INTERVALS, 0))
        tags = {_KEY: key, "method": model.method, "seed": str(model.seed)}
        run = self._client.create_run(self._experiment, tags=tags, run_name=model.label)
        self._runs[model] = run.info.run_id
        return 0

    def log(self, model: TrackedModel, interval: int, metrics: Mapping[str, float]) -> None:
        """Send metrics, with the interval as their step."""
        self._send(model, interval, {**metrics, _INTERVALS: float(interval)})

    def result(self, model: TrackedModel, scores: Mapping[str, float]) -> None:
        """Send scores, and tag the winner."""
        self._send(model, 0, scores)
        self.tag(model, {"winner": "true"})

    def tag(self, model: TrackedModel, tags: Mapping[str, str]) -> None:
        """Set tags."""
        sent = [RunTag(_NOT_IN_NAMES.sub("_", name), text) for name, text in tags.items()]
        self._client.log_batch(self._runs[model], tags=sent)

    def _send(self, model: TrackedModel, step: int, metrics: Mapping[str, float]) -> None:
        now = round(time.time() * 1000)
        points = [Metric(_NOT_IN_NAMES.sub("_", name), value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._runs[model], metrics=points)

    def finish(self, model: TrackedModel, failed: bool) -> None:
        """End a run."""
        self._client.set_terminated(self._runs.pop(model), "FAILED" if failed else "FINISHED")

    def close(self) -> None:
        """Mark what is still under way as stopped."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")
        self._runs.clear()
