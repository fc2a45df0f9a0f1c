"""The budget in sentence pairs: how trials are cut into intervals, and that every method meets it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.search.population.member import last_decision
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL, Session


def assignment(epochs: float, start: float = 0.0) -> Assignment:
    return Assignment("0", {}, epochs, start=start)


def test_a_trial_of_whole_epochs_is_cut_into_equal_intervals() -> None:
    budget = Budget.for_trials(3, epochs=4, pairs_per_epoch=100, interval_epochs=1)
    assert budget.intervals(assignment(4)) == (100, 100, 100, 100)
    assert (budget.total, budget.epochs) == (1200, 12)


def test_the_last_interval_takes_what_is_left() -> None:
    assert Budget(pairs_per_epoch=100, interval_epochs=1, total=250).intervals(assignment(2.5)) == (100, 100, 50)


def test_a_sum_of_fractions_does_not_make_an_interval_of_a_rounding_error() -> None:
    assert len(Budget(pairs_per_epoch=1000, interval_epochs=0.1, total=300).intervals(assignment(0.1 + 0.2))) == 3


def test_no_interval_is_empty() -> None:
    assert Budget(pairs_per_epoch=1000, interval_epochs=1, total=2000).intervals(assignment(2.0004)) == (1000, 1000)


def test_an_interval_of_less_than_a_pair_is_refused() -> None:
    with pytest.raises(UsageError, match=r"search.interval 0.001: less than one sentence pair of an epoch of 400"):
        Budget(pairs_per_epoch=400, interval_epochs=0.001, total=400)


@given(epoch=st.integers(100, 30_000), interval=st.floats(0.01, 2.0), generations=st.integers(1, 40))
def test_the_intervals_of_a_member_add_up_to_its_epochs_exactly(epoch: int, interval: float, generations: int) -> None:
    budget = Budget.for_trials(1, generations * interval, epoch, interval)
    member = [budget.intervals(assignment(interval, generation * interval)) for generation in range(generations)]
    assert all(len(intervals) == 1 for intervals in member)
    assert sum(intervals[0] for intervals in member) == budget.total


@given(epoch=st.integers(100, 30_000), interval=st.floats(0.01, 2.0), epochs=st.floats(0.02, 40.0))
def test_one_long_trial_is_worth_the_same_as_its_intervals(epoch: int, interval: float, epochs: float) -> None:
    budget = Budget.for_trials(1, epochs, epoch, interval)
    assert sum(budget.intervals(assignment(epochs))) == budget.total


@given(epoch=st.integers(100, 30_000), interval=st.floats(0.01, 2.0), generations=st.integers(1, 40))
def test_intervals_in_whole_pairs_are_cut_to_themselves_again(epoch: int, interval: float, generations: int) -> None:
    """What a journal tells of a lineage is whole pairs; a replay of it trains the same ones."""
    budget = Budget.for_trials(1, generations * interval, epoch, interval)
    recorded = [pairs for g in range(generations) for pairs in budget.intervals(assignment(interval, g * interval))]
    starts = [sum(recorded[:number]) / epoch for number in range(len(recorded))]
    again = [budget.intervals(assignment(pairs / epoch, start)) for pairs, start in zip(recorded, starts, strict=True)]
    assert again == [(pairs,) for pairs in recorded]


SEARCHED = "search.space.epochs={min: 0.7, max: 3.3}"
SEGMENTS = [{"epochs": epochs, "values": {"dropout": 0.1}} for epochs in (0.4, 1.0, 0.001, 1.7)]
METHODS: Mapping[str, list[str]] = {
    "random": [SEARCHED],
    "grid": [SEARCHED],
    "bayes": [SEARCHED],
    "manual": ["search.manual.guesses=" + json.dumps([{"dropout": 0.1 * number} for number in range(4)])],
    "hyperband": ["search.hyperband.factor=2"],
    "pbt": [],
    "explore-only": ["search.pbt.synchronous=false"],
    "replay": ["search.replay.schedule=" + json.dumps(SEGMENTS)],
    "final-values": ["search.replay.schedule=" + json.dumps(SEGMENTS)],
}


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=15, deadline=None)
@given(
    epoch=st.integers(20, 3000),
    epochs=st.floats(3.0, 6.0),
    interval=st.floats(0.3, 1.5),
    workers=st.integers(1, 3),
    failing=st.booleans(),
)
def test_every_method_meets_the_budget_to_the_pair_whatever_the_lengths(
    name: str, epoch: int, epochs: float, interval: float, workers: int, failing: bool
) -> None:
    """What failed before its end is counted up to there, and what it gave back is trained by others."""
    assume((epochs - last_decision(interval, epochs)) * epoch >= 1)
    changes = [*SMALL, f"training.epochs={epochs}", f"search.interval={interval}", *METHODS[name]]
    method = build_method(name, load_settings(assignments=changes).search_plan(), 0, epoch)

    def fails(given: Assignment) -> str | None:
        return "nan" if failing and int(given.trial) % 4 == 1 else None

    driven = Session(method, interval, fails=fails).run(workers)
    assert all(min(method.budget.intervals(given_out)) > 0 for given_out in driven.assignments)
    if name == "manual":
        lost = [method.budget.intervals(given_out)[1:] for given_out in driven.assignments if fails(given_out)]
        assert method.budget.total == 4 * method.budget.pairs(epochs)
        assert driven.pairs == method.budget.total - sum(map(sum, lost))  # nobody guessed what else to try
    else:
        assert driven.pairs == method.budget.total
    assert driven.give("worker0") == "STOPPED"
