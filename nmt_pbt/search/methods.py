"""The methods by name. Checking names and budgets imports no KerasTuner, which takes seconds; building one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.exploit import Backtrack, Bootstrap, Exploit, Tournament, Truncation, TTest
from nmt_pbt.search.explore import Explorer, Perturb
from nmt_pbt.search.frequencies import MultiFrequency
from nmt_pbt.search.grid import check_levels
from nmt_pbt.search.member import check_population, initial_values, last_decision
from nmt_pbt.search.method_names import METHODS, POPULATION_METHODS, REPLAYS
from nmt_pbt.search.settings import Segment
from nmt_pbt.space.domains import Choice, Integer, Real
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.tree import TranslationSettings

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial


@dataclass(frozen=True)
class Method:
    """A way of choosing hyperparameters, ready to search once.

    Attributes:
        name: Its name.
        oracle: The `keras_tuner.Oracle`, to be driven by create_trial, update_trial and end_trial.
        budget: What it will train in all.
    """

    name: str
    oracle: Any
    budget: Budget

    def assignment(self, trial: Trial) -> Assignment:
        """Return what a trial of the oracle means for whoever trains it."""
        return self.oracle.assignment(trial)  # type: ignore[no-any-return]

    def needed(self) -> set[str]:
        """Return the trials whose final states may still be started from; for PBT at most two for each member."""
        return self.oracle.needed()  # type: ignore[no-any-return]

    @property
    def needs_evidence(self) -> bool:
        """Whether the oracle has to be told what BLEU of each trial's dev translations is made of."""
        return bool(self.oracle.needs_evidence)

    def needs(self, trial: str) -> bool:
        """Tell whether a trial's final state may still be started from."""
        return self.oracle.needs(trial)  # type: ignore[no-any-return]

    def released(self) -> set[str]:
        """Return the trials whose final states ceased to be needed since this was asked last."""
        return self.oracle.released()  # type: ignore[no-any-return]


def check_methods(settings: TranslationSettings) -> None:
    """Refuse methods that cannot run with these settings, before anything is built or written.

    Raises:
        UsageError: A method is unknown or listed twice, cannot search this space, or its budget is too small for one
            trial.
    """
    training = settings.training
    if training.early_stopping is not None and settings.search.methods != ["manual"]:
        raise UsageError(
            f"training.early_stopping {training.early_stopping}: is for `nmt-pbt train`; methods are compared at equal "
            "budgets: set it to null"
        )
    decay = settings.search.space.get("average_decay")
    if training.averaging != "exponential" and decay is not None and not _fixed(decay):
        raise UsageError(
            "search.space.average_decay: nothing reads it unless training.averaging is exponential; set that too"
        )
    seen: set[str] = set()
    space = Space.from_settings(settings.search)
    for name in settings.search.methods:
        if name not in METHODS:
            raise UsageError(f"no such method '{name}'{suggest(name, METHODS)}")
        if name in seen:
            raise UsageError(f"method '{name}' is listed twice; remove one, or repeat all with search.seeds")
        seen.add(name)
        _check(name, settings, space)
        if name in REPLAYS and not settings.search.replay.schedule and "pbt" not in settings.search.methods:
            raise UsageError(
                f"{name}: nothing to replay; add pbt to the methods, or give a schedule (search.replay.schedule)"
            )


def _fixed(domain: NumberDomain | ChoiceDomain) -> bool:
    return domain.min == domain.max if isinstance(domain, NumberDomain) else len(domain.choices) == 1


def _check(name: str, settings: TranslationSettings, space: Space) -> None:
    """Refuse a method that cannot search this space for this budget."""
    _check_epochs(name, settings, space)
    if name in POPULATION_METHODS:
        search, pbt = settings.search, settings.search.pbt
        _exploit(settings, space)
        check_population(search.population, search.interval, settings.training.epochs, pbt.burn_in)
        initial_values(space, search.population, pbt.initial, settings.seed)
    elif name == "manual":
        _guesses(settings, space)
    elif name == "grid":
        check_levels(space, settings.search.grid.levels)
    elif name == "hyperband" and settings.training.epochs < settings.search.hyperband.factor * settings.search.interval:
        raise UsageError(
            f"hyperband: training.epochs {settings.training.epochs:g} is less than search.hyperband.factor "
            f"{settings.search.hyperband.factor} x search.interval {settings.search.interval:g}, so no trial could be "
            "stopped early; train longer or evaluate more often"
        )


