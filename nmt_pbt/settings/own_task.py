"""Settings of a run of any other task than translation, for instance a Keras model of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Count, Positive, Section
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.settings.loading import checked
from nmt_pbt.settings.tree import RunSettings
from nmt_pbt.space.domains import Choice, Constant, Domain
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Objective


class LengthSettings(Section):
    """How long is trained."""

    epochs: Positive = 10.0
    """Epochs that each trial trains, and each member of a population"""


class OwnTaskSettings(RunSettings):
    """The settings of a run of a task of one's own, as one tree."""

    of_others: ClassVar[frozenset[str]] = frozenset({"corpus"})
    decides_nothing: ClassVar[frozenset[str]] = RunSettings.decides_nothing | {"task", "kept"}
    earlier_values: ClassVar[Mapping[str, object]] = {
        **RunSettings.earlier_values,
        "strategies": {},
        "structural": [],
        "domains": [],
    }

    task: str = "keras"
    """What is trained: a word for it, or `package.module:name`"""
    unit: str = "epoch"
    """What budgets are counted in: a word for one of it"""
    training: LengthSettings = LengthSettings()
    direction: Literal["min", "max"] = "min"
    """Whether lower or higher values of search.objective are better"""
    structural: list[str] = []
    """Hyperparameters that change what variables a model has, and stay along a lineage"""
    domains: list[str] = []
    """The search space in full, conditions too, as the program writes it"""
    strategies: dict[str, str] = {}
    """Strategies that were given as objects, as Python writes them"""
    kept: Count = 1
    """Models of each search that stay on the disk"""

    @property
    def epochs(self) -> float:
        """Epochs that each trial trains, and each member of a population."""
        return self.training.epochs

    @property
    def kept_models(self) -> int:
        """Models of each search that stay on the disk."""
        return self.kept

    def search_plan(self) -> SearchPlan:
        """Return what these settings mean to the search methods.

        Raises:
            UsageError: The search space cannot be used.
        """
        return SearchPlan(
            settings=self.search,
            space=Space.from_domains(self.search.space, structural=self.structural),
            defaults={},
            epochs=self.epochs + self.search.more_epochs,
            first_seed=self.seed,
            objective=Objective(self.search.objective, self.direction),
        )


def own_task_settings(space: Space, objective: Objective, tree: Mapping[str, Any]) -> OwnTaskSettings:
    """Return the settings of a run that searches a space.

    Args:
        space: The search space.
        objective: The metric that decides.
        tree: All other settings, as plain data.

    Raises:
        UsageError: One of them cannot be used.
    """
    search = {
        **tree.get("search", {}),
        "space": {name: _recorded(space, name) for name in space.names},
        "objective": objective.name,
    }
    whole = {
        **tree,
        "search": search,
        "direction": objective.direction,
        "structural": sorted(space.structural),
        "domains": [repr(domain) for domain in space.domains],
    }
    return checked(OwnTaskSettings, whole, "settings")


def _recorded(space: Space, name: str) -> dict[str, Any]:
    """Return a hyperparameter's range as settings tell it; of a name with several domains, all of them together."""
    domains = [domain for domain in space.domains if domain.name == name]
    first = domains[0]
    if isinstance(first, (Choice, Constant)):
        values = dict.fromkeys(value for domain in domains for value in _values(domain))
        ordered = first.ordered if isinstance(first, Choice) else None
        return ChoiceDomain(choices=list(values), ordered=ordered).model_dump(mode="json")
    numbers = [domain for domain in domains if not isinstance(domain, (Choice, Constant))]
    scale: Literal["linear", "log"] = "log" if first.scale == "log" else "linear"
    step = float(first.step) if first.step is not None and first.scale == "linear" else None
    low, high = min(float(domain.min) for domain in numbers), max(float(domain.max) for domain in numbers)
    integer = isinstance(first.min, int)
    return NumberDomain(min=low, max=high, scale=scale, step=step, integer=integer).model_dump(mode="json")


def _values(domain: Domain) -> list[Any]:
    if isinstance(domain, Choice):
        return list(domain.values)
    if isinstance(domain, Constant):
        return [domain.value]
    raise UsageError(f"{domain.name}: is a range under one condition and a list of values under another; rename one")
