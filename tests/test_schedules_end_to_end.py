"""Schedules for real, small: found by PBT, replayed by compare and by train, with TensorFlow and all."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from nmt_pbt.report import page as page_of_report
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, RunStarted, SearchEnded, Tested
from nmt_pbt.run.schedule import Schedule, found_schedule
from tests.commands_here import nmt_pbt_here
from tests.report.draw_only import draw_only
from tests.test_end_to_end import SMALL, UNDRAWN, nmt_pbt, plain, start

MORE = ["--set=search.interval=0.5", "--set=search.pbt.exploit=tournament"]
INLINE = "--set=engine.name=inline"
"""For commands in this process; those of the run that is killed work in processes of their own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of PBT and its replays in `run`."""
    folder = tmp_path_factory.mktemp("schedules")
    nmt_pbt_here("compare", "--methods=final-values,replay,pbt", *SMALL, *MORE, INLINE, "--out=run", cwd=folder)
    return folder


def journal(run: Path) -> list[AnyRecord]:
    return read_journal(run / "journal.jsonl")


def found(folder: Path) -> Schedule:
    schedule = found_schedule(journal(folder / "run"), "pbt", 0, "run")
    assert schedule is not None
    return schedule


def trained(records: list[AnyRecord], method: str) -> list[tuple[int, dict[str, object]]]:
    """Age and values at each evaluation of a method's first model."""
    values = {
        r.trial: dict(r.values) for r in records if isinstance(r, Assigned) and (r.method, r.member) == (method, 0)
    }
    return [
        (r.trained_pairs, values[r.trial])
        for r in records
        if isinstance(r, Evaluated) and r.method == method and r.trial in values
    ]


def recorded(schedule: Schedule) -> list[tuple[int, dict[str, object]]]:
    age, steps = 0, []
    for segment in schedule.segments:
        age += segment.pairs or 0
        steps.append((age, dict(segment.values)))
    return steps


def test_replays_come_after_pbt_and_spend_as_much(folder: Path) -> None:
    records = journal(folder / "run")
    tested = [record.method for record in records if isinstance(record, Tested)]
    assert tested[0] == "pbt"
    assert sorted(tested) == ["final-values", "pbt", "replay"]
    assert {record.spent_pairs for record in records if isinstance(record, SearchEnded)} == {3 * 2 * 200}
    page = (folder / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "trained from other initial weights" in page


def test_a_replay_reproduces_what_pbt_recorded(folder: Path) -> None:
    steps = recorded(found(folder))
    assert trained(journal(folder / "run"), "replay")[: len(steps)] == steps


@pytest.mark.slow
@pytest.mark.parametrize("method", ["replay", "final-values"])
def test_a_comparison_killed_in_a_replay_resumes_to_the_journal_of_one_that_was_not(folder: Path, method: str) -> None:
    name = f"killed_{method}"
    process = start("compare", "--methods=final-values,replay,pbt", *SMALL, UNDRAWN, *MORE, f"--out={name}", cwd=folder)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        path = folder / name / "journal.jsonl"
        records = read_journal(path) if path.exists() else []
        if sum(isinstance(r, Evaluated) and r.method == method for r in records) >= 2:
            break
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=60)
    nmt_pbt("compare", "--resume", name, cwd=folder)
    assert plain(folder / name) == [r for r in plain(folder / "run") if r.get("method") != "manual"]


def test_train_replays_a_runs_schedule_once_on_the_same_corpus(folder: Path) -> None:
    nmt_pbt_here("train", "--schedule=run", UNDRAWN, "--out=again", cwd=folder)
    assert not (folder / "again" / "report").exists()
    records = journal(folder / "again")
    assert trained(records, "replay") == recorded(found(folder))
    assert {record.member for record in records if isinstance(record, Assigned)} == {0}
    corpora = [r.data for run in ("run", "again") for r in journal(folder / run) if isinstance(r, RunStarted)]
    assert corpora[0] == corpora[1]
    lines = nmt_pbt_here("translate", "again", cwd=folder, text="The cat sleeps.\n")
    assert len(lines.splitlines()) == 1


def test_train_replays_a_schedule_of_a_file_on_another_corpus_in_epochs(folder: Path) -> None:
    schedule = "run/report/schedule_pbt_seed0.yaml"
    small = [option for option in SMALL if "epochs" not in option and "train_pairs" not in option]
    fewer = "--set=corpus.train_pairs=100"
    nmt_pbt_here("train", f"--schedule={schedule}", *small, UNDRAWN, INLINE, fewer, "--out=file", cwd=folder)
    assert trained(journal(folder / "file"), "replay")[-1][0] == recorded(found(folder))[-1][0] // 2


def test_guesses_by_hand_are_added_to_the_run_and_tested_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_report, "render", draw_only)  # the words of the page are looked at, until the last
    said = nmt_pbt_here("manual", "run", "--set=dropout=0.65", "--set=clip_norm=2.0", cwd=folder)
    assert re.search(r"Guess 0+: val_bleu \d+\.\d\d, rank \d of 4", said)
    assert nmt_pbt_here("manual", "run", "--set=learning_rate=0.02", cwd=folder).count("manual") >= 2
    records = [record for record in journal(folder / "run") if not isinstance(record, RunStarted)]
    mine = [record for record in records if record.method == "manual"]
    assert next(r.values["dropout"] for r in mine if isinstance(r, Assigned)) == 0.65
    assert [r.spent_pairs for r in mine if isinstance(r, SearchEnded)] == [400, 800]
    assert not any(isinstance(record, Tested) for record in mine)
    page = (folder / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "but for Manual, whose guesses took 4 epochs" in page
    nmt_pbt_here("manual", "run", "--test", cwd=folder)
    (tested,) = (r for r in journal(folder / "run") if isinstance(r, Tested) and r.method == "manual")
    scores = {r.trial: r.metrics["val_bleu"] for r in mine if isinstance(r, Evaluated)}
    best = max(r.metrics["val_bleu"] or 0.0 for r in mine if isinstance(r, Evaluated))
    assert tested.dev["val_bleu"] == best
    assert tested.trial in scores
    nmt_pbt_here("translate", "run", "--method=manual", cwd=folder, text="The cat sleeps.\n")
    nmt_pbt_here("compare", "--resume", "run", cwd=folder)
    monkeypatch.undo()
    nmt_pbt_here("manual", "run", "--set=dropout=0.0", cwd=folder)
    page = (folder / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "1 guess of Manual came after its winner had been tested" in page