def _guesses(settings: TranslationSettings, space: Space) -> list[dict[str, Value]]:
    """Return the guesses of the settings, with the values that are in force where they name nothing."""
    in_force = _in_force(settings, space)
    guesses = []
    for number, guess in enumerate(settings.search.manual.guesses, start=1):
        whole = {name: guess.get(name, value) for name, value in in_force.items()}
        space.check({**whole, **guess}, f"search.manual.guesses, number {number}")
        guesses.append(whole)
    if not guesses:
        raise UsageError("manual: no guesses; list some in search.manual.guesses, or leave the method out")
    if len(guesses) > settings.search.population and "epochs" not in space.names:
        raise UsageError(
            f"manual: {len(guesses)} guesses, but the budget is {settings.search.population} trials "
            "(search.population); remove some or raise the budget"
        )
    return guesses


def _in_force(settings: TranslationSettings, space: Space) -> dict[str, Value]:
    """Return what is in force where nothing is searched, of each name of the space."""
    configured = {**settings.training.model_dump(), **settings.model.model_dump()}
    return {name: configured[name] for name in space.names}


def _check_epochs(name: str, settings: TranslationSettings, space: Space) -> None:
    domain = next((domain for domain in space.domains if domain.name == "epochs"), None)
    if domain is None:
        return
    if name in (*POPULATION_METHODS, *REPLAYS, "hyperband"):
        raise UsageError(
            f"search.space.epochs: {name} decides by itself how long to train; search epochs with random, grid, bayes "
            "or manual only"
        )
    budget = _budget(settings)
    if isinstance(domain, (Real, Integer)):
        longest = domain.max
    else:
        longest = max(map(float, domain.values if isinstance(domain, Choice) else [domain.value]))
    if longest > budget:
        raise UsageError(
            f"search.space.epochs: a trial of {counted(longest, 'epoch')} does not fit the budget of "
            f"{counted(budget, 'epoch')} (search.population {settings.search.population} x training.epochs "
            f"{settings.training.epochs:g}); search fewer epochs or raise the budget"
        )


def _budget(settings: TranslationSettings) -> float:
    return settings.search.population * settings.training.epochs


def in_order(names: Sequence[str]) -> list[str]:
    """Return methods in the order in which they can be run: what replays another comes last."""
    return sorted(names, key=lambda name: name in REPLAYS)


def build_method(
    name: str, settings: TranslationSettings, seed: int, epoch: int, schedule: Sequence[Segment] = ()
) -> Method:
    """Build a method with a fresh oracle.

    Args:
        name: One of `METHODS`.
        settings: The settings.
        seed: Seed of this search; 0 is a seed.
        epoch: Sentence pairs in one epoch.
        schedule: What the methods of `REPLAYS` replay; that of the settings where it is empty.

    Returns:
        The method. Of two that are built alike, both decide alike when told the same.

    Raises:
        UsageError: The name is unknown, or the method cannot run with these settings.
    """
    if name not in METHODS:
        raise UsageError(f"no such method '{name}'{suggest(name, METHODS)}")
    space = Space.from_settings(settings.search)
    _check(name, settings, space)
    population, epochs = settings.search.population, settings.training.epochs
    budget = Budget.for_trials(population, epochs, epoch, settings.search.interval)
    common = {"space": space, "seed": seed, "objective": _objective(settings.search.objective)}
    if name in POPULATION_METHODS:
        oracle = _population(name, settings, budget, common)
        return Method(name, oracle, budget)
    common |= {"budget": budget, "epochs": epochs, "patience": population}
    oracle = _replay(name, settings, common, schedule) if name in REPLAYS else _BUILDERS[name](settings, common)
    return Method(name, oracle, oracle.budget)


def build_search_by_hand(name: str, settings: TranslationSettings, seed: int, epoch: int) -> Method:
    """Build a search by hand that has no guesses yet; see `build_method` for the arguments."""
    from nmt_pbt.search.manual import ManualOracle

    oracle = ManualOracle(
        space=Space.from_settings(settings.search),
        seed=seed,
        objective=_objective(settings.search.objective),
        guesses=[],
        budget=Budget(epoch, settings.search.interval, 0),
        epochs=settings.training.epochs,
        patience=settings.search.population,
    )
    return Method(name, oracle, oracle.budget)


