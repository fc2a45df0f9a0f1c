"""Settings of the methods that search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nmt_pbt.base.errors import suggest
from nmt_pbt.base.section import Count, Positive, Section
from nmt_pbt.base.types import Value
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain
from nmt_pbt.tasks.translation.hyperparameters import MUTABLE, STRUCTURAL, check_value


class Segment(Section):
    """A part of a schedule: constant values for so long."""

    epochs: Positive
    """How long, in epochs"""
    values: Annotated[dict[str, Value], Field(min_length=1)]
    """The hyperparameters in force"""


class PBTSettings(Section):
    """Population Based Training (Jaderberg et al. 2017)."""

    synchronous: bool = True
    """All members finish a generation before any of them adopts another; false lets free workers go on at once, for
    workers of uneven speed, at the price of lineages of uneven length"""
    exploit: Literal["truncation", "tournament", "ttest", "bootstrap", "backtrack"] = "truncation"
    """Who adopts whom. `truncation`: the bottom fraction from the top fraction. `tournament`: whoever loses against a
    member drawn at random. `ttest`: the same, when the last evaluations differ significantly. `bootstrap`: the same,
    when BLEU differs significantly over resampled dev sentences. `backtrack`: the bottom fraction from the best states
    there have been"""
    fraction: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    """Share of the population that is at the bottom, and at the top: for `truncation` and `backtrack`"""
    significance: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Largest p-value that counts as a difference: for `ttest` (one-sided) and `bootstrap` (two-sided)"""
    evaluations: Annotated[int, Field(ge=2, le=10)] = 5
    """Last evaluations that are compared: for `ttest`"""
    explore: Literal["perturb", "pb2"] = "perturb"
    """How adopted values move. `perturb`: by a step, or afresh. `pb2`: a Gaussian process chooses (Parker-Holder et al.
    2020)"""
    frequencies: list[Count] = []
    """Sub-populations, each deciding within itself after so many intervals, for instance [1, 4], with migration between
    them: against greed (Doulazmi et al. 2025). Empty: one population that decides after every interval"""
    burn_in: Annotated[float, Field(ge=0.0)] = 0.0
    """Epochs of training before a member may adopt or be adopted from"""
    factor: Annotated[float, Field(gt=1.0)] = 1.25
    """A step on a log scale multiplies or divides by this"""
    fraction_of_range: Annotated[float, Field(gt=0.0, le=1.0)] = 0.15
    """A step on a linear scale adds or subtracts this share of the range"""
    resample_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Chance that explore draws a value afresh instead of a step"""
    frozen: list[str] = []
    """Hyperparameters of the space that explore leaves alone"""
    initial: list[dict[str, Value]] = []
    """Values to start the first members with; what is left out is drawn from the space"""


class GridSettings(Section):
    """Grid search."""

    levels: dict[str, list[Value]] = {}
    """Values to cross, by hyperparameter; those left out get evenly spread levels that fit the budget"""


class BayesSettings(Section):
    """Bayesian optimisation with a Gaussian process (KerasTuner's)."""

    initial_points: Count = 3
    """Random trials before the first suggestion"""
    exploration: Positive = 2.6
    """Weight of uncertainty in the upper confidence bound"""


class HyperbandSettings(Section):
    """Hyperband (Li et al. 2018; KerasTuner's), whose unit is the interval between evaluations."""

    factor: Annotated[int, Field(ge=2)] = 3
    """One trial in so many goes on, for so many times as long"""


class ManualSettings(Section):
    """Values somebody chose by hand."""

    guesses: list[dict[str, Value]] = []
    """Values to try in order; what is left out is as in the sections training and model"""


class ReplaySettings(Section):
    """Training from fresh weights by what PBT found: the methods `replay` and `final-values`."""

    schedule: list[Segment] = []
    """What to replay, from the beginning of training; empty: what `pbt` found in this run with the same seed"""
    models: Count | None = None
    """Models to train, each from other weights; null: as many as fit into the budget"""


def _default_space() -> dict[str, Domain]:
    return {
        "learning_rate": NumberDomain(min=3e-4, max=1e-2, scale="log"),
        "dropout": NumberDomain(min=0.0, max=0.6),
        "recurrent_dropout": NumberDomain(min=0.0, max=0.5),
        "batch_size": ChoiceDomain(choices=[16, 32, 64, 128]),
    }


class SearchSettings(Section):
    """What is searched, by which methods, for which budget."""

    decides_nothing: ClassVar[frozenset[str]] = frozenset({"methods", "seeds"})

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


def check_segments(segments: Sequence[Segment]) -> None:
    """Refuse segments that no one model can be trained with.

    Raises:
        ValueError: A name or value is not a hyperparameter's, a segment names others than the first, or the shape of
            the model changes.
    """
    known = (*MUTABLE, *STRUCTURAL)
    for number, segment in enumerate(segments, start=1):
        where = f"segment {number} of the schedule"
        for name, value in segment.values.items():
            if name not in known:
                raise ValueError(f"{where}: no hyperparameter '{name}' to put in force{suggest(name, known)}")
            check_value(name, value, f"{where}: {name}")
        for name in {**segments[0].values, **segment.values}:
            if name not in segment.values or name not in segments[0].values:
                raise ValueError(f"{where}: {name} is named in some segments only; give it a value in each")
            if name in STRUCTURAL and segment.values[name] != segments[0].values[name]:
                raise ValueError(f"{where}: {name} changes the model's shape, so it has to stay as in the first")
