"""A report that is drawn while the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report import watch as module
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.watch import is_over, watch
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, evaluated, run_started, search, search_ended


@pytest.fixture
def run(tmp_path) -> tuple[Path, list[str]]:
    """A run of which only the first line is written, and the lines that are to come."""
    path = write_fake_run(tmp_path / "live", ("pbt", "random"), population=3, epochs=2.0, sentences=80)
    lines = (path / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (path / "journal.jsonl").write_text(lines[0], encoding="utf-8")
    return path, lines[1:]


def append(path: Path, lines: list[str]) -> None:
    with open(path / "journal.jsonl", "a", encoding="utf-8") as journal:
        journal.writelines(lines)


def test_the_report_is_drawn_whenever_the_run_has_come_further_until_it_is_over(run, monkeypatch, quick_figures):
    path, lines = run
    shown, slept = [], []

    def go_on(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) % 2:  # every second look finds nothing new
            append(path, lines[:23])
            del lines[:23]

    drawn = []
    write = module.write_report
    monkeypatch.setattr(
        module, "write_report", lambda run, refresh, tell: drawn.append(refresh) or write(run, None, refresh)
    )
    watch(path, shown.append, every=7.0, sleep=go_on)
    assert not lines
    assert drawn == [7] * (len(drawn) - 1) + [None]
    assert len(drawn) == len(shown) == (len(slept) + 1) // 2
    assert set(slept) == {7.0}
    assert 'http-equiv="refresh"' not in (path / "report" / "index.html").read_text(encoding="utf-8")


def test_the_page_of_a_run_under_way_loads_itself_again(run, quick_figures):
    path, lines = run
    append(path, lines[:7])

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(path, lambda page: None, every=12.0, sleep=stop)
    text = (path / "report" / "index.html").read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh" content="12">' in text
    assert "not yet tested" in text


def test_a_run_is_over_when_every_winner_was_tested(run, one_path, tmp_path):
    path, lines = run
    assert not is_over(load_run(path))
    append(path, lines[:-1])
    assert not is_over(load_run(path))
    append(path, lines[-1:])
    assert is_over(load_run(path))
    assert is_over(load_run(one_path))


@pytest.mark.parametrize("over", [True, False])
def test_replays_of_a_search_that_found_nothing_are_not_waited_for(over):
    records = [
        *(run_started(), search("pbt"), assigned("0", member=0, rate=0.1)),
        evaluated("0", None, 100, 100).model_copy(update={"failure": "nan"}),
        *([search_ended(400, "pbt", reason="nothing trains")] if over else []),
    ]
    settings = {"seed": 0, "search": {"methods": ["pbt", "replay", "final-values"], "seeds": 1}}
    assert is_over(Run(Path("run"), settings, {}, records)) == over
    scheduled = {"search": {**settings["search"], "replay": {"schedule": "schedule.yaml"}}}
    assert not is_over(Run(Path("run"), {**settings, **scheduled}, {}, records))


def test_what_is_no_run_is_not_watched(tmp_path):
    with pytest.raises(UsageError, match="not a run"):
        watch(tmp_path, lambda page: None, sleep=lambda seconds: None)