def _objective(metric: str) -> Any:
    import keras_tuner

    return keras_tuner.Objective(metric, "min" if metric == "val_loss" else "max")


def _population(name: str, settings: TranslationSettings, budget: Budget, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.pbt import JournaledPBTOracle

    exploit, explorer = _exploit(settings, common["space"]), _explorer(settings)
    explores_only = name == "explore-only"
    interval, epochs = settings.search.interval, settings.training.epochs
    if budget.pairs(last := last_decision(interval, epochs)) == budget.pairs(epochs):
        raise UsageError(
            f"training.epochs {epochs:g}: the last interval would be less than one sentence pair of an epoch of "
            f"{budget.epoch}; train for {counted(last, 'epoch')}"
        )
    return JournaledPBTOracle(
        **common,
        population_size=settings.search.population,
        interval=interval,
        epochs=epochs,
        exploit=None if explores_only else exploit,
        trigger=exploit if explores_only else None,
        initial=settings.search.pbt.initial,
        explore=None if name == "exploit-only" else explorer,
        burn_in=settings.search.pbt.burn_in,
        synchronous=settings.search.pbt.synchronous,
    )


def _exploit(settings: TranslationSettings, space: Space) -> Exploit:
    pbt = settings.search.pbt
    if pbt.frequencies:
        if pbt.exploit != "truncation":
            raise UsageError(
                f"search.pbt.exploit {pbt.exploit}: sub-populations (search.pbt.frequencies) select by truncation; "
                "leave one of them out"
            )
        return MultiFrequency(settings.search.population, tuple(pbt.frequencies), space.structural)
    if pbt.exploit == "tournament":
        return Tournament()
    if pbt.exploit == "ttest":
        return TTest(pbt.significance, pbt.evaluations)
    if pbt.exploit == "bootstrap":
        if settings.search.objective != "val_bleu":
            raise UsageError(
                f"search.pbt.exploit bootstrap: resamples sentences for BLEU, but search.objective is "
                f"{settings.search.objective}; set it to val_bleu, or take another exploit"
            )
        return Bootstrap(pbt.significance)
    return Backtrack(pbt.fraction) if pbt.exploit == "backtrack" else Truncation(pbt.fraction)


def _explorer(settings: TranslationSettings) -> Explorer:
    pbt = settings.search.pbt
    perturb = Perturb(pbt.factor, pbt.fraction_of_range, pbt.resample_probability)
    if pbt.explore == "perturb":
        return perturb
    from nmt_pbt.search.pb2 import PB2

    return PB2(pbt.resample_probability, perturb)


def _random(settings: TranslationSettings, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.baselines import RandomOracle

    return RandomOracle(**common)


def _grid(settings: TranslationSettings, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.baselines import GridOracle

    return GridOracle(**common, levels=settings.search.grid.levels)


def _bayes(settings: TranslationSettings, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.baselines import BayesOracle

    bayes = settings.search.bayes
    return BayesOracle(**common, initial_points=bayes.initial_points, exploration=bayes.exploration)


def _hyperband(settings: TranslationSettings, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.baselines import HyperbandOracle

    search = settings.search
    return HyperbandOracle(**common, factor=search.hyperband.factor, kept=search.population)


def _manual(settings: TranslationSettings, common: Mapping[str, Any]) -> Any:
    from nmt_pbt.search.manual import ManualOracle

    return ManualOracle(**common, guesses=_guesses(settings, common["space"]))


def _replay(name: str, settings: TranslationSettings, common: Mapping[str, Any], schedule: Sequence[Segment]) -> Any:
    from nmt_pbt.search.replay import ReplayOracle, final_values, lengthened

    segments = settings.search.replay.schedule or schedule
    if not segments:
        raise UsageError(f"{name}: no schedule to replay; give one in search.replay.schedule")
    whole = _in_force(settings, common["space"])
    segments = [
        segment.model_copy(update={"values": {**whole, **segment.values}})
        for segment in lengthened(segments, settings.training.epochs)
    ]
    return ReplayOracle(
        **common,
        segments=final_values(segments) if name == "final-values" else segments,
        models=settings.search.replay.models,
    )


_BUILDERS: dict[str, Callable[[TranslationSettings, Mapping[str, Any]], Any]] = {
    "random": _random,
    "grid": _grid,
    "bayes": _bayes,
    "hyperband": _hyperband,
    "manual": _manual,
}
