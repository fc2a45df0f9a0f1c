"""Rules that end a whole search early: the same end for any workers, after any kill, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.cli import running
from nmt_pbt.report.run import load_run
from nmt_pbt.run.compare import compare
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.manual import check_free_to_guess
from nmt_pbt.run.records import Evaluated, SearchEnded, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.run.cheap import CheapTask, cheap_settings, driver, finish, inline, opened
from tests.run.test_driver import Killed, KillingEngine

CHEAP = CheapTask()
METHODS = ("pbt", "random", "bayes", "hyperband", "replay")
PATIENCE = ("training.epochs=12", "search.stop.patience_intervals=3")


def run(folder: Path, method: str, *assignments: str, workers: int = 1, kill: int | None = None) -> list[Any]:
    settings, engine = cheap_settings(*assignments), inline(folder, CHEAP, workers)
    with opened(folder) as journal:
        one = driver(method, settings, CHEAP, journal)
        finish(one, engine if kill is None else KillingEngine(engine, kill, after=True), StateStore(folder / "states"))
    return read_journal(folder / "journal.jsonl")


def plain(records: list[Any]) -> list[dict[str, Any]]:
    return [without_times(record) for record in records]


def scores(records: list[Any]) -> list[float]:
    return [record.metrics["val_bleu"] for record in records if isinstance(record, Evaluated)]


@pytest.mark.parametrize("method", METHODS)
def test_a_search_ends_at_the_first_interval_that_reaches_the_target(tmp_path: Path, method: str) -> None:
    whole = scores(run(tmp_path / "whole", method))
    target = sorted(whole)[len(whole) // 2]
    stopped = run(tmp_path / "stopped", method, f"search.stop.target={target}")
    ends = next(place for place, score in enumerate(whole) if score >= target)
    assert scores(stopped) == whole[: ends + 1]
    assert (stopped[-1].rule, stopped[-1].spent_pairs) == ("target", 200 * (ends + 1))
    assert stopped[-1].reason == f"val_bleu reached the target {target:g}"


def test_a_lower_objective_reaches_its_target_from_above(tmp_path: Path) -> None:
    records = run(tmp_path, "random", "search.objective=val_loss", "search.stop.target=1")
    losses = [record.metrics["val_loss"] for record in records if isinstance(record, Evaluated)]
    assert records[-1].rule == "target"
    assert losses[-1] <= 1 < min(losses[:-1])


@pytest.mark.parametrize("method", METHODS)
def test_a_search_ends_after_so_many_intervals_without_a_better_objective(tmp_path: Path, method: str) -> None:
    whole = scores(run(tmp_path / "whole", method, "training.epochs=12"))
    stopped = run(tmp_path / "stopped", method, *PATIENCE)
    ends = next(n for n in range(4, len(whole) + 1) if max(whole[: n - 3]) >= max(whole[n - 3 : n]))
    assert scores(stopped) == whole[:ends]
    assert (stopped[-1].rule, stopped[-1].reason) == ("patience_intervals", "no better val_bleu in 3 intervals")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("workers", [2, 3])
def test_a_stopped_search_is_the_same_for_any_workers_and_after_kills(
    tmp_path: Path, method: str, workers: int
) -> None:
    whole = plain(run(tmp_path / "whole", method, *PATIENCE))
    jobs = sum(record["event"] == "evaluated" for record in whole)
    for kill in (1, 2, jobs // 2, jobs // 2, 2):
        try:
            run(tmp_path / "killed", method, *PATIENCE, workers=workers, kill=kill)
        except Killed:
            continue
    assert plain(run(tmp_path / "killed", method, *PATIENCE, workers=workers)) == whole


def test_a_search_killed_before_its_end_was_written_stops_where_it_would_have(tmp_path: Path) -> None:
    whole = plain(run(tmp_path, "random", *PATIENCE))
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]), encoding="utf-8")
    assert plain(run(tmp_path, "random", *PATIENCE)) == whole


def test_a_stopped_search_stays_stopped_and_says_by_which_rule(tmp_path: Path) -> None:
    before = run(tmp_path, "random", *PATIENCE)
    assert run(tmp_path, "random", *PATIENCE) == before
    with pytest.raises(JournalError, match=r"search\.stop\.patience_intervals ended it, and on replay no rule does"):
        run(tmp_path, "random", "training.epochs=12")


def test_the_wall_clock_of_a_search_is_that_of_its_own_jobs(tmp_path: Path) -> None:
    task, settings = CheapTask(seconds=0.02), cheap_settings("training.epochs=12", "search.stop.seconds=0.1")
    with opened(tmp_path) as journal:
        finish(driver("random", settings, task, journal), inline(tmp_path, task), StateStore(tmp_path / "states"))
    records = read_journal(tmp_path / "journal.jsonl")
    jobs = [
        sum(record.seconds.model_dump(exclude={"idle"}).values()) for record in records if isinstance(record, Evaluated)
    ]
    assert records[-1].rule == "seconds"
    assert records[-1].reason == "it had taken 0.1 seconds"
    assert sum(jobs[:-1]) < 0.1 <= sum(jobs)
    with opened(tmp_path) as journal:  # another number of workers, and the same end
        finish(driver("random", settings, task, journal), inline(tmp_path, task, 3), StateStore(tmp_path / "states"))
    assert read_journal(tmp_path / "journal.jsonl") == records


def test_each_search_of_a_comparison_stops_by_itself_and_no_state_is_left(tmp_path: Path) -> None:
    settings = _two_methods(target=60)
    run_directory = RunDirectory(tmp_path / "run")
    compare(run_directory, settings, CHEAP)
    records = run_directory.records()
    ended = [record for record in records if isinstance(record, SearchEnded)]
    assert len(ended) == sum(isinstance(record, Tested) for record in records) == 4
    assert "target" in {record.rule for record in ended}
    assert StateStore(run_directory.states).names() == set()
    found = load_run(run_directory.path).searches
    assert set(found["reason"]) <= {"budget spent", "val_bleu reached the target 60"}
    with pytest.raises(UsageError, match=r"search\.stop\.target was 60\.0 and is 70\.0"):
        compare(run_directory, _two_methods(target=70), CHEAP)


def _two_methods(target: float) -> TranslationSettings:
    return cheap_settings(
        *("search.methods=[pbt, random]", "search.seeds=2", "engine.name=processes", "engine.workers=2"),
        *("training.epochs=12", f"search.stop.target={target}"),
    )


def test_guesses_that_a_rule_ended_are_not_gone_on_with(tmp_path: Path) -> None:
    guesses = "search.manual.guesses=[{dropout: 0.1}, {dropout: 0.2}]"
    settings = cheap_settings("search.methods=[manual]", guesses, "search.stop.target=0", "engine.name=inline")
    run_directory = RunDirectory(tmp_path / "run")
    compare(run_directory, settings, CHEAP)
    with pytest.raises(UsageError, match=r"search\.stop\.target ended its guesses"):
        check_free_to_guess(run_directory, run_directory.records(), settings)


def test_whoever_goes_on_with_a_run_is_told_which_rule_ended_it_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = cheap_settings("search.methods=[random]", "search.stop.target=0", "engine.name=inline")
    compare(RunDirectory(tmp_path / "run"), settings, CHEAP)
    monkeypatch.setattr(running, "_report", lambda run, settings: None)
    running.resume_run(tmp_path / "run", False, [], {})
    assert (
        "search.stop.target ended 1 search for good (random, seed 0: val_bleu reached the target 0); to search on, "
        "begin a new run with search.stop.target=null and another --out\n"
    ) in capsys.readouterr().err
