"""Settings of where trials run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt_pbt.settings.sections import Count, Section


class EngineSettings(Section):
    """Where trials run."""

    name: Literal["inline", "ray"] = "inline"
    """`inline`: in this process; `ray`: in worker processes, on this machine or a cluster"""
    workers: Count = 1
    """Trials under way at once, of each search at most twice the population"""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of one worker; 0 uses all cores inline, one with Ray"""
    address: str | None = None
    """A Ray cluster's address; null starts Ray on this machine, reachable from it alone"""
    gpus: Annotated[float, Field(ge=0.0)] = 0.0
    """GPUs to reserve for each Ray worker; fractions allowed"""
