"""The command line: bad input gets one line, exit code 2, at once, and nothing is written."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.search.methods.registry import METHODS
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.report.journals import assigned, evaluated, run_started, search, search_ended
from tests.timing import least_seconds
from tests.translation.made_run import make_run, write_corpus

CPU_SECONDS = 1.0


def command(*arguments: str, cwd: Path, text: str = "") -> tuple[subprocess.CompletedProcess[str], float]:
    """Run nmt-pbt in a process of its own; return what it did and the seconds of CPU it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "nmt_pbt", *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=environment,
        timeout=250,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def quick_command(*arguments: str, cwd: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run nmt-pbt and see that it takes no more than `CPU_SECONDS`; it must not change what it is run again on."""
    runs: list[subprocess.CompletedProcess[str]] = []

    def measure() -> float:
        done, seconds = command(*arguments, cwd=cwd, text=text)
        runs.append(done)
        return seconds

    assert least_seconds(measure, CPU_SECONDS) <= CPU_SECONDS
    return runs[0]


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
    segments = "segments: [{epochs: 1, values: {dropout: 0.1}}, {epochs: 1, values: {dropout: %s}}]"
    (folder / "schedule.yaml").write_text(segments % 0.2, encoding="utf-8")
    (folder / "wild.yaml").write_text(segments % 1.5, encoding="utf-8")
    (folder / "misspelt.yaml").write_text(segments.replace("dropout", "dropot") % 0.2, encoding="utf-8")
    (folder / "finished").mkdir()
    (folder / "finished" / "settings.yaml").write_text(dump_settings(TranslationSettings()), encoding="utf-8")
    records = [
        *(run_started(), search("random"), assigned("a", method="random", dropout=0.1)),
        *(evaluated("a", 1.0, 200, 200, method="random"), search_ended(200, "random")),
    ]
    journal = "".join(record.model_dump_json() + "\n" for record in records)
    (folder / "finished" / "journal.jsonl").write_text(journal, encoding="utf-8")
    (folder / "broken.yaml").write_text("seed: 1\ntraining: [\n", encoding="utf-8")
    run = make_run(folder / "run", with_models=False)
    (run / "models").mkdir()
    for name in ("pbt-seed0", "random-seed0"):
        (run / "models" / f"{name}.safetensors").touch()
    write_corpus(folder / "other", run)
    file = folder / "other" / "train.de"
    file.write_text(file.read_text(encoding="utf-8").replace("ist", "war", 1), encoding="utf-8")
    shutil.copytree(run, folder / "changed")
    settings = folder / "changed" / "settings.yaml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("test_pairs: 12", "test_pairs: 13"), "utf-8")
    (folder / "taken.png").touch()
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
    "a batch that no memory holds": (["compare", "--set", f"training.batch_size={10**26}"], ["training.batch_size"]),
    "more threads than a machine bears": (["compare", "--set", "engine.threads=100000"], ["engine.threads", "1024"]),
    "a beam that cannot be decoded": (["compare", "--set", "evaluation.beam=1000000000"], ["evaluation.beam", "1000"]),
    "a model larger than the memory": (
        ["compare", "--set", "model.units=16384", "--set", "model.decoder_layers=32"],
        ["memory", "model.units"],
    ),
    "a beam of the command line that cannot be decoded": (["translate", "run", "--beam=1001"], ["--beam", "1000"]),
    "a bootstrap of what is not BLEU": (
        ["compare", "--set", "search.pbt.exploit=bootstrap", "--set", "search.objective=val_loss"],
        ["search.pbt.exploit bootstrap", "val_loss"],
    ),
    "a replay of nothing": (["compare", "--methods", "random,replay"], ["replay", "nothing to replay", "pbt"]),
    "a schedule of what is no hyperparameter": (
        ["compare", "--set", "search.replay.schedule=[{epochs: 1, values: {dropot: 0.1}}]"],
        ["segment 1", "dropot", "did you mean 'dropout'"],
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
    "an interval of less than a pair": (["compare", "--set", "search.interval=1.0e-5"], ["search.interval", "2,000"]),
    "a results folder inside a file": (["compare", "--out", "file/run"], ["file/run"]),
    "a run to resume that is none": (["compare", "--resume", "good"], ["good", "holds no run"]),
    "resuming with other settings than the run's": (
        ["compare", "--resume", "taken", "--config", "bad.yaml"],
        ["--resume", "--config"],
    ),
    "resuming with another corpus than the run's": (
        ["compare", "--resume", "run", "--seeds=2", "--corpus=./other"],
        ["./other", "not the corpus that the run was begun with", "--corpus"],
    ),
    "evaluating on the run's own corpus and on another text": (
        ["evaluate", "run", "--corpus=./other", "--src=good/test.en", "--ref=good/test.de"],
        ["--corpus", "--src"],
    ),
    "evaluating on a corpus that is not the run's": (
        ["evaluate", "run", "--corpus=./other"],
        ["corpus './other'", "not the one that the run was begun with", "--corpus"],
    ),
    "an address without the engine for it": (
        ["compare", "--address", "127.0.0.1:1"],
        ["engine.address", "--engine ray"],
    ),
    "an address where nobody listens": (
        ["compare", "--engine", "ray", "--address", "127.0.0.1:1"],
        ["127.0.0.1:1", "cannot be reached"],
    ),
    "accepting changes of a new run": (["compare", "--accept-changes"], ["--accept-changes", "--resume"]),
    "resuming a training with another schedule": (["train", "--resume", "taken", "--schedule", "x.yaml"], ["--resume"]),
    "a schedule of a folder without a run": (["train", "--schedule", "good"], ["good", "holds no run"]),
    "a schedule that is not there": (["train", "--schedule", "none.yaml"], ["none.yaml", "no such file"]),
    "a schedule that is settings": (["train", "--schedule", "bad.yaml"], ["bad.yaml", "training"]),
    "a schedule whose values are out of range": (
        ["train", "--schedule", "wild.yaml"],
        ["wild.yaml", "segment 2", "dropout", "1.5"],
    ),
    "a schedule with a misspelt hyperparameter": (
        ["train", "--schedule", "misspelt.yaml"],
        ["misspelt.yaml", "segment 1", "did you mean 'dropout'"],
    ),
    "choosing a method of a schedule in a file": (
        ["train", "--schedule", "schedule.yaml", "--method", "pbt"],
        ["--method", "schedule.yaml"],
    ),
    "choosing a method without a schedule": (["train", "--method", "pbt"], ["--method", "--schedule"]),
    "setting what the schedule decides": (
        ["train", "--schedule", "schedule.yaml", "--set", "training.dropout=0.1"],
        ["training.dropout", "schedule decides"],
    ),
    "a replay cut short": (
        ["train", "--schedule", "schedule.yaml", "--set", "training.epochs=1"],
        ["training.epochs 1", "2 epochs long"],
    ),
    "a replay of another method than was run": (
        ["train", "--schedule", "finished", "--method", "randm"],
        ["randm", "did you mean 'random'"],
    ),
    "a replay of a run without pbt": (["train", "--schedule", "finished"], ["pbt", "--method", "random"]),
    "a replay of a seed that was not searched": (
        ["train", "--schedule", "finished", "--method", "random", "--seed", "3"],
        ["seed 3"],
    ),
    "a replay on another corpus than the run's": (
        ["train", "--schedule", "finished", "--method", "random", "--corpus", "copy"],
        ["finished", "--corpus", "YAML"],
    ),
    "a replay with another model than the run's": (
        ["train", "--schedule", "finished", "--method", "random", "--set", "model.units=8"],
        ["model.units", "finished", "engine"],
    ),
    "a misspelt method, before the folder that is taken": (
        ["compare", "--methods=pbt,randon", "--out=run"],
        ["randon", "did you mean 'random'"],
    ),
    "a guess into a folder without a run": (["manual", "good", "--set", "dropout=0.3"], ["good", "holds no run"]),
    "a guess with a misspelt hyperparameter": (
        ["manual", "finished", "--set", "dropot=0.3"],
        ["dropot", "did you mean 'dropout'"],
    ),
    "a guess that no setting takes": (["manual", "finished", "--set", "dropout=1.5"], ["dropout", "1.5"]),
    "a guess without value": (["manual", "finished", "--set", "dropout"], ["name=value"]),
    "a guess and a test at once": (["manual", "finished", "--set", "dropout=0.3", "--test"], ["--set", "--test"]),
    "finishing a guess when none was begun": (["manual", "finished", "--resume"], ["finished", "--set"]),
    "testing a guess when there is none": (["manual", "finished", "--test"], ["finished", "no guess"]),
    "translating with a folder without a run": (["translate", "good"], ["good", "holds no run"]),
    "evaluating a folder without a run": (["evaluate", "nowhere"], ["nowhere"]),
    "an ensemble of more models than are kept, with those that are": (
        ["translate", "run", "--ensemble=9"],
        ["9 models", "pbt-seed0 (val_bleu 30.00)", "random-seed0 (val_bleu 20.00)"],
    ),
    "more translations than the beam holds": (["translate", "run", "--nbest=9"], ["--nbest 9", "--beam 9"]),
    "an n-best list of a line's sentences": (
        ["translate", "run", "--nbest=2", "--split-sentences"],
        ["--split-sentences", "--nbest"],
    ),
    "an n-best list of given translations": (["translate", "run", "--nbest=2", "--score=file"], ["--score", "--nbest"]),
    "given translations of another text": (["translate", "run", "--score=good/test.de"], ["good/test.de", "40", "0"]),
    "given translations that are not there": (["translate", "run", "--score=no.txt"], ["no.txt", "cannot be read"]),
    "attention in a format that is not drawn": (["translate", "run", "--attention=a.pdf"], [".png or .svg"]),
    "attention over a file that is there": (["translate", "run", "--attention=taken.png"], ["taken.png", "exists"]),
    "attention in a folder that is not there": (["translate", "run", "--attention=no/a.png"], ["no/a.png", "no such"]),
    "attention of nothing": (["translate", "run", "--attention=a.png"], ["no text"]),
    "evaluating half a text": (["evaluate", "run", "--src=good/test.en"], ["--src", "--ref"]),
    "evaluating two texts at once": (
        ["evaluate", "run", "--split=dev", "--src=good/test.en", "--ref=good/test.de"],
        ["--split", "--src"],
    ),
    "a test set and another split": (["evaluate", "run", "--split=dev", "--test=test"], ["--test test", "--split dev"]),
    "a test set of other text": (
        ["evaluate", "run", "--test=x", "--src=good/test.en", "--ref=good/test.de"],
        ["--test", "--src"],
    ),
    "a test set that is none": (["evaluate", "run", "--test=test2016"], ["--test test2016", "did you mean 'test'"]),
    "a split that is none": (["evaluate", "run", "--split=train"], ["--split", "'train'", "'dev', 'test'"]),
    "evaluating on another corpus than the run's": (["evaluate", "changed"], ["changed", "corpus 'toy'", "--src"]),
    "comparing with other translations than of this text": (
        ["evaluate", "run", "--against=good/test.de"],
        ["good/test.de", "40", "12"],
    ),
    "comparing with a folder without a run": (["evaluate", "run", "--against=good"], ["good", "holds no run"]),
    "comparing with what is not there": (["evaluate", "run", "--against=nowhere"], ["nowhere", "cannot be read"]),
    "exporting a folder without a run": (["export", "good", "model"], ["good", "holds no run"]),
    "exporting to a folder that is there": (["export", "run", "good"], ["good", "already exists"]),
    "exporting into a folder that is not there": (["export", "run", "no/model"], ["no/model", "cannot be made"]),
    "distilling a folder without a run": (["distill", "good", "--out", "new"], ["good", "holds no run"]),
    "distilling into a folder that is there": (["distill", "run", "--out", "good"], ["good", "already exists"]),
    "distilling into nothing": (["distill", "run"], ["--out", "nmt-pbt distill --help"]),
    "a report of a folder without a run": (["report", "good"], ["good"]),
    "a report of a file": (["report", "file"], ["file", "holds no run"]),
    "translating with a file": (["translate", "file"], ["file", "holds no run"]),
    "an unknown option, with the nearest": (["translate", "run", "--bea=3"], ["--bea", "--beam", "translate --help"]),
    "an unknown command, with the nearest": (["translat", "run"], ["'translat'", "'translate'", "nmt-pbt --help"]),
    "an unknown command of a group": (["data", "fetsh"], ["'fetsh'", "nmt-pbt data --help"]),
    "a missing argument": (["translate"], ["Missing argument", "nmt-pbt translate --help"]),
    "an argument too many": (["manual", "run", "again"], ["again", "nmt-pbt manual --help"]),
    "translating with a second run that is none": (["translate", "run", "good"], ["good", "holds no run"]),
    "an ensemble of a run and itself": (["translate", "run", "./run"], ["run", "named twice", "--ensemble"]),
    "a test set that is not there": (["evaluate", "run", "--test=test", "--test=tost"], ["tost", "no such test set"]),
    "an option without its value": (["translate", "run", "--beam"], ["--beam", "nmt-pbt translate --help"]),
    "an option at the end without its value": (["compare", "--methods"], ["--methods", "nmt-pbt compare --help"]),
    "a command that is none": (["frob"], ["'frob'", "nmt-pbt --help"]),
    "no pairs to show": (["data", "show", "toy", "--count", "0"], ["--count", "1", "nmt-pbt data show --help"]),
    "a word where a number belongs": (["compare", "--seeds=many"], ["--seeds", "integer"]),
    "a number out of range": (["translate", "run", "--beam=0"], ["--beam", "1"]),
    "a tracker that is none": (["compare", "--track=mlflo"], ["'mlflo'", "did you mean 'mlflow'"]),
    "a report to a tracker that is none": (["report", "run", "--track=x"], ["'x'", "mlflow and wandb"]),
    "fetching an unknown corpus": (["data", "fetch", "multi30"], ["multi30"]),
    "showing an unknown corpus": (["data", "show", "toi"], ["did you mean 'toy'"]),
}


@pytest.mark.alone
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line_at_once_and_writes_nothing(folder: Path, case: str) -> None:
    arguments, told = REFUSALS[case]
    before = sorted(folder.rglob("*"))
    done = quick_command(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for text in told:
        assert text in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_resuming_a_finished_run_says_that_nothing_was_left_and_clears_what_a_kill_at_the_end_left(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "done"
    shutil.copytree(folder / "run", run)
    (run / "states").mkdir()
    # Killed between the record of the last test and the removal of the states.
    StateStore(run / "states").save("random-seed0-trial0-interval0", MemberState({"weights/w": np.zeros(3)}, 150))
    (run / "states" / ".half.safetensors.1.tmp").touch()
    (run / "prepared").mkdir()
    (run / "prepared" / "corpus.json").touch()
    journal = (run / "journal.jsonl").read_bytes()
    shutil.rmtree(run / "translations")  # which nothing but a report's significance tests need
    (tmp_path / "mlflow.py").touch()  # it is found, and not imported
    done, _ = command("compare", "--resume", "done", "--track=mlflow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "done: nothing was left to do after 2 searches; its report:" in done.stderr
    assert "nothing was tracked; nmt-pbt report done --track mlflow sends a finished run" in done.stderr
    assert done.stdout.splitlines()[-1] == "done/report/index.html"
    assert (run / "report" / "index.html").is_file()
    assert not list((run / "states").iterdir())
    assert not (run / "prepared").exists()
    assert (run / "journal.jsonl").read_bytes() == journal


@pytest.mark.alone
def test_a_guess_into_a_run_that_another_process_writes_is_refused_at_once(folder: Path) -> None:
    shutil.copytree(folder / "finished", folder / "written")
    with open(folder / "written" / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = quick_command("manual", "written", "--set", "dropout=0.3", cwd=folder)
    assert done.returncode == 2
    assert "another process is writing this run" in done.stderr


@pytest.mark.alone
def test_what_was_tried_is_listed_at_once_and_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = quick_command("manual", "finished", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "random" in done.stdout
    assert "1.00" in done.stdout
    assert "*" in done.stdout
    assert sorted(folder.rglob("*")) == before


@pytest.mark.alone
def test_standard_input_that_is_not_utf_8_is_refused_before_tensorflow_is_imported(folder: Path) -> None:
    text = "one\ntwo\nna\udcefve\n"
    done = quick_command("translate", "run", cwd=folder, text=text)
    assert done.returncode == 2
    assert done.stderr == "nmt-pbt: standard input, line 3: not UTF-8; convert it first\n"


@pytest.mark.alone
def test_more_lines_than_a_figure_holds_are_refused(folder: Path) -> None:
    done = quick_command("translate", "run", "--attention=a.png", cwd=folder, text="a line\n" * 17)
    assert done.returncode == 2
    assert "more than 16 lines" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["data", "list"], ["data", "show", "toy", "--count=500"]], ids=" ".join)
def test_a_reader_that_has_gone_ends_a_command_without_a_word(tmp_path: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "nmt_pbt", *arguments],
        cwd=tmp_path,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=250,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == -signal.SIGPIPE


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell, in which $NMT is nmt-pbt."""
    program = f"{sys.executable} -m nmt_pbt"
    everything = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "NMT": program, **environment}
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, env=everything, timeout=250, check=False)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("$NMT translate run <&-", b"nmt-pbt: standard input is closed; give it text, for instance with < FILE\n"),
        ("echo a | $NMT translate run >&-", b"nmt-pbt: standard output is closed; say where the result is to go"),
        ("$NMT evaluate run >&-", b"nmt-pbt: standard output is closed; say where the result is to go"),
        ("echo a | $NMT translate nowhere 2>&- >out", b""),
    ],
)
def test_a_closed_stream_is_told_in_one_line(folder: Path, tmp_path: Path, line: str, told: bytes) -> None:
    (tmp_path / "run").symlink_to(folder / "run")
    done = shell(line, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == (1 if told else 0)
    assert done.stdout == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", ["data list", "data show toy", "--version", "report --help"])
def test_output_to_a_full_device_names_standard_output(tmp_path: Path, arguments: str) -> None:
    done = shell(f"$NMT {arguments} > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == b"nmt-pbt: standard output: No space left on device; mend that and try again\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_refusal_that_cannot_be_told_is_one_all_the_same(tmp_path: Path) -> None:
    done = shell("$NMT data show nowhere 2> /dev/full; echo $?", tmp_path)
    assert (done.stdout, done.stderr) == (b"2\n", b"")


def test_what_is_said_on_closed_streams_gets_into_no_file(tmp_path: Path) -> None:
    done = shell("$NMT data show toy <&- >&- 2>&-; echo $?; $NMT data list <&- | head -2", tmp_path)
    assert done.stdout.splitlines()[0] == b"0"
    assert done.stdout.splitlines()[1].startswith(b"toy")
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_as_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    assert "ä".encode() in shell("$NMT data show toy --count 200", tmp_path, PYTHONIOENCODING="ascii").stdout


def test_the_program_alone_says_what_it_can_do(tmp_path: Path) -> None:
    done, _ = command(cwd=tmp_path)
    assert "translate" in done.stdout + done.stderr
    assert done.returncode == 2


@pytest.mark.alone
def test_help_answers_at_once(tmp_path: Path) -> None:
    for arguments in (["--help"], ["compare", "--help"], ["data", "list"], ["--version"]):
        done = quick_command(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_help_names_every_method_and_no_type_of_an_option_that_takes_no_value(tmp_path: Path) -> None:
    told, _ = command("compare", "--help", cwd=tmp_path)
    assert all(f" {name}" in told.stdout for name in METHODS.names)
    for arguments in ([], ["compare"], ["report"], ["data"], ["data", "show"]):
        told, _ = command(*arguments, "--help", cwd=tmp_path)
        assert "--help" in told.stdout
        assert "bool" not in told.stdout


def test_every_command_of_the_manual_is_there(tmp_path: Path) -> None:
    done, _ = command("--help", cwd=tmp_path)
    for name in ("compare", "train", "manual", "translate", "evaluate", "export", "report", "data"):
        assert name in done.stdout
