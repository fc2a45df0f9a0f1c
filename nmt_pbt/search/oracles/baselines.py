"""Grid, random, Bayesian and Hyperband search on KerasTuner's oracles, driven to exactly the budget."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial
from sklearn.exceptions import ConvergenceWarning

from nmt_pbt.base.randomness import derive_seed, generator
from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.base import BudgetedOracle
from nmt_pbt.search.population.pb2 import minimise, thread_pools


class RandomOracle(BudgetedOracle, oracles.RandomSearchOracle):
    """Random search. Repeats values only when a small space has no new ones."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_trials=None, **kwargs)

    def choose(self, trial_id: str) -> dict[str, Value]:
        """Return random values."""
        return self._random_values()


class GridOracle(BudgetedOracle, oracles.GridSearchOracle):
    """Grid search over a list of points; a grid smaller than the budget is gone through again.

    KerasTuner's own walk finds the next point from a trial that has ended, so that workers wait for each other, and
    begins in a corner. The space being known here, the walk is a list.

    Args:
        points: Values by name, in the order in which they are tried.
        **kwargs: Of `BudgetedOracle`.
    """

    def __init__(self, *, points: Sequence[Mapping[str, Value]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.points = list(points)

    def choose(self, trial_id: str) -> Mapping[str, Value]:
        """Return the next point of the grid."""
        return self.points[len(self.trials) % len(self.points)]


class BayesOracle(BudgetedOracle, oracles.BayesianOptimizationOracle):
    """Bayesian optimisation: KerasTuner's Gaussian process and upper confidence bound.

    What differs: trials under way are taken into account from the first suggestion on, and failed trials count as the
    worst one seen, so that neither is suggested again; no point is suggested twice while there are others; the bound is
    minimised over many points at once instead of from 50 starts in turn, which took seconds.

    Args:
        initial_points: Random trials before the first suggestion.
        exploration: Weight of the standard deviation in the bound.
        **kwargs: Of `BudgetedOracle`.
    """

    concurrent_trials = 1  # each suggestion rests on all results before it, whatever workers there are

    def __init__(self, *, initial_points: int, exploration: float, **kwargs: Any) -> None:
        super().__init__(max_trials=None, num_initial_points=initial_points, beta=exploration, **kwargs)
        self.gpr = self._make_gpr()  # with the seed as given, 0 too

    def choose(self, trial_id: str) -> dict[str, Value]:
        """Return random values at first, then suggestions."""
        scored = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(self.trials) < self.num_initial_points or len(scored) < 2:
            return self._random_values()
        with thread_pools().limit(limits=1):
            return self._suggest(scored, trial_id)

    def _suggest(self, scored: list[Trial], trial_id: str) -> dict[str, Value]:
        sign = -1.0 if self.objective.direction == "max" else 1.0
        points = [self._unit(trial) for trial in scored]
        losses = [sign * trial.score for trial in scored]
        for trial in self.trials.values():
            if trial.status == "FAILED":
                points.append(self._unit(trial))
                losses.append(max(sign * other.score for other in scored))
        self.gpr.set_params(random_state=derive_seed(self.seed, "process", trial_id) % 2**32)
        with warnings.catch_warnings():
            # Few points often do not determine a length scale; the process says so whenever one ends at its bound.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.gpr.fit(np.array(points), np.array(losses))
        under_way = [self._unit(trial) for trial in self.ongoing_trials.values()]
        if under_way:
            # A pessimistic guess of their results keeps this suggestion away from them.
            mean, deviation = self.gpr.predict(np.array(under_way), return_std=True)
            optimizer = self.gpr.optimizer
            kernel = self.gpr.kernel
            self.gpr.set_params(optimizer=None, kernel=self.gpr.kernel_)
            self.gpr.fit(np.array(points + under_way), np.array([*losses, *(mean + deviation)]))
            self.gpr.set_params(optimizer=optimizer, kernel=kernel)

        def bound(units: np.ndarray) -> np.ndarray:
            mean, deviation = self.gpr.predict(units, return_std=True)
            return np.asarray(mean - self.beta * deviation)

        random = generator(self.seed, "bayes", trial_id)
        for unit in minimise(bound, len(self.space.domains), random, np.array(points)):
            values = {
                domain.name: domain.from_unit(float(place))
                for domain, place in zip(self.space.domains, unit, strict=True)
            }
            if not self._duplicate(values):
                return values
        return self._random_values()

    def _unit(self, trial: Trial) -> list[float]:
        values = trial.hyperparameters.values
        return [domain.to_unit(values[domain.name]) for domain in self.space.domains]


class HyperbandOracle(BudgetedOracle, oracles.HyperbandOracle):
    """Hyperband (Li et al. 2018): KerasTuner's brackets, counted in intervals between evaluations.

    Brackets are repeated until the budget is spent. A bracket that does not fit into what is left, or of which more
    trials would go on to the second round than states may be kept for, is passed over for a smaller one; the last trial
    is cut.

    Args:
        factor: Of the trials of a round, one in so many goes on, for so many times as long.
        kept: Most trials of a bracket whose states may wait for the next round.
        **kwargs: Of `BudgetedOracle`.
    """

    concurrent_trials = 1  # which bracket comes next rests on all results before it, whatever workers there are

    def __init__(self, *, budget: Budget, epochs: float, factor: int, kept: int, **kwargs: Any) -> None:
        self._promised = 0
        self._kept = kept
        rounds = math.ceil(epochs / budget.interval_epochs - 1e-9)
        super().__init__(
            budget=budget, epochs=epochs, max_epochs=rounds, factor=factor, hyperband_iterations=0, **kwargs
        )

    def choose(self, trial_id: str) -> dict[str, Value] | None:
        """Return the values of the next trial of a bracket."""
        response = oracles.HyperbandOracle.populate_space(self, trial_id)
        return dict(response["values"]) if response["status"] == "RUNNING" else None

    def length(self, values: Mapping[str, Value]) -> float:
        """Return the epochs from the round before to this one."""
        return self._epochs_at(int(values["tuner/epochs"])) - self._epochs_at(int(values["tuner/initial_epoch"]))

    def _epochs_at(self, intervals: int) -> float:
        return min(intervals * self.budget.interval_epochs, self.epochs)

    def _cost(self, bracket: int) -> int:
        """Return the sentence pairs that all trials of a bracket train."""
        total, before = 0, 0
        for number in range(bracket + 1):
            after = self.budget.pairs(self._epochs_at(self._get_epochs(bracket, number)))
            total += self._get_size(bracket, number) * (after - before)
            before = after
        return total

    def _fits(self, bracket: int) -> bool:
        in_budget = self._promised + self._cost(bracket) <= self.budget.total
        return in_budget and self._get_size(bracket, 1) <= self._kept

    def _start_new_bracket(self) -> None:
        while self._current_bracket > 0 and not self._fits(self._current_bracket):
            self._current_bracket -= 1
        self._promised += self._cost(self._current_bracket)
        super()._start_new_bracket()

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial means; one that goes on from an earlier round starts from that trial's state."""
        values = trial.hyperparameters.values
        return replace(
            super().assignment(trial),
            parent=values.get("tuner/trial_id"),
            generation=int(values["tuner/initial_epoch"]),
            start=int(values["tuner/initial_epoch"]) * self.budget.interval_epochs,
        )

    def get_state(self) -> dict[str, Any]:
        """Return KerasTuner's state, and what is promised of the budget."""
        return {**super().get_state(), "promised": self._promised}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned; the next decision is the one it would have been."""
        super().set_state(state)
        self._promised = state["promised"]

    def needed(self) -> set[str]:
        """Return the trials that may still go on to the next round: the best of each, as many as have a place there."""
        needed = set()
        for bracket in self._brackets:
            number = bracket["bracket_num"]
            coming = self._get_size(number, 0) - len(bracket["rounds"][0])
            for place, (before, after) in enumerate(itertools.pairwise(bracket["rounds"])):
                selected = {entry["past_id"] for entry in after}
                waiting = [self.trials[entry["id"]] for entry in before if entry["id"] not in selected]
                ended = [trial for trial in waiting if trial.status == "COMPLETED"]
                # A trial goes on while more have ended than are thrown out; those that fail are not among these.
                possible = len(ended) + sum(trial.status == "RUNNING" for trial in waiting) + coming
                coming = max(0, possible - self._get_size(number, place) + self._get_size(number, place + 1))
                ended.sort(key=lambda trial: trial.score, reverse=self.objective.direction == "max")
                needed |= {trial.trial_id for trial in ended[:coming]}
        under_way = (trial.hyperparameters.values.get("tuner/trial_id") for trial in self.ongoing_trials.values())
        return needed | {parent for parent in under_way if parent is not None}
