"""The records of a journal: what can happen in a run, one class an event."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nmt_pbt.base.types import Value

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle
    from nmt_pbt.search.plan import SearchPlan

VERSION = 2
"""Of the journals that are written."""
StopRule = Literal["seconds", "patience_intervals", "target"]
"""A rule of `search.stop` by which a whole search ends."""


def now() -> float:
    """Return the time as records have it: seconds since the epoch."""
    return round(time.time(), 3)


class Record(BaseModel):
    """What all records share. `time` is seconds since the epoch, when the record was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    time: float = Field(default_factory=now)


class RunStarted(Record):
    """The first line of every journal.

    `settings` is the SHA-256 of the settings that decide results, `data` that of what the task trains and tests on.
    """

    event: Literal["run"] = "run"
    version: int = VERSION
    settings: str
    data: str


class SearchStarted(Record):
    """A method begins its search with one seed.

    `budget_pairs` is how many pairs the whole search trains, `interval_pairs` how many between two evaluations.
    """

    event: Literal["search"] = "search"
    method: str
    seed: int
    objective: str
    direction: Literal["min", "max"]
    budget_pairs: int
    interval_pairs: int
    pairs_per_epoch: int
    population: int


class Assigned(Record):
    """The oracle gave out a trial.

    `parent` is the trial whose final state this one starts from; `inherited` says that the parent was another
    member's (an exploit). `values` are the trial's hyperparameters, `pairs` how many training pairs it will train.
    `worker` is the one it was given to in version 1; since then each evaluation names the worker that ran it.
    """

    event: Literal["assigned"] = "assigned"
    method: str
    seed: int
    trial: str
    worker: str = ""
    member: int | None = None
    generation: int = 0
    parent: str | None = None
    inherited: bool = False
    values: dict[str, Value]
    pairs: int

    @property
    def model(self) -> str:
        """Name of the model that is trained through: a member's trials are all of one."""
        return f"trial-{self.trial}" if self.member is None else f"member-{self.member}"


class Guessed(Record):
    """The user added a guess, which the search by hand tries next; its budget grows by `pairs`.

    `values` are the guess's hyperparameters, which may lie outside the searched range.
    """

    event: Literal["guessed"] = "guessed"
    method: str
    seed: int
    values: dict[str, Value]
    pairs: int


class Extended(Record):
    """A search goes on: its budget grows by `pairs`."""

    event: Literal["extended"] = "extended"
    method: str
    seed: int
    pairs: int


class Seconds(BaseModel):
    """Wall-clock of one interval, itemised, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    load: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0
    decide: float = 0.0
    idle: float = 0.0


class Evaluated(Record):
    """A trial finished one interval and was evaluated.

    `interval_index` counts the trial's intervals from 0, `worker` ran this one. `trained_pairs` are the pairs that this
    state's weights were trained on along the lineage, `spent_pairs` what the whole search has trained so far (its
    place on the budget axis). `state` is the content hash of the saved state and `started` that of the state the
    interval began with (None: fresh weights). A metric that is not finite is recorded as null. `failure` says why the
    interval failed (`nan`, `out of memory`): it then has no state, and its trial ends. `evidence` is what the task can
    say of the score in more detail, packed by `evidence.pack`; it is kept only if the search decides by it. `samples`
    are texts by which the task shows what the model does, kept if this is the best evaluation so far.
    """

    event: Literal["evaluated"] = "evaluated"
    method: str
    seed: int
    trial: str
    interval_index: int
    worker: str = ""
    trained_pairs: int
    spent_pairs: int
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=True)] | None]
    started: str | None = None
    state: str | None = None
    failure: str | None = None
    evidence: str | None = None
    samples: list[str] = []
    seconds: Seconds = Seconds()

    @field_validator("metrics")
    @classmethod
    def _finite(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        return {name: value if value is not None and math.isfinite(value) else None for name, value in metrics.items()}


class Ended(Record):
    """A trial ended. `reason` says why it failed or was stopped early; it is empty otherwise."""

    event: Literal["ended"] = "ended"
    method: str
    seed: int
    trial: str
    status: Literal["completed", "failed"]
    reason: str = ""


class OtherTest(BaseModel):
    """A winner's result on a further test set; its fields are those of `Tested`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    test_set: str
    test: dict[str, float]
    signatures: dict[str, str] = {}
    outputs: str | None = None


class Tested(Record):
    """A search's winner, tested once on the test split.

    `trial` and `interval_index` name the state that won on dev; `dev` and `test` are metrics by name, `signatures` say
    how some of the test metrics were computed. `outputs` is the file of the winner's outputs for the test split,
    relative to the run; None if the task keeps none. If the task has several test sets, `test_set` names the one that
    methods are compared by, which these fields are about, and `others` are the results on the others.
    """

    event: Literal["tested"] = "tested"
    method: str
    seed: int
    trial: str
    interval_index: int
    trained_pairs: int
    dev: dict[str, float]
    test: dict[str, float]
    signatures: dict[str, str] = {}
    outputs: str | None = None
    test_set: str | None = None
    others: list[OtherTest] = []
    seconds: float = 0.0


class SearchEnded(Record):
    """A method's search with one seed is over; `spent_pairs` is how many pairs it trained in all.

    `reason` says why, and `rule` which stop rule of the settings ended it; None if none did.
    """

    event: Literal["search_ended"] = "search_ended"
    method: str
    seed: int
    spent_pairs: int
    reason: str = "budget spent"
    rule: StopRule | None = None


SearchRecord = SearchStarted | Guessed | Extended | Assigned | Evaluated | Ended | Tested | SearchEnded
"""A record of one search."""

AnyRecord = RunStarted | SearchRecord


def search_started(method: str, oracle: JournaledOracle, plan: SearchPlan, seed: int) -> SearchStarted:
    """Return the record that opens a search.

    Args:
        method: Its method's name.
        oracle: The oracle that was built for it.
        plan: What it searches.
        seed: Its seed.
    """
    budget, objective = oracle.budget, oracle.objective
    return SearchStarted(
        method=method,
        seed=seed,
        objective=objective.name,
        direction=objective.direction,
        budget_pairs=budget.total,
        interval_pairs=budget.pairs(plan.settings.interval),
        pairs_per_epoch=budget.pairs_per_epoch,
        population=oracle.population_size or plan.settings.population,
    )
