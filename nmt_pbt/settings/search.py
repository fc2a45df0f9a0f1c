"""Settings of the search: what is searched, how, and for which budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt_pbt.settings.methods import (
    BayesSettings,
    GridSettings,
    HyperbandSettings,
    ManualSettings,
    PBTSettings,
    ReplaySettings,
)
from nmt_pbt.settings.sections import ChoiceDomain, Count, Domain, NumberDomain, Positive, Section


def _default_space() -> dict[str, Domain]:
    return {
        "learning_rate": NumberDomain(min=3e-4, max=1e-2, scale="log"),
        "dropout": NumberDomain(min=0.0, max=0.6),
        "recurrent_dropout": NumberDomain(min=0.0, max=0.5),
        "batch_size": ChoiceDomain(choices=[16, 32, 64, 128]),
    }


class SearchSettings(Section):
    """What is searched, by which methods, for which budget."""

    methods: Annotated[list[str], Field(min_length=1)] = ["pbt", "random", "grid", "bayes"]
    """Methods to compare"""
    objective: Literal["val_bleu", "val_chrf", "val_loss"] = "val_bleu"
    """The dev metric that decides"""
    seeds: Count = 1
    """How often each whole search is repeated, with seeds seed, seed + 1, ..."""
    population: Annotated[int, Field(ge=2)] = 6
    """Members of the population; the other methods get the same budget: population x epochs"""
    interval: Positive = 1.0
    """Epochs between two evaluations, for every method, and between two decisions of PBT"""
    space: Annotated[dict[str, Domain], Field(min_length=1)] = Field(default_factory=_default_space)
    """Hyperparameters to search"""
    pbt: PBTSettings = PBTSettings()
    """Population Based Training"""
    grid: GridSettings = GridSettings()
    """Grid search"""
    bayes: BayesSettings = BayesSettings()
    """Bayesian optimisation"""
    hyperband: HyperbandSettings = HyperbandSettings()
    """Hyperband"""
    manual: ManualSettings = ManualSettings()
    """Guesses by hand"""
    replay: ReplaySettings = ReplaySettings()
    """Replays of a schedule"""
