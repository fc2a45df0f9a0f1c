"""Lineages and schedules, by equality on journals written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.report.lineage import Ancestry
from tests.report.journals import assigned, evaluated, run_started, search, small_population


def rows(frame: pd.DataFrame) -> list[list[object]]:
    """Rows as lists, with None for everything missing."""
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame.itertuples(index=False)]


def test_lineage_tells_what_was_taken_over_and_what_was_given_up():
    frame = Ancestry(small_population()).table()
    assert list(frame.columns) == [
        *("method", "seed", "child", "parent", "member", "parent_member", "generation", "inherited", "left"),
        *("start", "parent_score", "left_score", "rate_before", "rate_after", "dropout_before", "dropout_after"),
    ]
    assert rows(frame) == [
        ["pbt", 0, "a1", "a0", 0, 0, 1, False, None, 100, 10.0, None, 0.1, 0.1, 0.0, 0.0],
        ["pbt", 0, "b1", "a0", 1, 0, 1, True, "b0", 100, 10.0, None, 0.1, 0.08, 0.0, 0.2],
    ]


def test_the_winners_lineage_runs_from_the_root_through_the_donor():
    frame = Ancestry(small_population()).chain("pbt", 0)
    assert list(frame.columns) == [
        *("method", "seed", "trial", "member", "generation", "parent", "inherited", "start", "trained_pairs", "score"),
        *("rate", "dropout"),
    ]
    assert rows(frame) == [
        ["pbt", 0, "a0", 0, 0, None, False, 0, 100, 10.0, 0.1, 0.0],
        ["pbt", 0, "b1", 1, 1, "a0", True, 100, 200, 15.0, 0.08, 0.2],
    ]


def test_the_winners_lineage_ends_at_the_winning_evaluation_not_at_its_trials_last():
    records = [
        run_started(),
        search("random"),
        assigned("0", method="random", rate=0.1),
        evaluated("0", 9.0, trained_pairs=100, spent_pairs=100, method="random"),
        evaluated("0", 8.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="random"),
    ]
    assert rows(Ancestry(records).chain("random", 0)[["trained_pairs", "score"]]) == [[100, 9.0]]
    assert rows(Ancestry(records).chain("random", 0, "0")[["trained_pairs", "score"]]) == [[200, 8.0]]


def test_a_schedule_follows_the_lineage_not_the_slot():
    ancestry = Ancestry(small_population())
    assert list(ancestry.steps("pbt", 0).columns) == [
        *("start", "end", "trial", "member", "inherited", "rate", "dropout"),
    ]
    assert rows(ancestry.steps("pbt", 0)) == [
        [0.0, 0.5, "a0", 0, False, 0.1, 0.0],
        [0.5, 1.0, "b1", 1, True, 0.08, 0.2],
    ]
    assert rows(ancestry.steps("pbt", 0, "a1")) == [
        [0.0, 0.5, "a0", 0, False, 0.1, 0.0],
        [0.5, 1.0, "a1", 0, False, 0.1, 0.0],
    ]


def test_a_trial_that_was_never_evaluated_is_no_step_of_a_schedule():
    records = [*small_population()[:-1], assigned("a2", member=0, parent="a1", generation=2, rate=0.1, dropout=0.9)]
    assert list(Ancestry(records).steps("pbt", 0, "a2")["trial"]) == ["a0", "a1"]


def test_what_is_not_in_the_journal_is_named_with_the_nearest_that_is():
    with pytest.raises(UsageError, match="no trial 'a9'"):
        Ancestry(small_population()).chain("pbt", 0, "a9")
    with pytest.raises(UsageError, match="grid, seed 3: no evaluation"):
        Ancestry(small_population()).chain("grid", 3)


def test_a_parent_that_the_journal_does_not_hold_is_an_error():
    records = [run_started(), search(), assigned("a1", member=0, parent="a0", rate=0.1)]
    with pytest.raises(JournalError, match="parent 'a0'"):
        Ancestry(records).table()
