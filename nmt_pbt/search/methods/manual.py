"""Search by hand: guesses that stand beside what the other methods choose."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.search.methods.registry import MethodSpec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle


class ManualSettings(Section):
    """Values somebody chose by hand."""

    earlier_values: ClassVar[Mapping[str, object]] = {"repeat": False}

    guesses: list[dict[str, Value]] = []
    """Values to try in order; what is left out is as in the sections training and model. They may name what is not
    searched, for instance `learning_rate_decay` for a rate that falls"""
    repeat: bool = False
    """Try the guesses over and over, each time from other initial weights, until the budget of the other methods is
    spent; false: each once"""


def _check(plan: SearchPlan, section: ManualSettings) -> None:
    _guesses(plan, section)


def _guesses(plan: SearchPlan, section: ManualSettings) -> list[dict[str, Value]]:
    """Return the guesses to try, with the values that are in force where they name nothing of the space."""
    guesses = []
    for number, guess in enumerate(section.guesses, start=1):
        whole = {name: guess.get(name, value) for name, value in plan.defaults.items()}
        where = f"search.manual.guesses, number {number}"
        plan.space.check(whole, where)
        others = {name: value for name, value in guess.items() if name not in whole}
        for name, value in others.items():
            plan.check_unsearched(name, value, where)
        guesses.append({**whole, **others})
    if not guesses:
        raise UsageError("manual: no guesses; list some in search.manual.guesses, or leave the method out")
    if section.repeat:
        return _repeated(guesses, plan)
    if len(guesses) > plan.settings.population and "epochs" not in plan.space.names:
        raise UsageError(
            f"manual: {len(guesses)} guesses, but the budget is {plan.settings.population} trials "
            "(search.population); remove some or raise the budget"
        )
    return guesses


def _repeated(guesses: Sequence[dict[str, Value]], plan: SearchPlan) -> list[dict[str, Value]]:
    """Return guesses over and over, until they take the budget of the other methods; the last one is cut."""
    repeated: list[dict[str, Value]] = []
    epochs = 0.0
    for guess in itertools.cycle(guesses):
        if epochs >= plan.budget_epochs - 1e-9:
            return repeated
        repeated.append(guess)
        epochs += float(guess.get("epochs", plan.epochs))
    return repeated


def _most_states(plan: SearchPlan, section: ManualSettings) -> int:
    most = 2 * plan.settings.population
    return most if section.repeat else min(most, max(1, len(section.guesses)))


def _build(
    plan: SearchPlan, section: ManualSettings, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
) -> JournaledOracle:
    from nmt_pbt.search.oracles.manual import ManualOracle

    return ManualOracle(**plan.oracle_arguments(seed, pairs_per_epoch), guesses=_guesses(plan, section))


def build_search_by_hand(plan: SearchPlan, seed: int, pairs_per_epoch: int) -> JournaledOracle:
    """Build a search by hand that has no guesses yet; see `build_method` for the arguments."""
    from nmt_pbt.search.oracles.manual import ManualOracle

    return ManualOracle(**plan.oracle_arguments(seed, pairs_per_epoch), guesses=[])


MANUAL = MethodSpec(
    "manual",
    "Manual",
    "constant",
    _build,
    section="manual",
    settings=ManualSettings,
    check=_check,
    most_states=_most_states,
)
