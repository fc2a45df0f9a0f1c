"""The methods by name. Checking names and budgets imports no KerasTuner, which takes seconds; building one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import ValidationError

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.section import Section, add_section
from nmt_pbt.base.text import counted
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.registry import Registry
from nmt_pbt.search.segments import Segment
from nmt_pbt.search.settings import SearchSettings
from nmt_pbt.space.domains import Choice, Integer, Real

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle

S = TypeVar("S", bound=Section)


class NoSettings(Section):
    """The section of a method that has nothing to set."""


def _no_check(plan: SearchPlan, section: Any) -> None:
    """Refuse nothing."""


def _two_each(plan: SearchPlan, section: Any) -> int:
    return 2 * plan.settings.population


def _one(plan: SearchPlan, section: Any) -> int:
    return 1


@dataclass(frozen=True)
class MethodSpec(Generic[S]):
    """Declares a search method.

    Attributes:
        name: What settings, command line and journal call it.
        label: What reports call it.
        kind: `population`: members train on while their values change, by decisions that do not rest on how long they
            will be trained, for a run may go on with more epochs; `constant`: each trial has values of its own from
            fresh weights on; `replay`: trains by the schedule that the method `pbt` found with the same seed.
        build: Makes its oracle for one search. Called with the plan, the method's settings, the seed, the training
            pairs of an epoch and, for a `replay`, the schedule's segments. Import KerasTuner only in here.
        section: Name of its settings under `search`; methods may share one. None: it has none.
        settings: Class of these settings.
        check: Refuses, by a UsageError, what the method cannot search, before anything is built or written.
        most_states: How many trials can have a state that is needed at once, at most.
        most_models: How many models a search can keep, at most.
        chooses_length: It decides by itself how long a trial trains: `search.space.epochs` is refused.
        ablation: It leaves out a part of another method, to tell what that part is worth.
        overrides: Settings that differ from those of its section: a variant of the method that owns it.
    """

    name: str
    label: str
    kind: Literal["population", "constant", "replay"]
    build: Callable[[SearchPlan, S, int, int, Sequence[Segment]], JournaledOracle]
    section: str | None = None
    settings: type[S] = NoSettings  # type: ignore[assignment]
    check: Callable[[SearchPlan, S], None] = _no_check
    most_states: Callable[[SearchPlan, S], int] = _two_each
    most_models: Callable[[SearchPlan, S], int] = _one
    chooses_length: bool = False
    ablation: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        return self.label

    def section_of(self, search: SearchSettings) -> S:
        """Return the method's own settings.

        Args:
            search: The settings under `search`.

        Raises:
            UsageError: A variant overrides a setting that there is not, or with a value that it does not take.
        """
        section: S = getattr(search, self.section) if self.section is not None else self.settings()
        if not self.overrides:
            return section
        for name in self.overrides:
            if name not in self.settings.model_fields:
                raise UsageError(f"{self.name}: no such setting '{name}'{suggest(name, self.settings.model_fields)}")
        try:
            return self.settings.model_validate({**section.model_dump(), **self.overrides})
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            message = problem["msg"].removeprefix("Value error, ")
            raise UsageError(f"{self.name}.{where}: {message[:1].lower()}{message[1:]}; correct it") from None


METHODS: Registry[MethodSpec[Any]] = Registry("method")


def register_method(spec: MethodSpec[Any]) -> None:
    """Make a method known: to settings, command line and reports. Has to be done before settings are read.

    Args:
        spec: Its declaration.

    Raises:
        UsageError: Another method has its name, or its section's name is taken.
    """
    if spec.section is not None:
        known = SearchSettings.model_fields.get(spec.section)
        if known is None:
            add_section(SearchSettings, spec.section, spec.settings)
        elif known.annotation is not spec.settings:
            raise UsageError(f"method '{spec.name}': search.{spec.section} is taken; name its section otherwise")
    METHODS.register(spec)


def is_replay(name: str) -> bool:
    """Return whether a registered method trains by what `pbt` found."""
    return name in METHODS.names and METHODS.get(name).kind == "replay"


def method_specs(search: SearchSettings) -> dict[str, MethodSpec[Any]]:
    """Return all methods by name: those that are registered, and the variants of the settings.

    Args:
        search: The settings under `search`.

    Raises:
        UsageError: A variant has the name of a method, or is one of none.
    """
    specs = {spec.name: spec for spec in METHODS}
    for name, variant in search.variants.items():
        if name in METHODS.names:
            raise UsageError(f"search.variants.{name}: is the name of a method; choose another one")
        if variant.method not in METHODS.names:
            raise UsageError(
                f"search.variants.{name}.method: no such method '{variant.method}'"
                f"{suggest(variant.method, METHODS.names)}"
            )
        base = METHODS.get(variant.method)
        overrides = {**base.overrides, **variant.overrides}
        specs[name] = replace(base, name=name, label=variant.label or name, overrides=overrides)
    return specs


def check_variants(search: SearchSettings) -> None:
    """Refuse variants that cannot be made.

    Raises:
        UsageError: Says which setting of which one, and the nearest name.
    """
    specs = method_specs(search)
    for name in search.variants:
        try:
            specs[name].section_of(search)
        except UsageError as error:
            raise UsageError(f"search.variants.{error}") from None


def method_spec(name: str, search: SearchSettings) -> MethodSpec[Any]:
    """Return the declaration of a method or variant.

    Args:
        name: Its name.
        search: The settings under `search`.

    Raises:
        UsageError: There is none of that name; names the nearest one.
    """
    specs = method_specs(search)
    if name not in specs:
        raise UsageError(f"no such method '{name}'{suggest(name, specs)}")
    return specs[name]


def check_methods(plan: SearchPlan) -> None:
    """Refuse methods that cannot run as planned, before anything is built or written.

    Raises:
        UsageError: A method is unknown or listed twice, cannot search this space, or its budget is too small for one
            trial.
    """
    seen: set[str] = set()
    for name in plan.settings.methods:
        spec = method_spec(name, plan.settings)
        if name in seen:
            raise UsageError(f"method '{name}' is listed twice; remove one, or repeat all with search.seeds")
        seen.add(name)
        _check(spec, plan)
        if waits_for_pbt(name, plan) and "pbt" not in plan.settings.methods:
            raise UsageError(
                f"{name}: nothing to replay; add pbt to the methods, or give a schedule (search.replay.schedule)"
            )


def waits_for_pbt(name: str, plan: SearchPlan) -> bool:
    """Return whether a method replays what the method `pbt` finds in this run: no schedule is set for it."""
    spec = method_spec(name, plan.settings)
    return spec.kind == "replay" and not spec.section_of(plan.settings).schedule


def in_order(plan: SearchPlan) -> list[str]:
    """Return the methods of a plan in the order in which they can be run: what replays another comes last."""
    return sorted(plan.settings.methods, key=lambda name: method_spec(name, plan.settings).kind == "replay")


def build_method(
    name: str, plan: SearchPlan, seed: int, pairs_per_epoch: int, segments: Sequence[Segment] = ()
) -> JournaledOracle:
    """Build a fresh oracle of a method.

    Args:
        name: Of a method, or of a variant in the settings.
        plan: What to search.
        seed: Seed of this search; 0 is a seed.
        pairs_per_epoch: Training pairs in one epoch.
        segments: What a method of kind `replay` replays; that of the settings where it is empty.

    Returns:
        The oracle. Of two that are built alike, both decide alike when told the same.

    Raises:
        UsageError: The name is unknown, or the method cannot run as planned.
    """
    spec = method_spec(name, plan.settings)
    _check(spec, plan)
    return spec.build(plan, spec.section_of(plan.settings), seed, pairs_per_epoch, segments)


def _check(spec: MethodSpec[Any], plan: SearchPlan) -> None:
    """Refuse a method that cannot search this space for this budget."""
    _check_epochs(spec, plan)
    if plan.settings.more_epochs and spec.kind != "population":
        raise UsageError(
            f"search.more_epochs {plan.settings.more_epochs:g}: {spec.name} cannot go on with more epochs, for its "
            f"trials have been trained to their ends; begin a new run with training.epochs {plan.epochs:g}"
        )
    spec.check(plan, spec.section_of(plan.settings))


def _check_epochs(spec: MethodSpec[Any], plan: SearchPlan) -> None:
    domain = next((domain for domain in plan.space.domains if domain.name == "epochs"), None)
    if domain is None:
        return
    if spec.chooses_length:
        others = [other.name for other in METHODS if other.kind == "constant" and not other.chooses_length]
        raise UsageError(
            f"search.space.epochs: {spec.name} decides by itself how long to train; search epochs with "
            f"{', '.join(others[:-1])} or {others[-1]} only"
        )
    if isinstance(domain, (Real, Integer)):
        longest = domain.max
    else:
        longest = max(map(float, domain.values if isinstance(domain, Choice) else [domain.value]))
    if longest > plan.budget_epochs:
        raise UsageError(
            f"search.space.epochs: a trial of {counted(longest, 'epoch')} does not fit the budget of "
            f"{counted(plan.budget_epochs, 'epoch')} (search.population {plan.settings.population} x training.epochs "
            f"{plan.epochs:g}); search fewer epochs or raise the budget"
        )
