"""Population Based Training (Jaderberg et al. 2017, arXiv 1711.09846) as a KerasTuner oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import keras_tuner
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.base import EPOCHS, JournaledOracle, SafeOracle, locked
from nmt_pbt.search.oracles.keras_tuner_space import from_hyperparameters
from nmt_pbt.search.oracles.trial_archive import TrialArchive
from nmt_pbt.search.population.exploit import EvidenceExploit, Exploit
from nmt_pbt.search.population.explore import ExploreFunction, Explorer, UserExplore
from nmt_pbt.search.population.member import generations
from nmt_pbt.search.population.population import Pause, Population
from nmt_pbt.search.population.strategies import exploit_named, explore_named
from nmt_pbt.space.space import Space

MEMBER = "pbt/member"
"""Slot of the population, from 0."""
GENERATION = "pbt/generation"
"""0-based index of the interval in its slot."""
PARENT = "pbt/parent"
"""The trial whose final state this one starts from; empty for fresh weights."""
INHERITED = "pbt/inherited"
"""Whether the parent is another trial than the slot's own latest: an exploit."""
AGE = "pbt/age"
"""Epochs the weights were trained on before this trial."""


class PBTOracle(SafeOracle):
    """Chooses which state each member of a population goes on from, and with which hyperparameters.

    Each trial is one interval of one member. Besides its hyperparameters, a trial's values hold the bookkeeping that a
    tuner needs to run it: `pbt/member`, `pbt/generation`, `pbt/parent`, `pbt/inherited`, `pbt/age` and
    `search/epochs`, the epochs to train.

    Args:
        objective: As for `keras_tuner.Oracle`; the last evaluation of a trial is its score.
        population_size: Number of members.
        interval: Epochs between two decisions of a member.
        epochs: Epochs that each slot trains in all.
        hyperparameters: The space, when it is known beforehand; otherwise KerasTuner finds that of the hypermodel.
        structural: Names of hyperparameters that change weight shapes: inherited whole along a lineage. `units_*`
            stands for all that begin so, also those that the hypermodel asks for only later.
        frozen: Names that explore leaves alone.
        exploit: Who adopts whom: a strategy, the name of one, or None for no exploit.
        explore: How adopted values move: an `Explorer`, the name of one, a function of (values, space, generator), or
            None for not at all.
        trigger: Without exploit, the strategy that says how many members' values move: as many as would adopt, drawn
            among all.
        burn_in: Epochs of age before a member may adopt or be adopted from.
        synchronous: All members finish a generation before any decides.
        initial: Values of the first members; those of the others are drawn from the space.
        sobol_start: These draws cover the space evenly; otherwise each is drawn by itself.
        seed: Seed of every draw; 0 is a seed.
        **kwargs: Of `keras_tuner.Oracle`.

    Raises:
        UsageError: An argument cannot be used.
    """

    def __init__(
        self,
        objective: Any = None,
        population_size: int = 8,
        interval: float = 1.0,
        epochs: float = 10.0,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        structural: Sequence[str] = (),
        frozen: Sequence[str] = (),
        exploit: Exploit | str | None = "truncation",
        explore: Explorer | ExploreFunction | str | None = "perturb",
        trigger: Exploit | None = None,
        burn_in: float = 0.0,
        synchronous: bool = False,
        initial: Sequence[Mapping[str, Value]] = (),
        sobol_start: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not (math.isfinite(epochs) and epochs > 0 and interval > 0):
            raise UsageError(f"interval {interval:g} and epochs {epochs:g}; both have to be above 0")
        super().__init__(
            objective=objective,
            max_trials=population_size * generations(interval, epochs),
            hyperparameters=hyperparameters,
            seed=seed,
            **kwargs,
        )
        self._structural = frozenset(structural)
        self._frozen = frozenset(frozen)
        exploit_strategy = exploit_named(exploit) if isinstance(exploit, str) else exploit
        explorer = _explorer(explore)

        def populate(space: Space) -> Population:
            return Population(
                space,
                size=population_size,
                interval=interval,
                epochs=epochs,
                seed=self.seed,
                exploit=exploit_strategy,
                explore=explorer,
                trigger=trigger,
                burn_in=burn_in,
                synchronous=synchronous,
                initial=initial,
                sobol_start=sobol_start,
            )

        self._populate = populate
        self._population: Population | None = None
        if hyperparameters is not None:
            self._population = populate(self._space())

    def _space(self) -> Space:
        return from_hyperparameters(self.hyperparameters, self._structural, self._frozen)

    @property
    def population(self) -> Population:
        """The members; they exist from the moment the space is known."""
        if self._population is None:
            self._population = self._populate(self._space())
        return self._population

    @locked
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next interval's values, as KerasTuner wants them.

        Args:
            trial_id: The trial's id.
        """
        turn = self.population.next_turn(trial_id)
        if isinstance(turn, Pause):
            return {"status": "IDLE" if turn is Pause.WAIT else "STOPPED"}
        bookkeeping: dict[str, Value] = {
            MEMBER: turn.member,
            GENERATION: turn.generation,
            PARENT: turn.parent or "",
            INHERITED: turn.inherited,
            AGE: turn.age,
            EPOCHS: turn.epochs,
        }
        # A hypermodel may ask for a new hyperparameter in mid-search, of which this member knows nothing yet.
        values = self.population.space.complete(turn.values, self.seed, "discovered", turn.member, turn.generation)
        return {"status": "RUNNING", "values": {**values, **bookkeeping}}

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial.

        Args:
            trial: With its status COMPLETED, FAILED or INVALID, and a message if it failed.

        Raises:
            UsageError: It is completed, and was never evaluated.
            AllFailedError: The latest trials of all members failed.
        """
        if trial.status == "COMPLETED" and not self.observations(self.trials[trial.trial_id]):
            raise UsageError(
                f"trial {trial.trial_id} completed without a value of {self.objective.name}; report it to the oracle"
            )
        super().end_trial(trial)
        if self.end_order and self.end_order[-1] == trial.trial_id:
            self._record(self.trials[trial.trial_id])
            # KerasTuner has saved before the trial was out of its hands, and before the population heard of it.
            self.save()

    @property
    def needs_evidence(self) -> str | None:
        """The kind of evidence to report of each trial, by `report_evidence`; None where scores are enough."""
        strategy = self.population.strategy
        return strategy.evidence if strategy is not None else None

    @locked
    def report_evidence(self, trial_id: str, evidence: str) -> None:
        """Record the evidence of a trial's latest evaluation; dropped where the strategy needs none.

        Args:
            trial_id: A trial under way.
            evidence: As the task packs it.
        """
        if self.needs_evidence is None:
            return
        strategy = cast(EvidenceExploit, self.population.strategy)
        under_way = {trial.trial_id for trial in self.ongoing_trials.values()}
        strategy.keep(self.population.needed() | under_way)
        strategy.report(trial_id, evidence)

    def _record(self, trial: Trial) -> None:
        population = self.population
        if len(population.space.domains) != len(self.hyperparameters.space):
            population.space = self._space()
        values = trial.hyperparameters.values
        sign = 1.0 if self.objective.direction == "max" else -1.0
        evaluations = [sign * value for value in self.observations(trial)] if trial.status == "COMPLETED" else []
        population.record(
            trial.trial_id,
            evaluations,
            values={domain.name: values[domain.name] for domain in population.space.active(values)},
            reason=(trial.message or "the score is not finite").partition("\n")[0],  # the rest is a traceback
        )

    def score_trial(self, trial: Trial) -> None:
        """Score a trial by its last evaluation; one that is not finite is the worst of scores, not a failure."""
        step, last = list(self.evaluations(trial).items())[-1]
        worst = -math.inf if self.objective.direction == "max" else math.inf
        trial.score = last if math.isfinite(last) else worst
        trial.best_step = step

    def _record_values(self, trial: Trial) -> None:
        """Keep no hashes of what was tried: members may have equal values."""
        trial.hyperparameters.ensure_active_values()

    def get_state(self) -> dict[str, Any]:
        """Return KerasTuner's state and the population's, as JSON."""
        state = dict(super().get_state())
        state["population"] = self._population.get_state() if self._population is not None else None
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned; the next decision is the one it would have been."""
        super().set_state(state)
        self._population = None
        if state["population"] is not None:
            self.population.set_state(state["population"])


def _explorer(explore: Explorer | ExploreFunction | str | None) -> Explorer | None:
    if explore is None:
        return None
    if isinstance(explore, str):
        return explore_named(explore)
    if hasattr(explore, "propose"):
        return cast(Explorer, explore)
    return UserExplore(explore)


class GrownCount(int):
    """A number of trials that grew. KerasTuner pads trial ids by how it is written, which stays as it was.

    Args:
        now: The number.
        first: What it was when the first trial was made.
    """

    _first: int

    def __new__(cls, now: int, first: int) -> GrownCount:
        """Return the number; an `int` takes its value here."""
        grown = super().__new__(cls, now)
        grown._first = first
        return grown

    def __str__(self) -> str:
        return str(self._first)


class JournaledPBTOracle(JournaledOracle, PBTOracle):
    """Population Based Training under this project's own driver.

    Ended trials are kept in a few hundred bytes each.

    Args:
        space: The search space.
        budget: What all members train together.
        more_epochs: How many of each member's epochs were added after the search had ended.
        **kwargs: Of `PBTOracle`.
    """

    def __init__(self, *, space: Space, budget: Budget, more_epochs: float = 0.0, **kwargs: Any) -> None:
        super().__init__(space=space, **kwargs)
        self.budget = budget
        if more_epochs:
            population = self.population
            first = population.size * generations(population.interval, population.epochs - more_epochs)
            self.max_trials = GrownCount(population.size * generations(population.interval, population.epochs), first)
        self.trials = TrialArchive(self.hyperparameters)

    def _space(self) -> Space:
        return self.space

    @property
    def takes_results_in_order(self) -> bool:  # type: ignore[override]
        """Whether members decide by the logical order of results; asynchronous ones decide as they come."""
        return self.population.synchronous

    @property
    def population_size(self) -> int:
        """Number of members."""
        return self.population.size

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial; see `PBTOracle`."""
        PBTOracle.end_trial(self, trial)
        if trial.trial_id not in self._retry_queue:
            self.trials.put_away(trial.trial_id)

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial means: one interval of one member."""
        values = trial.hyperparameters.values
        return replace(
            super().assignment(trial),
            parent=values[PARENT] or None,
            inherited=bool(values[INHERITED]),
            member=int(values[MEMBER]),
            generation=int(values[GENERATION]),
            start=int(values[GENERATION]) * self.population.interval,
        )

    def needed(self) -> set[str]:
        """Return the trials whose final states others may start from."""
        return self.population.needed()

    def needs(self, trial_id: str) -> bool:
        """Return whether others may start from a trial's final state."""
        return self.population.needs(trial_id)

    def released(self) -> set[str]:
        """Return the trials whose final states ceased to be needed since this was asked last."""
        return self.population.released()
