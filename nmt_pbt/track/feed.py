"""Records of a journal as models with metrics, for whatever keeps track of models.

One model is what was trained through: a member of a population from its first trial to its last, or a trial of a
method with constant values. Its metrics are those of the task, its hyperparameters (`hyperparameters/NAME`) and what
it was trained on (`trained_epochs`), once an interval; a member's lineage are its tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nmt_pbt.base.types import Value
from nmt_pbt.run.records import Assigned, Ended, Evaluated, SearchEnded, SearchRecord, SearchStarted, Tested


@dataclass(frozen=True)
class TrackedModel:
    """One model that is trained through.

    Attributes:
        run_id: Of the run, whatever its folder is called.
        method: Whose it is.
        seed: Of the search.
        name: `member-3` or `trial-0007`.
    """

    run_id: str
    method: str
    seed: int
    name: str

    @property
    def label(self) -> str:
        """A name that no other model of the run has."""
        return f"{self.method}-seed{self.seed}-{self.name}"


class Tracker(Protocol):
    """What keeps track of models. An error that it raises ends the tracking and not the search."""

    def start(self, model: TrackedModel) -> int:
        """Begin a model, or go on with it.

        Returns:
            How many of its intervals are tracked already.
        """

    def log(self, model: TrackedModel, interval: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics after an interval; `interval` counts those of the model, from 1."""

    def result(self, model: TrackedModel, scores: Mapping[str, float]) -> None:
        """Take the scores of a search's winner on the test split."""

    def tag(self, model: TrackedModel, tags: Mapping[str, str]) -> None:
        """Set tags of a model; what is set again has its last text."""

    def finish(self, model: TrackedModel, failed: bool) -> None:
        """End a model; `start` may begin it again."""

    def close(self) -> None:
        """End everything."""


class Feed:
    """Tells a tracker the records of a run, each one once, from the first on.

    Args:
        tracker: Is told.
        run_id: Of the run.
    """

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self._tracker = tracker
        self._run_id = run_id
        self._searches: dict[tuple[str, int], SearchStarted] = {}
        self._trials: dict[tuple[str, int, str], tuple[Assigned, TrackedModel]] = {}
        self._intervals: dict[TrackedModel, int] = {}
        self._open: dict[TrackedModel, int] = {}  # and how many intervals of each were tracked when it was begun

    def __call__(self, record: SearchRecord) -> None:
        """Take a record."""
        if isinstance(record, SearchStarted):
            self._searches[record.method, record.seed] = record
        elif isinstance(record, Assigned):
            self._assigned(record)
        elif isinstance(record, Evaluated):
            self._evaluated(record)
        elif isinstance(record, Ended):
            given, model = self._trials[record.method, record.seed, record.trial]
            if given.member is None:
                self._finish(model, record.status == "failed")
        elif isinstance(record, Tested):
            _, model = self._trials[record.method, record.seed, record.trial]
            self._begin(model)
            self._tracker.result(model, {f"test/{name}": score for name, score in record.test.items()})
            self._finish(model, False)
        elif isinstance(record, SearchEnded):
            for model in [one for one in self._open if (one.method, one.seed) == (record.method, record.seed)]:
                self._finish(model, False)

    def _assigned(self, record: Assigned) -> None:
        model = TrackedModel(self._run_id, record.method, record.seed, record.model)
        self._trials[record.method, record.seed, record.trial] = record, model
        self._begin(model)
        words = record.values.keys() - _numbers(record.values).keys()
        tags = {f"hyperparameters/{name}": str(record.values[name]) for name in sorted(words)}
        if record.inherited and record.parent is not None:
            _, donor = self._trials[record.method, record.seed, record.parent]
            tags[f"adopted/generation-{record.generation}"] = donor.name
        if tags:
            self._tracker.tag(model, tags)

    def _evaluated(self, record: Evaluated) -> None:
        given, model = self._trials[record.method, record.seed, record.trial]
        interval = self._intervals[model] = self._intervals.get(model, 0) + 1
        if interval <= self._open[model]:
            return
        start = self._searches[record.method, record.seed]
        metrics = {"trained_epochs": record.trained_pairs / start.pairs_per_epoch}
        metrics |= _numbers(record.metrics)
        metrics |= {f"hyperparameters/{name}": value for name, value in _numbers(given.values).items()}
        self._tracker.log(model, interval, metrics)
        if record.failure is not None:
            self._tracker.tag(model, {"failure": record.failure})

    def _begin(self, model: TrackedModel) -> None:
        if model not in self._open:
            self._open[model] = self._tracker.start(model)

    def _finish(self, model: TrackedModel, failed: bool) -> None:
        self._tracker.finish(model, failed)
        del self._open[model]


def _numbers(values: Mapping[str, Value | None]) -> dict[str, float]:
    """Return what can be drawn of some values."""
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}
