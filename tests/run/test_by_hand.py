"""Tuning by hand: guesses added one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.cli.manual import read_guess
from nmt_pbt.report.run import load_run
from nmt_pbt.report.series import searches
from nmt_pbt.run.driver import Driver, Winner
from nmt_pbt.run.jobs import Engine
from nmt_pbt.run.journal import Journal, read_journal
from nmt_pbt.run.manual import check_free_to_guess, check_free_to_test, is_under_way, told, tried
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, Guessed, SearchEnded, Tested, search_started
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.methods.manual import build_search_by_hand
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, ended, evaluated, run_started, search, search_ended, small_population
from tests.run.cheap import CheapTask, cheap_settings, finish, inline, opened
from tests.run.test_driver import Killed, KillingEngine, plain

TASK = CheapTask()
FIRST = {"learning_rate": 3e-3, "dropout": 0.1, "recurrent_dropout": 0.1, "batch_size": 32}
SECOND = {**FIRST, "dropout": 0.8, "label_smoothing": 0.2}


def guess(
    journal: Journal, engine: Engine, values: dict[str, Any] | None, settings: TranslationSettings, listed: bool = False
) -> Winner | None:
    plan, epoch = settings.search_plan(), TASK.pairs_per_epoch
    oracle = build_method("manual", plan, 0, epoch) if listed else build_search_by_hand(plan, 0, epoch)
    guessed = None
    if values is not None:
        guessed = Guessed(method="manual", seed=0, values=values, pairs=oracle.budget.pairs(settings.training.epochs))
    states = StateStore(journal.path.parent / "states")
    search = Driver(oracle, states, journal, search_started("manual", oracle, plan, 0))
    return finish(search, engine, guess=guessed)


def guesses(
    folder: Path, *values: dict[str, Any] | None, task: CheapTask = TASK, listed: bool = False
) -> list[AnyRecord]:
    more = ["search.manual.guesses=[{dropout: 0.3}]", "search.methods=[manual]"] if listed else []
    for one in values:
        with opened(folder) as journal:
            guess(journal, inline(folder, task), one, cheap_settings(*more), listed)
    return read_journal(folder / "journal.jsonl")


def test_a_guess_is_trained_for_the_runs_epochs_and_evaluated_as_often_as_all(tmp_path: Path) -> None:
    records = guesses(tmp_path, FIRST)
    assert [record.trained_pairs for record in records if isinstance(record, Evaluated)] == [200, 400, 600]
    assert [record.values for record in records if isinstance(record, Assigned)] == [FIRST]
    assert isinstance(records[-1], SearchEnded)


def test_guesses_follow_each_other_and_their_budgets_add_up(tmp_path: Path) -> None:
    records = guesses(tmp_path, FIRST, SECOND)
    assert [record.values for record in records if isinstance(record, Assigned)] == [FIRST, SECOND]
    row = searches(records).iloc[0]
    assert (row["budget_pairs"], row["spent_pairs"], bool(row["finished"])) == (1200, 1200, True)


def test_values_may_lie_outside_the_searched_range_and_name_what_was_not_searched(tmp_path: Path) -> None:
    (given,) = (record for record in guesses(tmp_path, SECOND) if isinstance(record, Assigned))
    assert (given.values["dropout"], given.values["label_smoothing"]) == (0.8, 0.2)


def test_guesses_come_after_those_of_the_settings(tmp_path: Path) -> None:
    records = guesses(tmp_path, None, FIRST, listed=True)
    assert [record.values["dropout"] for record in records if isinstance(record, Assigned)] == [0.3, 0.1]


def test_a_guess_that_fails_is_recorded_and_the_next_one_is_tried(tmp_path: Path) -> None:
    records = guesses(tmp_path, {**FIRST, "learning_rate": 0.5}, FIRST, task=CheapTask(explodes_above=0.1))
    assert next(record.failure for record in records if isinstance(record, Evaluated)) == "nan"
    assert [one.note for one in tried(records)] == ["", "failed: nan"]
    assert "rank 1 of 1" in told(records, "val_bleu")


@pytest.mark.parametrize("after", [False, True], ids=["in mid-training", "between state and journal"])
@pytest.mark.parametrize("job", [1, 2, 3])
def test_an_interrupted_guess_is_finished_to_the_journal_of_one_that_was_not(
    tmp_path: Path, job: int, after: bool
) -> None:
    whole = plain(guesses(tmp_path / "whole", FIRST, SECOND))
    folder = tmp_path / "killed"
    guesses(folder, FIRST)
    with opened(folder) as journal, pytest.raises(Killed):
        guess(journal, KillingEngine(inline(folder, TASK), job, after), SECOND, cheap_settings())
    assert is_under_way(read_journal(folder / "journal.jsonl"))
    records = guesses(folder, None)
    assert plain(records) == whole
    assert not is_under_way(records)


def test_a_search_under_way_by_hand_is_not_finished(tmp_path: Path) -> None:
    records = guesses(tmp_path, FIRST)
    more = [*records, Guessed(method="manual", seed=0, values=FIRST, pairs=600)]
    row = searches(more).iloc[0]
    assert (bool(row["finished"]), row["budget_pairs"], row["spent_pairs"]) == (False, 1200, 600)


def run_of_all() -> list[AnyRecord]:
    """A population whose winner has 15, and three trials of random search."""
    return [
        *small_population(),
        search("random"),
        *(assigned("0", method="random", rate=0.5), evaluated("0", 16.0, 200, 200, method="random")),
        *(assigned("1", method="random", rate=0.6), evaluated("1", None, 0, 400, method="random")),
        ended("1", "nan", method="random"),
        *(assigned("2", method="random", rate=0.7), evaluated("2", 9.0, 200, 600, method="random")),
        search_ended(600, "random"),
    ]


def test_what_was_tried_is_told_the_best_first_and_failures_last() -> None:
    found = tried(run_of_all())
    assert [(one.method, one.score) for one in found] == [
        *[("random", 16.0), ("pbt", 15.0), ("random", 9.0), ("random", None)]
    ]
    assert [one.note for one in found] == ["", "winner of its population", "", "failed: nan"]
    assert found[0].epochs == 1.0


def test_a_loss_is_the_better_the_lower() -> None:
    records = [run_started(), search("random", direction="min")]
    for number, loss in enumerate((2.0, 1.5, 3.0)):
        point = evaluated(str(number), loss, 200, 200, method="random", metric="val_loss")
        records += [assigned(str(number), method="random", rate=0.1), point]
    assert [one.score for one in tried(records)] == [1.5, 2.0, 3.0]


def test_a_guess_names_what_it_changes_and_the_rest_is_as_configured() -> None:
    settings = cheap_settings("training.batch_size=48")
    assert read_guess(["dropout=0.75", "clip_norm=2"], settings) == {
        **{"learning_rate": settings.training.learning_rate, "dropout": 0.75, "batch_size": 48},
        **{"recurrent_dropout": settings.training.recurrent_dropout, "clip_norm": 2},
    }


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["dropot=0.3"], "no hyperparameter 'dropot'; did you mean 'dropout'"),
        (["dropout"], "expected name=value"),
        (["dropout=1.5"], r"dropout: 1\.5 is out of place"),
        (["dropout=high"], "dropout: 'high' is out of place"),
        (["batch_size=32.5"], "batch_size"),
        (["dropout=0.1", "dropout=0.2"], "given twice"),
        (["epochs=3"], "no hyperparameter 'epochs'"),
        (["dropout=[0.1"], "not valid YAML"),
    ],
)
def test_a_guess_that_cannot_be_made_is_refused(texts: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_guess(texts, cheap_settings())


def test_epochs_can_be_guessed_where_they_are_searched() -> None:
    settings = cheap_settings("search.space.epochs={min: 1.0, max: 9.0}")
    assert read_guess(["epochs=12.0"], settings)["epochs"] == 12.0


def was_tested(trial: str) -> Tested:
    return Tested(
        **{
            "method": "manual",
            "seed": 0,
            "trial": trial,
            "interval_index": 0,
            "trained_pairs": 200,
            "dev": {},
            "test": {},
        },
        **{"signatures": {}, "outputs": "t"},
    )


def test_a_guess_waits_for_one_that_was_interrupted_and_for_those_of_the_settings() -> None:
    run = RunDirectory(Path("run"))
    begun = [run_started(), search("manual", budget=0), Guessed(method="manual", seed=0, values={}, pairs=200)]
    with pytest.raises(UsageError, match="nmt-pbt manual run --resume"):
        check_free_to_guess(run, begun, cheap_settings())
    listed = cheap_settings("search.methods=[pbt, manual]", "search.manual.guesses=[{}]")
    for records in ([run_started()], [run_started(), search("manual")]):
        with pytest.raises(UsageError, match="nmt-pbt compare --resume run"):
            check_free_to_guess(run, records, listed)
    check_free_to_guess(run, [run_started()], cheap_settings())
    check_free_to_guess(run, [run_started(), search("manual"), search_ended(200, "manual"), was_tested("0")], listed)


def test_the_best_guess_is_tested_once() -> None:
    run = RunDirectory(Path("run"))
    with pytest.raises(UsageError, match="no guess by hand has a score"):
        check_free_to_test(run, run_of_all())
    records = [run_started(), search("manual"), assigned("0", method="manual", rate=0.1)]
    records += [evaluated("0", 12.0, 200, 200, method="manual"), search_ended(200, "manual")]
    check_free_to_test(run, records)
    with pytest.raises(UsageError, match="trial 0, was tested already"):
        check_free_to_test(run, [*records, was_tested("0")])
    better = [assigned("1", method="manual", rate=0.2), evaluated("1", 13.0, 200, 400, method="manual")]
    check_free_to_test(run, [*records, was_tested("0"), *better, search_ended(400, "manual")])


def test_a_search_by_hand_that_was_killed_before_its_first_guess_is_no_search_of_the_report_yet(tmp_path: Path) -> None:
    run = write_fake_run(tmp_path / "run", ("random",), population=2, epochs=2.0, sentences=80)
    start = search("manual", budget=0)
    with open(run / "journal.jsonl", "a", encoding="utf-8") as file:
        file.write(start.model_dump_json() + "\n")
    assert set(load_run(run).searches["method"]) == {"random"}
    assert told([start], "val_bleu") == "No guess was tried yet."
