"""Replays: models trained from fresh weights by the schedule that PBT found, to see what the schedule is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Count, Section
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle

_SLACK = 1e-9  # epochs: what sums of floats may be off by


class ReplaySettings(Section):
    """Training from fresh weights by what PBT found: the methods `replay` and `final-values`."""

    schedule: list[Segment] = []
    """What to replay, from the beginning of training; empty: what `pbt` found in this run with the same seed"""
    models: Count | None = None
    """Models to train, each from other weights; null: as many as fit into the budget"""


def lengthened(segments: Sequence[Segment], epochs: float) -> list[Segment]:
    """Return a schedule whose last values stay in force until a model has been trained for so long.

    Args:
        segments: The schedule.
        epochs: How long, at least; one that is longer stays as it is.
    """
    missing = epochs - math.fsum(segment.epochs for segment in segments)
    if missing <= _SLACK:
        return list(segments)
    return [*segments, Segment(epochs=missing, values=segments[-1].values)]


def final_values(segments: Sequence[Segment]) -> list[Segment]:
    """Return the schedule that holds the last values of another from the beginning, for as long."""
    length = math.fsum(segment.epochs for segment in segments)
    return [Segment(epochs=length, values=segments[-1].values)]


def _replay(
    plan: SearchPlan, section: ReplaySettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    return _build("replay", plan, section, seed, pairs_per_epoch, segments)


def _final_values(
    plan: SearchPlan, section: ReplaySettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    return _build("final-values", plan, section, seed, pairs_per_epoch, segments)


def _build(
    name: str,
    plan: SearchPlan,
    section: ReplaySettings,
    seed: int,
    pairs_per_epoch: int,
    segments: Sequence[Segment],
) -> JournaledOracle:
    from nmt_pbt.search.oracles.replay import ReplayOracle

    arguments = plan.oracle_arguments(seed, pairs_per_epoch)
    found = section.schedule or segments
    if not found:
        raise UsageError(f"{name}: no schedule to replay; give one in search.replay.schedule")
    whole = [
        segment.model_copy(update={"values": {**plan.defaults, **segment.values}})
        for segment in lengthened(found, plan.epochs)
    ]
    return ReplayOracle(
        **arguments,
        segments=final_values(whole) if name == "final-values" else whole,
        models=section.models,
    )


def _most_states(plan: SearchPlan, section: ReplaySettings) -> int:
    most = 2 * plan.settings.population
    return min(most, section.models or most)


def _most_models(plan: SearchPlan, section: ReplaySettings) -> int:
    return section.models or plan.settings.population


REPLAY = MethodSpec(
    "replay",
    "Replay",
    "replay",
    _replay,
    section="replay",
    settings=ReplaySettings,
    most_states=_most_states,
    most_models=_most_models,
    chooses_length=True,
    ablation=True,
)
FINAL_VALUES = replace(REPLAY, name="final-values", label="Final values", build=_final_values)
