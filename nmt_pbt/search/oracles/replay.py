"""Replays: models trained from fresh weights by values that are known beforehand, to see what these are worth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from keras_tuner.engine.trial import Trial

from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.base import EPOCHS, BudgetedOracle, locked
from nmt_pbt.search.segments import Segment

MODEL = "replay/model"
"""Which of the models a trial trains, from 0."""
SEGMENT = "replay/segment"
"""Which segment of the schedule a trial is, from 0."""
PARENT = "replay/parent"
"""The trial before it; empty for fresh weights."""


@dataclass
class _Model:
    """One model: how far it may be trained, and how far it is.

    Attributes:
        pairs: What of the budget is its own, in sentence pairs: less than the schedule's where the budget ends, or
            where it failed.
        trained: Pairs given out.
        segments: Segments given out.
        latest: Its latest trial.
        busy: That trial is under way.
    """

    pairs: int
    trained: int = 0
    segments: int = 0
    latest: str | None = None
    busy: bool = False

    @property
    def ready(self) -> bool:
        """Whether its next segment can be given out."""
        return not self.busy and self.trained < self.pairs


class ReplayOracle(BudgetedOracle):
    """Trains models by one schedule, each from other weights, as many as fit into the budget; the last one is cut.

    A trial is one segment of one model and goes on from the state of the segment before, as a member of a population
    does that never adopts. A model that failed gives back what it has not trained, to another one.

    Args:
        segments: The schedule; each segment names all of the space.
        models: How many models to train, whatever the budget says; None trains as many as fit into it.
        budget: What the whole search may train.
        **kwargs: Of `BudgetedOracle`.
    """

    def __init__(self, *, segments: Sequence[Segment], models: int | None, budget: Budget, **kwargs: Any) -> None:
        ends = [math.fsum(segment.epochs for segment in segments[: number + 1]) for number in range(len(segments))]
        boundaries = [0, *map(budget.pairs, ends)]
        spans = itertools.pairwise(boundaries)
        # A segment of less than half a pair is none.
        self._segments = [(segment, span) for segment, span in zip(segments, spans, strict=True) if span[0] < span[1]]
        self._length = boundaries[-1]
        self._models: list[_Model] = []
        super().__init__(budget=budget if models is None else replace(budget, total=models * self._length), **kwargs)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next segment: of a model that has begun if one is free, else of a new one.

        Args:
            trial_id: The trial's id.
        """
        index = self._next_model()
        if index is None:
            return {"status": "IDLE" if any(model.busy for model in self._models) else "STOPPED"}
        model = self._models[index]
        segment, (start, end) = self._segments[model.segments]
        pairs = min(end - start, model.pairs - model.trained)
        bookkeeping: dict[str, Value] = {MODEL: index, SEGMENT: model.segments, PARENT: model.latest or ""}
        model.trained += pairs
        model.segments += 1
        model.latest, model.busy = trial_id, True
        return {
            "status": "RUNNING",
            "values": {**segment.values, **bookkeeping, EPOCHS: pairs / self.budget.pairs_per_epoch},
        }

    def _next_model(self) -> int | None:
        for index, model in enumerate(self._models):
            if model.ready:
                return index
        left = self.budget.total - sum(model.pairs for model in self._models)
        if left <= 0:
            return None
        self._models.append(_Model(min(self._length, left)))
        return len(self._models) - 1

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial; see `BudgetedOracle`."""
        super().end_trial(trial)
        ended = self.trials[trial.trial_id]
        model = self._models[int(ended.hyperparameters.values[MODEL])]
        model.busy = False
        if ended.status != "COMPLETED":
            model.trained += self._pairs(ended) - sum(self.budget.intervals(self.assignment(ended)))
            model.pairs = model.trained

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial means: one segment of one model."""
        values = trial.hyperparameters.values
        number, model = int(values[SEGMENT]), int(values[MODEL])
        segment, (start, _) = self._segments[number]
        return Assignment(
            trial.trial_id,
            {name: values[name] for name in segment.values},
            float(values[EPOCHS]),
            parent=values[PARENT] or None,
            member=model,
            generation=number,
            start=start / self.budget.pairs_per_epoch,
            # Not those of the trial's number: PBT chose its winner among the weights that these begin with.
            fresh=f"replay {model}",
        )

    def get_state(self) -> dict[str, Any]:
        """Return KerasTuner's state and how far each model is, as JSON."""
        return {**super().get_state(), "models": [asdict(model) for model in self._models]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        super().set_state(state)
        self._models = [_Model(**model) for model in state["models"]]

    def needed(self) -> set[str]:
        """Return the trials whose final states others may start from: the latest of each model that goes on."""
        return {model.latest for model in self._models if model.ready and model.latest is not None}
