"""`nmt-pbt report`: what its options write, and what it refuses before anything is drawn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_pbt.report.page import write_report
from tests.report.fake_run import write_fake_run
from tests.timing import cpu_seconds, least_seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    for name in ("one", "two"):
        write_fake_run(folder / name, ("pbt", "random"), population=2, epochs=2.0, sentences=80)
    return folder


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nmt_pbt", "report", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def report(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd)
    output, errors = process.communicate(timeout=250)
    return process.returncode, output, errors


def test_everything_is_written_where_it_is_asked_for(folder):
    pytest.importorskip("pyarrow")
    code, output, errors = report("one", "two", "--tensorboard", "events", "--parquet", "tables", cwd=folder)
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1] == "report-one-two/index.html"
    assert (folder / "report-one-two" / "comparisons_bleu.tex").exists()
    assert (folder / "tables" / "trials.parquet").exists()
    assert list((folder / "events").rglob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one", "two", "--watch"], "--watch draws the report of one run"),
        (["one", "nowhere"], "nowhere: holds no run"),
        (["one", "one"], "named twice"),
        (["one", "--out", "two"], "two: holds files but no report"),
    ],
)
def test_wrong_use_is_refused_in_one_line(folder, arguments, words):
    before = sorted(path for path in folder.rglob("*") if "report" not in path.as_posix())
    code, output, errors = report(*arguments, cwd=folder)
    assert (code, output) == (2, "")
    assert errors.startswith("nmt-pbt: ")
    assert words in errors
    assert errors.count("\n") == 1
    assert sorted(path for path in folder.rglob("*") if "report" not in path.as_posix()) == before


def test_watching_ends_quietly_with_ctrl_c_and_by_itself_when_the_run_is_over(folder):
    assert report("one", "--watch", cwd=folder) == (0, "one/report/index.html\n", "")
    lines = (folder / "two" / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "two" / "journal.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    process = start("two", "--watch", cwd=folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "two/report/index.html\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.alone
@pytest.mark.slow
def test_a_study_of_21_searches_is_drawn_within_15_seconds_of_cpu(tmp_path):
    methods = ("pbt", "random", "grid", "bayes", "hyperband", "exploit-only", "explore-only")
    path = write_fake_run(tmp_path / "study", methods, seeds=3, population=8, epochs=12.0, sentences=1000)
    write_report(tmp_path / "study")  # the font cache of this machine
    assert least_seconds(lambda: cpu_seconds(lambda: write_report(path)), 15) <= 15
