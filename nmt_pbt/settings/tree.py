"""What the settings of every run have in common, whatever its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import FileName, Section
from nmt_pbt.search.methods.registry import check_methods, check_variants
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.settings import SearchSettings


class EngineSettings(Section):
    """Where trials run."""

    name: Literal["inline", "processes", "ray"] = "processes"
    """`inline`: in this process, one job after the other; `processes`: in worker processes on this machine; `ray`: on \
    workers of a Ray cluster"""
    workers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Worker processes, which serve all searches at once; 0 takes as many as cores and memory allow"""
    threads: Annotated[int, Field(ge=0, le=1024)] = 1
    """Threads of one worker; 0 uses all cores. Another number may change how sums are rounded"""
    address: str | None = None
    """Address of a Ray cluster; null starts Ray on this machine, where only this machine can reach it"""
    gpus: Annotated[float, Field(ge=0.0, le=64.0)] = 0.0
    """GPUs to reserve for each Ray worker; fractions allowed"""


class RunSettings(Section):
    """The part of the tree that every task has; a task adds sections of its own."""

    decides_nothing: ClassVar[frozenset[str]] = frozenset({"name", "engine", "start_from", "report"})
    earlier_values: ClassVar[Mapping[str, object]] = {"plugins": [], "start_digest": None}
    of_others: ClassVar[frozenset[str]] = frozenset()
    """Names that only settings of runs of another kind have"""
    model_files: ClassVar[tuple[str, ...]] = ()
    """Files of a run without which its models cannot be used"""

    plugins: list[str] = []
    """Modules to import first, which register methods and strategies of your own; found in the working folder, too"""
    name: FileName | None = None
    """Name of the run: its folder under results/; null takes the corpus's name"""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random"""
    start_from: str | None = None
    """Folder of a run: training starts from the weights of its best winner instead of fresh ones. For Keras models also
    a `.weights.h5` or `.keras` file"""
    start_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of those weights; the program fills it in"""
    report: bool = True
    """Draw the report when the searches are over; false leaves it to `nmt-pbt report`"""
    search: SearchSettings = Field(default_factory=SearchSettings)
    engine: EngineSettings = EngineSettings()

    @model_validator(mode="after")
    def _variants_can_be_made(self) -> RunSettings:
        try:
            check_variants(self.search)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self

    def search_plan(self) -> SearchPlan:
        """Return what these settings mean to the search methods.

        Raises:
            UsageError: The search space cannot be used.
        """
        raise NotImplementedError

    def check_searches(self) -> None:
        """Refuse searches that cannot run with these settings, before anything is built or written.

        Raises:
            UsageError: Says which setting, and what it has to be.
        """
        check_methods(self.search_plan())

    @property
    def epochs(self) -> float:
        """Epochs that each trial trains, and each member of a population."""
        raise NotImplementedError

    @property
    def kept_models(self) -> int:
        """Models of each search that stay on the disk."""
        return 1

    @property
    def patience(self) -> int | None:
        """Evaluations in a row without a better objective that end a trial; None never does."""
        return None
