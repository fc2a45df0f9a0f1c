"""Journal records as tables, by equality on journals written by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from nmt_pbt.base.errors import JournalError
from nmt_pbt.report import series
from nmt_pbt.run.records import Tested
from nmt_pbt.tasks.translation.settings.sections import SEARCHABLE
from tests.report.journals import (
    assigned,
    ended,
    evaluated,
    run_started,
    search,
    search_ended,
    small_population,
)


def rows(frame: pd.DataFrame) -> list[list[object]]:
    """Rows as lists, with None for everything missing."""
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame.itertuples(index=False)]


def two_baselines() -> list:
    return [
        run_started(),
        search("random"),
        assigned("0", method="random", rate=0.1),
        evaluated("0", 5.0, trained_pairs=100, spent_pairs=100, method="random", train=4.0),
        evaluated("0", 7.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="random", train=4.0),
        ended("0", method="random"),
        assigned("1", method="random", rate=0.2),
        evaluated("1", 6.0, trained_pairs=100, spent_pairs=300, method="random", train=4.0),
        search("grid", seed=1),
        assigned("0", method="grid", seed=1, units=8),
    ]


def test_searches_tells_what_was_asked_for_and_what_was_spent():
    frame = series.searches(two_baselines())
    assert list(frame.columns) == [
        *(
            "method",
            "seed",
            "objective",
            "direction",
            "budget_pairs",
            "interval_pairs",
            "pairs_per_epoch",
            "population",
        ),
        *("spent_pairs", "finished", "reason"),
    ]
    assert rows(frame) == [
        ["random", 0, "val_bleu", "max", 400, 100, 200, 2, 300, False, ""],
        ["grid", 1, "val_bleu", "max", 400, 100, 200, 2, 0, False, ""],
    ]
    assert rows(series.searches(small_population()))[0][-3:] == [400, True, "budget spent"]


def test_trials_tells_each_trials_place_end_and_scores():
    frame = series.trials(small_population())
    assert list(frame.columns) == [
        *("method", "seed", "trial", "member", "generation", "parent", "inherited", "worker", "pairs"),
        *("status", "reason", "intervals", "trained_pairs", "score", "best", "rate", "dropout"),
    ]
    assert rows(frame) == [
        ["pbt", 0, "a0", 0, 0, None, False, "w0", 100, "completed", "", 1, 100, 10.0, 10.0, 0.1, 0.0],
        ["pbt", 0, "b0", 1, 0, None, False, "w0", 100, "failed", "nan", 1, 100, None, None, 0.4, 0.5],
        ["pbt", 0, "a1", 0, 1, "a0", False, "w0", 100, "completed", "", 1, 200, 12.0, 12.0, 0.1, 0.0],
        ["pbt", 0, "b1", 1, 1, "a0", True, "w0", 100, "completed", "", 1, 200, 15.0, 15.0, 0.08, 0.2],
    ]


def test_a_trial_without_an_end_is_running_and_a_value_not_set_is_missing():
    frame = series.trials(two_baselines())
    assert list(frame["status"]) == ["completed", "running", "running"]
    assert list(frame["best"].fillna(-1)) == [7.0, 6.0, -1.0]
    assert [None if pd.isna(value) else value for value in frame["units"]] == [None, None, 8]
    assert frame["units"].dtype == "Int64"
    assert frame["member"].isna().all()


def test_best_is_the_least_where_the_objective_is_minimised():
    records = [
        run_started(),
        search(direction="min"),
        assigned("0", rate=0.1),
        evaluated("0", 2.0, trained_pairs=100, spent_pairs=100, metric="val_loss"),
        evaluated("0", 3.0, trained_pairs=200, spent_pairs=200, interval_index=1, metric="val_loss"),
    ]
    assert list(series.trials(records)[["score", "best"]].iloc[0]) == [3.0, 2.0]
    assert list(series.best_so_far(records)["best"]) == [2.0, 2.0]
    assert list(series.winners(records)[["interval_index", "score"]].iloc[0]) == [0, 2.0]


def test_evaluations_join_metrics_with_the_values_in_force():
    frame = series.evaluations(small_population())
    assert list(frame.columns) == [
        *("method", "seed", "trial", "member", "generation", "interval_index", "trained_pairs", "spent_pairs"),
        *("trained_epochs", "seconds", "score", "val_bleu", "rate", "dropout"),
    ]
    assert rows(frame)[1] == ["pbt", 0, "b0", 1, 0, 0, 100, 200, 0.5, 2.5, None, None, 0.4, 0.5]
    assert rows(frame)[3] == ["pbt", 0, "b1", 1, 1, 0, 200, 400, 1.0, 2.5, 15.0, 15.0, 0.08, 0.2]


def test_best_so_far_skips_failures_and_adds_up_working_time():
    frame = series.best_so_far(small_population())
    assert list(frame.columns) == [
        *(
            "method",
            "seed",
            "trial",
            "interval_index",
            "spent_pairs",
            "spent_epochs",
            "seconds",
            "score",
            "best",
            "improved",
        ),
    ]
    assert rows(frame) == [
        ["pbt", 0, "a0", 0, 100, 0.5, 2.5, 10.0, 10.0, True],
        ["pbt", 0, "b0", 0, 200, 1.0, 5.0, None, 10.0, False],
        ["pbt", 0, "a1", 0, 300, 1.5, 7.5, 12.0, 12.0, True],
        ["pbt", 0, "b1", 0, 400, 2.0, 10.0, 15.0, 15.0, True],
    ]


def test_best_so_far_is_missing_before_the_first_finite_score():
    records = [
        run_started(),
        search(),
        assigned("0", rate=0.1),
        evaluated("0", None, trained_pairs=100, spent_pairs=100),
    ]
    assert rows(series.best_so_far(records))[0][-3:] == [None, None, False]
    assert series.winners(records).empty


def test_each_worker_has_its_own_clock():
    records = [
        run_started(),
        search(),
        assigned("0", worker="w0", rate=0.1),
        assigned("1", worker="w1", rate=0.1),
        evaluated("0", 1.0, trained_pairs=100, spent_pairs=100, train=3.0),
        evaluated("1", 2.0, trained_pairs=100, spent_pairs=200, train=5.0),
    ]
    assert list(series.best_so_far(records)["seconds"]) == [3.0, 5.0]


def test_wall_clock_is_what_the_search_would_have_taken_alone_on_the_runs_workers():
    records = [
        run_started(),
        search(),
        assigned("0", worker="w0", rate=0.1),
        assigned("1", worker="w1", rate=0.1),
        evaluated("0", 1.0, trained_pairs=100, spent_pairs=100, train=3.0),
        evaluated("1", 2.0, trained_pairs=100, spent_pairs=200, train=5.0),
        evaluated("0", 3.0, trained_pairs=200, spent_pairs=300, train=7.0).model_copy(update={"worker": "w1"}),
    ]
    assert list(series.best_so_far(records)["seconds"]) == [3.0, 5.0, 10.0]


def test_the_winner_is_the_first_of_equals_wherever_it_was():
    records = [
        run_started(),
        search("random"),
        assigned("0", method="random", rate=0.1),
        evaluated("0", 5.0, trained_pairs=100, spent_pairs=100, method="random"),
        evaluated("0", 9.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="random"),
        evaluated("0", 8.0, trained_pairs=300, spent_pairs=300, interval_index=2, method="random"),
        assigned("1", method="random", rate=0.2),
        evaluated("1", 9.0, trained_pairs=100, spent_pairs=400, method="random"),
    ]
    frame = series.winners(records)
    assert list(frame.columns) == [
        "method",
        "seed",
        "trial",
        "interval_index",
        "trained_pairs",
        "spent_pairs",
        "trained_epochs",
        "score",
        "rate",
    ]
    assert rows(frame) == [["random", 0, "0", 1, 200, 200, 1.0, 9.0, 0.1]]


def test_time_is_itemised_and_adds_up():
    records = [
        *small_population(),
        Tested(
            **{
                "method": "pbt",
                "seed": 0,
                "trial": "b1",
                "interval_index": 0,
                "trained_pairs": 200,
                "dev": {},
                "test": {},
            },
            signatures={},
            outputs="t",
            seconds=1.5,
        ),
    ]
    frame = series.time_spent(records)
    assert list(frame.columns) == [
        *("method", "seed", "train", "evaluate", "load", "save", "decide", "idle", "test", "total")
    ]
    assert rows(frame) == [["pbt", 0, 8.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.5, 11.5]]


def test_tests_tells_dev_test_and_signatures_by_metric():
    record = Tested(
        **{"method": "pbt", "seed": 0, "trial": "b1", "interval_index": 0, "trained_pairs": 200},
        dev={"train_loss": 1.0, "val_bleu": 15.0, "val_loss": 2.0},
        test={"bleu": 14.0, "chrf": 40.0},
        signatures={"bleu": "sig"},
        outputs="translations/pbt-seed0.txt",
    )
    frame = series.tests([*small_population(), record])
    assert frame.to_dict("records") == [
        {
            **{"method": "pbt", "seed": 0, "trial": "b1", "interval_index": 0, "trained_pairs": 200},
            **{"outputs": "translations/pbt-seed0.txt", "dev_bleu": 15.0, "dev_loss": 2.0},
            **{"test_bleu": 14.0, "test_chrf": 40.0, "signature_bleu": "sig"},
        }
    ]


def test_tables_of_an_empty_journal_have_their_columns():
    for make in (series.searches, series.trials, series.evaluations, series.best_so_far, series.winners, series.tests):
        frame = make([run_started()])
        assert frame.empty
        assert "method" in frame.columns
    assert series.trials([run_started()])["member"].dtype == "Int64"


def test_a_trial_given_out_again_is_one_trial():
    records = [run_started(), search(), assigned("0", rate=0.1), assigned("0", worker="w1", rate=0.1)]
    assert rows(series.trials(records)[["trial", "worker"]]) == [["0", "w1"]]


@pytest.mark.parametrize(
    "records",
    [
        [run_started(), assigned("0", rate=0.1)],
        [run_started(), search(), evaluated("0", 1.0, trained_pairs=100, spent_pairs=100)],
        [run_started(), search("grid"), search_ended(5)],
    ],
)
def test_a_record_without_its_search_or_trial_is_an_error_that_says_so(records):
    with pytest.raises(JournalError, match="before"):
        series.trials(records)


def test_nan_is_worse_than_everything_and_no_better_than_itself():
    assert series.better(0.0, math.nan, "max")
    assert series.better(0.0, math.nan, "min")
    assert not series.better(math.nan, 0.0, "max")
    assert not series.better(math.nan, math.nan, "max")
    assert not series.better(1.0, 1.0, "max")
    assert series.better(1.0, 2.0, "min")


def test_no_hyperparameter_has_the_name_of_another_column():
    columns = {*series.trials([]).columns, *series.evaluations([]).columns, *series.winners([]).columns}
    assert not columns & set(SEARCHABLE)
