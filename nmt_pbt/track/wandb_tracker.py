"""Weights & Biases: a project for a run, a run of its own for each model, a group for each search.

WANDB_PROJECT, WANDB_ENTITY and WANDB_MODE=offline do what they always do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import wandb

from nmt_pbt.track.feed import TrackedModel


class WandbTracker:
    """Sends models to Weights & Biases; see `feed.Tracker`.

    Args:
        run_name: What to call the project, unless WANDB_PROJECT does.
    """

    def __init__(self, run_name: str) -> None:
        self._project = os.environ.get("WANDB_PROJECT", run_name)
        self._settings = wandb.Settings(silent=True, console="off")
        self._runs: dict[TrackedModel, wandb.Run] = {}

    def start(self, model: TrackedModel) -> int:
        """Begin a run, or go on with the one that has the model's id."""
        run = wandb.init(
            project=self._project,
            id=hashlib.sha256(f"{model.run_id}/{model.label}".encode()).hexdigest()[:16],
            name=model.label,
            group=f"{model.method}-seed{model.seed}",
            config={"method": model.method, "search_seed": model.seed},
            resume="allow",
            reinit="create_new",
            settings=self._settings,
        )
        self._runs[model] = run
        if run.resumed:
            return max(0, int(run.starting_step) - 1)
        run.define_metric("*", step_metric="trained_epochs")
        return 0

    def log(self, model: TrackedModel, interval: int, metrics: Mapping[str, float]) -> None:
        """Send metrics, with the interval as their step."""
        self._runs[model].log(dict(metrics), step=interval)

    def result(self, model: TrackedModel, scores: Mapping[str, float]) -> None:
        """Put scores into the run's summary, and tag the winner."""
        run = self._runs[model]
        run.summary.update(dict(scores))
        run.tags = tuple(sorted({*(run.tags or ()), "winner"}))

    def tag(self, model: TrackedModel, tags: Mapping[str, str]) -> None:
        """Set texts of the run's configuration: tags of Weights & Biases have no values."""
        self._runs[model].config.update(dict(tags), allow_val_change=True)

    def finish(self, model: TrackedModel, failed: bool) -> None:
        """End a run."""
        self._runs.pop(model).finish(exit_code=int(failed))

    def close(self) -> None:
        """End what is still under way."""
        for run in self._runs.values():
            run.finish()
        self._runs.clear()
