"""Ended trials in a few hundred bytes each."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, MutableMapping

import keras_tuner
from keras_tuner.engine.trial import Trial

from nmt_pbt.search.oracles.keras_tuner_internals import MetricsTracker


class TrialArchive(MutableMapping[str, Trial]):
    """A mapping of trial ids to trials, in order of insertion.

    A trial that was put away is rebuilt whenever it is looked up, so that changes to it are lost: only trials that have
    ended are put away.

    Args:
        hyperparameters: The space all trials share.
    """

    def __init__(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        self._hyperparameters = hyperparameters
        self._entries: dict[str, Trial | bytes] = {}

    def put_away(self, trial_id: str) -> None:
        """Compress a trial that will not change any more."""
        trial = self._entries[trial_id]
        if isinstance(trial, bytes):
            return
        state = trial.get_state()
        state["hyperparameters"] = state["hyperparameters"]["values"]
        self._entries[trial_id] = zlib.compress(json.dumps(state, separators=(",", ":")).encode("utf-8"), level=1)

    def __getitem__(self, trial_id: str) -> Trial:
        entry = self._entries[trial_id]
        if not isinstance(entry, bytes):
            return entry
        state = json.loads(zlib.decompress(entry))
        hyperparameters = self._hyperparameters.copy()
        hyperparameters.values = state["hyperparameters"]
        trial = Trial(hyperparameters, trial_id, state["status"], state["message"])
        trial.metrics = MetricsTracker.from_config(state["metrics"])
        trial.score = state["score"]
        trial.best_step = state["best_step"]
        return trial

    def __setitem__(self, trial_id: str, trial: Trial) -> None:
        self._entries[trial_id] = trial

    def __delitem__(self, trial_id: str) -> None:
        del self._entries[trial_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
