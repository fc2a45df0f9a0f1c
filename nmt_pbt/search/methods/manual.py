"""Search by hand: guesses that stand beside what the other methods choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles import JournaledOracle


class ManualSettings(Section):
    """Values somebody chose by hand."""

    guesses: list[dict[str, Value]] = []
    """Values to try in order; what is left out is as in the sections training and model"""


def _check(plan: SearchPlan, section: ManualSettings) -> None:
    _guesses(plan, section)


def _guesses(plan: SearchPlan, section: ManualSettings) -> list[dict[str, Value]]:
    """Return the guesses of the settings, with the values that are in force where they name nothing."""
    guesses = []
    for number, guess in enumerate(section.guesses, start=1):
        whole = {name: guess.get(name, value) for name, value in plan.defaults.items()}
        plan.space.check({**whole, **guess}, f"search.manual.guesses, number {number}")
        guesses.append(whole)
    if not guesses:
        raise UsageError("manual: no guesses; list some in search.manual.guesses, or leave the method out")
    if len(guesses) > plan.settings.population and "epochs" not in plan.space.names:
        raise UsageError(
            f"manual: {len(guesses)} guesses, but the budget is {plan.settings.population} trials "
            "(search.population); remove some or raise the budget"
        )
    return guesses


def _build(
    plan: SearchPlan, section: ManualSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.manual import ManualOracle

    return ManualOracle(**plan.oracle_arguments(seed, pairs_per_epoch), guesses=_guesses(plan, section))


def build_search_by_hand(plan: SearchPlan, seed: int, pairs_per_epoch: int) -> JournaledOracle:
    """Build a search by hand that has no guesses yet; see `build_method` for the arguments."""
    from nmt_pbt.search.manual import ManualOracle

    return ManualOracle(**plan.oracle_arguments(seed, pairs_per_epoch), guesses=[])


MANUAL = MethodSpec(
    "manual",
    "Manual",
    "constant",
    _build,
    section="manual",
    settings=ManualSettings,
    check=_check,
    most_states=lambda plan, section: min(2 * plan.settings.population, max(1, len(section.guesses))),
)
