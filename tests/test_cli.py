"""The command line: bad input gets one line, exit code 2, at once, and nothing is written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CPU_SECONDS = 1.0


def command(*arguments: str, cwd: Path, text: str = "") -> tuple[subprocess.CompletedProcess[str], float]:
    """Run nmt-pbt in a process of its own; return what it did and the seconds of CPU it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "nmt_pbt.cli", *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        timeout=250,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with parallel files, good and bad."""
    folder = tmp_path_factory.mktemp("cli")
    lines = [f"line number {number}" for number in range(40)]
    for name, damage in (("good", ""), ("unequal", "train.de"), ("empty", "val.de"), ("latin", "train.en")):
        (folder / name).mkdir()
        for split in ("train", "val", "test"):
            for language in ("en", "de"):
                (folder / name / f"{split}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        file = folder / name / damage
        if name == "unequal":
            file.write_text("\n".join(lines[:-3]) + "\n", encoding="utf-8")
        elif name == "empty":
            file.write_text("", encoding="utf-8")
        elif name == "latin":
            file.write_bytes(b"line\nna\xefve\n" + b"line\n" * 38)
    (folder / "half").mkdir()
    (folder / "half" / "train.en").write_text("a\n", encoding="utf-8")
    (folder / "taken").mkdir()
    (folder / "taken" / "journal.jsonl").write_text("", encoding="utf-8")
    (folder / "file").write_text("", encoding="utf-8")
    (folder / "bad.yaml").write_text("training:\n  dropot: 0.1\n", encoding="utf-8")
    (folder / "broken.yaml").write_text("seed: 1\ntraining: [\n", encoding="utf-8")
    return folder


REFUSALS = {
    "an unknown method, with the nearest": (["compare", "--methods", "pbt,randm"], ["randm", "did you mean 'random'"]),
    "a method listed twice": (["compare", "--methods", "pbt,pbt"], ["pbt", "twice"]),
    "an unknown corpus, with the nearest": (["compare", "--corpus", "tpy"], ["tpy", "did you mean 'toy'"]),
    "an unknown setting, with the nearest": (["compare", "--set", "training.dropot=0.1"], ["did you mean 'dropout'"]),
    "an unknown setting in a file": (["compare", "--config", "bad.yaml"], ["bad.yaml", "training.dropot"]),
    "a file that is not YAML": (["compare", "--config", "broken.yaml"], ["broken.yaml", "line"]),
    "a missing settings file": (["compare", "--config", "none.yaml"], ["none.yaml"]),
    "a value out of range": (["compare", "--set", "training.dropout=1.5"], ["training.dropout", "1.5"]),
    "a bootstrap of what is not BLEU": (
        ["compare", "--set", "search.pbt.exploit=bootstrap", "--set", "search.objective=val_loss"],
        ["search.pbt.exploit bootstrap", "val_loss"],
    ),
    "an engine that is none": (["compare", "--engine", "spark"], ["engine.name", "spark"]),
    "an assignment without value": (["compare", "--set", "seed"], ["key=value"]),
    "files of unequal length, with both counts": (["compare", "--corpus", "./unequal"], ["40", "37"]),
    "an empty file": (["compare", "--corpus", "./empty"], ["val.de", "empty"]),
    "text that is not UTF-8, with its line": (["compare", "--corpus", "./latin"], ["train.en", "2", "UTF-8"]),
    "missing files": (["compare", "--corpus", "./half"], ["train.de"]),
    "a folder that is not there": (["compare", "--corpus", "./nowhere"], ["nowhere"]),
    "a vocabulary larger than the text allows": (
        ["compare", "--corpus", "./good", "--set", "corpus.vocabulary_size=5000"],
        ["5,000", "27"],
    ),
    "more pairs than there are": (
        ["compare", "--corpus", "./good", "--set", "corpus.vocabulary_size=20", "--set", "corpus.train_pairs=500"],
        ["500", "40"],
    ),
    "a budget too small for one trial": (
        ["compare", "--methods", "random", "--set", "search.space.epochs={choices: [1000.0]}"],
        ["1000", "budget"],
    ),
    "an interval longer than the training": (["compare", "--set", "search.interval=99"], ["search.interval"]),
    "a results folder that holds a run": (["compare", "--out", "taken"], ["taken", "--resume"]),
    "a results folder that is a file": (["compare", "--out", "file"], ["file"]),
    "an interval of less than a pair": (["compare", "--set", "search.interval=1.0e-5"], ["search.interval", "2000"]),
    "a results folder inside a file": (["compare", "--out", "file/run"], ["file/run"]),
    "a run to resume that is none": (["compare", "--resume", "good"], ["good", "holds no run"]),
    "resuming with another corpus": (["compare", "--resume", "taken", "--corpus", "toy"], ["--resume"]),
    "an address without the engine for it": (
        ["compare", "--address", "127.0.0.1:1"],
        ["engine.address", "--engine ray"],
    ),
    "an address where nobody listens": (
        ["compare", "--engine", "ray", "--address", "127.0.0.1:1"],
        ["127.0.0.1:1", "cannot be reached"],
    ),
    "accepting changes of a new run": (["compare", "--accept-changes"], ["--accept-changes", "--resume"]),
    "translating with what is no run": (["translate", "good"], ["good", "holds no run"]),
    "evaluating what is no run": (["evaluate", "nowhere"], ["nowhere"]),
    "a report of what is no run": (["report", "good"], ["good"]),
    "a report of a file": (["report", "file"], ["file", "holds no run"]),
    "translating with a file": (["translate", "file"], ["file", "holds no run"]),
    "fetching an unknown corpus": (["data", "fetch", "multi30"], ["multi30"]),
    "showing an unknown corpus": (["data", "show", "toi"], ["did you mean 'toy'"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line_at_once_and_writes_nothing(folder: Path, case: str) -> None:
    arguments, told = REFUSALS[case]
    before = sorted(folder.rglob("*"))
    done, seconds = command(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for text in told:
        assert text in done.stderr
    assert seconds <= CPU_SECONDS
    assert sorted(folder.rglob("*")) == before


def test_help_answers_at_once(tmp_path: Path) -> None:
    for arguments in (["--help"], ["compare", "--help"], ["data", "list"], ["--version"]):
        done, seconds = command(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert seconds <= CPU_SECONDS


def test_every_command_of_the_manual_is_there(tmp_path: Path) -> None:
    done, _ = command("--help", cwd=tmp_path)
    for name in ("compare", "train", "translate", "evaluate", "report", "data"):
        assert name in done.stdout
