"""Settings that all search methods have in common; each method adds a section of its own when it is registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from nmt_pbt.base.section import Count, NotNegative, Positive, Section
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain


class VariantSettings(Section):
    """A method under a name of its own, with settings of its own."""

    model_config = ConfigDict(extra="allow")

    method: str
    """The method that it is a variant of"""
    label: str | None = None
    """Its name in reports; null: its name in the settings"""

    @property
    def overrides(self) -> dict[str, Any]:
        """What differs from the settings of the method's section."""
        return dict(self.model_extra or {})


class StopSettings(Section):
    """Rules that end a search before its budget is spent. Each search applies them to its own results; null: never."""

    earlier_values: ClassVar[Mapping[str, object]] = {"seconds": None, "patience_intervals": None, "target": None}

    seconds: Positive | None = None
    """Wall-clock of the search, in seconds, counted as in the report: as if this search alone had the run's workers. \
Only this rule depends on the machine"""
    patience_intervals: Count | None = None
    """Intervals in a row, over all trials or members, without a better objective. A new trial of random, grid or
    Bayesian search starts with bad scores: allow more intervals than a trial has"""
    target: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """End the search when the objective reaches this value"""


def _default_space() -> dict[str, Domain]:
    return {
        "learning_rate": NumberDomain(min=3e-4, max=1e-2, scale="log"),
        "dropout": NumberDomain(min=0.0, max=0.6),
        "recurrent_dropout": NumberDomain(min=0.0, max=0.5),
        "batch_size": ChoiceDomain(choices=[16, 32, 64, 128]),
    }


class SearchSettings(Section):
    """What is searched, by which methods, for which budget."""

    decides_nothing: ClassVar[frozenset[str]] = frozenset({"methods", "seeds", "more_epochs"})
    earlier_values: ClassVar[Mapping[str, object]] = {"variants": {}}

    methods: Annotated[list[str], Field(min_length=1)] = ["pbt", "random", "grid", "bayes"]
    """Methods to compare"""
    objective: str = "val_bleu"
    """The dev metric that decides"""
    seeds: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How often each whole search is repeated: with the seeds `seed`, `seed` + 1, ..."""
    population: Annotated[int, Field(ge=2, le=100_000)] = 6
    """Members of the population; the other methods get the same budget: population x epochs"""
    interval: Positive = 1.0
    """Epochs between two evaluations, for every method, and between two decisions of PBT"""
    more_epochs: NotNegative = 0.0
    """Epochs that each member of a population trains beyond training.epochs: they extend a run that has ended. Only \
for populations"""
    space: Annotated[dict[str, Domain], Field(min_length=1)] = Field(default_factory=_default_space)
    """Hyperparameters to search"""
    stop: StopSettings = StopSettings()
    variants: dict[str, VariantSettings] = {}
    """Variants of methods under names of their own: `method` names the method, `label` is its name in reports, and all
    else replaces settings of that method, for instance `pbt-slow: {method: pbt, frequencies: [2, 4]}`"""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return the section of a registered method."""
