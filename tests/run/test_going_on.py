"""Searches that are over go on with more epochs: populations alone, as if they had been begun with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.run import load_run
from nmt_pbt.run.compare import compare
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.preflight import is_finished
from nmt_pbt.run.records import Evaluated, Extended, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.methods.registry import check_methods
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.run.cheap import CheapTask, cheap_settings, driver, finish, inline, opened
from tests.run.test_driver import Killed, KillingEngine

CHEAP = CheapTask()
POPULATIONS = ("pbt", "exploit-only", "explore-only", "pbt-backtrack", "pb2")


def run(folder: Path, method: str, *assignments: str, kill: int | None = None) -> list[Any]:
    settings, engine = cheap_settings(*assignments), inline(folder, CHEAP)
    with opened(folder) as journal:
        one = driver(method, settings, CHEAP, journal)
        finish(one, engine if kill is None else KillingEngine(engine, kill, after=True), StateStore(folder / "states"))
    return read_journal(folder / "journal.jsonl")


def decisions(records: list[Any]) -> list[dict[str, Any]]:
    return [without_times(record) for record in records if record.event in ("assigned", "evaluated", "ended")]


@pytest.mark.parametrize("method", POPULATIONS)
@pytest.mark.parametrize("synchronous", ["true", "false"])
def test_a_population_goes_on_as_if_it_had_been_begun_with_more_epochs(
    tmp_path: Path, method: str, synchronous: str
) -> None:
    how = f"search.pbt.synchronous={synchronous}"
    whole = run(tmp_path / "whole", method, how, "training.epochs=5")
    before = run(tmp_path / "on", method, how)
    with pytest.raises(Killed):
        run(tmp_path / "on", method, how, "search.more_epochs=2", kill=3)
    after = run(tmp_path / "on", method, how, "search.more_epochs=2")
    assert after[: len(before)] == before
    assert decisions(after) == decisions(whole)
    assert [record.pairs for record in after if isinstance(record, Extended)] == [4 * 2 * 200]
    assert after[-1].spent_pairs == whole[-1].spent_pairs
    assert run(tmp_path / "on", method, how, "search.more_epochs=2") == after
    with pytest.raises(UsageError, match="went on for more epochs before"):
        run(tmp_path / "on", method, how)


@pytest.mark.parametrize("method", ["mf-pbt", "fire-pbt", "pbt-bootstrap", "ipbt"])
def test_so_do_sub_populations_evaluators_and_exploits_by_evidence(tmp_path: Path, method: str) -> None:
    whole = run(tmp_path / "whole", method, "search.population=12", "training.epochs=7")
    run(tmp_path / "on", method, "search.population=12", "training.epochs=4")
    after = run(tmp_path / "on", method, "search.population=12", "training.epochs=4", "search.more_epochs=3")
    assert decisions(after) == decisions(whole)


def test_a_search_that_a_rule_stopped_does_not_go_on(tmp_path: Path) -> None:
    before = run(tmp_path, "pbt", "search.stop.target=1")
    assert before[-1].rule == "target"
    assert run(tmp_path, "pbt", "search.stop.target=1", "search.more_epochs=2") == before


@pytest.mark.parametrize("method", ["random", "grid", "bayes", "hyperband", "replay"])
def test_what_is_no_population_does_not_go_on_with_more_epochs(method: str) -> None:
    settings = cheap_settings(f"search.methods=[pbt, {method}]", "search.more_epochs=2")
    with pytest.raises(UsageError, match=rf"{method} cannot go on with more epochs, .* training.epochs 5"):
        check_methods(settings.search_plan())


@pytest.mark.parametrize(("epochs", "more", "cut"), [(3, 3, "3 epochs"), (4, 3, "7 epochs")])
def test_a_population_whose_last_interval_is_cut_short_does_not_go_on(epochs: int, more: int, cut: str) -> None:
    lengths = (f"training.epochs={epochs}", "search.interval=2", f"search.more_epochs={more}")
    settings = cheap_settings("search.methods=[pbt]", *lengths)
    with pytest.raises(UsageError, match=f"{cut} of a member are no whole intervals"):
        check_methods(settings.search_plan())


def both(*assignments: str, methods: str = "[pbt, exploit-only]") -> TranslationSettings:
    return cheap_settings(f"search.methods={methods}", "engine.name=inline", *assignments)


@pytest.mark.parametrize("kept", [1, 4])
def test_a_comparison_goes_on_from_the_models_it_kept_and_trains_the_others_again(tmp_path: Path, kept: int) -> None:
    keep = f"evaluation.kept_models={kept}"
    compare(RunDirectory(tmp_path / "whole"), both("training.epochs=5"), CHEAP)
    directory = RunDirectory(tmp_path / "on")
    compare(directory, both(keep), CHEAP)
    more = both(keep, "search.more_epochs=2")
    assert is_finished(directory.records(), both(keep))
    assert not is_finished(directory.records(), more)
    with pytest.raises(UsageError, match="exploit-only, seed 0 of this run would not go on"):
        compare(directory, both(keep, "search.more_epochs=2", methods="[pbt]"), CHEAP)
    compare(directory, more, CHEAP)
    assert is_finished(directory.records(), more)
    for method in ("pbt", "exploit-only"):
        records = [
            [record for record in read_journal(folder / "journal.jsonl")[1:] if record.method == method]
            for folder in (tmp_path / "whole", tmp_path / "on")
        ]
        assert decisions(records[0]) == decisions(records[1])
        won = [[record for record in one if isinstance(record, Tested)][-1] for one in records]
        assert without_times(won[0]) == without_times(won[1])
    found = load_run(directory.path)
    assert list(found.searches["budget_pairs"]) == [4 * 5 * 200] * 2
    assert list(found.searches["finished"]) == [True, True]
    assert len(StateStore(directory.models).names()) <= 2 * kept
    assert StateStore(directory.states).names() == set()


def test_what_was_kept_is_not_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = RunDirectory(tmp_path / "on")
    keep = "evaluation.kept_models=4"
    compare(directory, both(keep, methods="[exploit-only]"), CHEAP)
    kept = StateStore(directory.models).names()
    compare(directory, both(keep, "search.more_epochs=2", methods="[exploit-only]"), CHEAP)
    assert sum(isinstance(record, Evaluated) for record in directory.records()) == 4 * 5
    again = [message for message in caplog.messages if "training it again" in message]
    assert len(again) <= 4 - len(kept) + 1
