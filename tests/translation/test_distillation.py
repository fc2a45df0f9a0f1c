"""A corpus whose targets a run's models wrote: whole, the same every time, and never over anything else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.files import held
from nmt_pbt.cli.models import models_of
from nmt_pbt.tasks.translation import distillation as module
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, read_folder
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.translator import Translator
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.teachers import Teacher
from tests.translation.made_run import make_run
from tests.translation.test_commands import command

__all__ = ["command"]

PARTS = 32
PROGRAM = """
import os, signal, sys
from nmt_pbt.cli.main import app
from nmt_pbt.cli.usage import run_app
from nmt_pbt.tasks.translation import distillation as module

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell without job control starts programs deaf to it
module._PART_SENTENCES = 32
keep, left = module.Distillation.keep, [int(sys.argv[1])]

def dying(self, part, translations):
    keep(self, part, translations)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), int(sys.argv[2]))

module.Distillation.keep = dying
sys.exit(run_app(app, sys.argv[3:]))
"""


def distill(*arguments: object, parts: int = 10**6, signal_: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that gets a signal when it has kept so many parts."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(parts), str(int(signal_)), "distill", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != module.RECORD}


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in the other direction."""
    languages = {"corpus.source_language": "de", "corpus.target_language": "en"}
    return make_run(tmp_path_factory.mktemp("back") / "run", **languages)


@pytest.fixture(scope="module")
def whole(run: Path, back: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distilled corpus with all there can be."""
    out = tmp_path_factory.mktemp("whole") / "corpus"
    done = distill(run, "--out", out, "--reverse", back, "--workers=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert sorted(out.parent.iterdir()) == [out]
    assert "WARNING" not in done.stderr
    return out


@pytest.fixture(scope="module")
def own(run: Path) -> Corpus:
    settings = load_settings(run / "settings.yaml")
    return load_corpus(settings.corpus, settings.seed)


def test_it_holds_the_own_pairs_then_what_was_translated_forward_and_back(whole, own, run, back):
    found = read_folder(whole, "en", "de")
    assert (found.dev, found.test, found.dropped, found.notes) == (own.dev, own.test, {}, ())
    pairs = list(zip(found.train.source, found.train.target, strict=True))
    count = len(own.train)
    assert pairs[:count] == list(zip(own.train.source, own.train.target, strict=True))
    forward = Translator(models_of([run])).translate(own.train.source)
    backward = Translator(models_of([back])).translate(own.train.target)
    translated = [pair for pair in zip(own.train.source, forward, strict=True) if pair[1]]
    assert pairs[count : count + len(translated)] == translated
    assert pairs[count + len(translated) :] == [
        pair for pair in zip(backward, own.train.target, strict=True) if pair[0]
    ]
    record = json.loads((whole / module.RECORD).read_text(encoding="utf-8"))
    assert record["pairs"]["original"] == count
    assert sum(record["pairs"][kind] for kind in ("original", "forward", "reverse")) == len(pairs)
    assert record["pairs"]["empty"] == 3 * count - len(pairs)
    assert record["forward"]["beam"] == 3
    assert record["forward"]["models"][0]["name"] == "pbt-seed0"
    assert record["reverse"]["models"][0]["run"] == str(back)
    assert record["environment"]["packages"]["tensorflow"]


def test_killed_it_goes_on_to_the_same_corpus_on_any_number_of_workers(whole, run, back, tmp_path):
    out, work = tmp_path / "corpus", tmp_path / "corpus.unfinished"
    arguments = (run, "--out", out, "--reverse", back, "--workers=1")
    killed = distill(*arguments, parts=3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists()
    there = {file.name: file.stat().st_mtime_ns for file in work.glob(module._PARTS)}
    assert len(there) == 3
    (work / ".forward-000003.txt.1.tmp").touch()  # of a part that was being written
    interrupted = distill(*arguments, parts=4, signal_=signal.SIGINT)
    assert interrupted.returncode == 130
    assert "Interrupted. Continue with: nmt-pbt " in interrupted.stderr
    assert {file.name: file.stat().st_mtime_ns for file in work.glob(module._PARTS) if file.name in there} == there
    done = distill(*arguments)
    assert done.returncode == 0, done.stderr
    assert "translated 214/300 sentences" in done.stderr  # 4 parts of 32, one of 22 and two of the reverse
    assert content(out) == content(whole)
    assert sorted(tmp_path.iterdir()) == [out]


def test_a_kill_while_the_corpus_is_put_together_costs_nothing(whole, run, tmp_path, command, monkeypatch):
    out = tmp_path / "corpus"
    monkeypatch.setattr(module, "_PART_SENTENCES", PARTS)
    translated = (whole / "train.de").read_text(encoding="utf-8").splitlines()[:150]

    def given(work, workers):
        for teacher in work.teachers:
            for part in work.parts(teacher):
                work.keep(part, [f"Zeile {place}" for place, _ in enumerate(part.lines)])

    class Killed(BaseException):
        pass

    def dying(file, record):
        raise Killed

    monkeypatch.setattr("nmt_pbt.cli.distill._translate", given)
    arguments = ("distill", str(run), "--out", str(out), "--without-original")
    with monkeypatch.context() as patch:
        write = module._write_record
        patch.setattr(module, "_write_record", lambda file, its: (dying if "pairs" in its else write)(file, its))
        with pytest.raises(Killed):
            command(*arguments)
    assert not out.exists()
    assert command(*arguments) == [str(out)]
    assert len(translated) == len((out / "train.de").read_text(encoding="utf-8").splitlines())
    (tmp_path / "corpus.unfinished").mkdir()  # killed before its folder was gone
    record = json.loads((out / module.RECORD).read_text(encoding="utf-8"))
    del record["pairs"]
    (tmp_path / "corpus.unfinished" / module.RECORD).write_text(json.dumps(record), encoding="utf-8")
    before = content(out)
    assert command(*arguments) == [str(out)]
    assert content(out) == before
    assert sorted(tmp_path.iterdir()) == [out]


def test_what_is_not_its_own_is_never_written_over(run, back, tmp_path, command, monkeypatch):
    def stop(work, workers):
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt_pbt.cli.distill._translate", stop)

    def refused(name: str, *options: str) -> str:
        (line,) = command("distill", str(run), "--out", str(tmp_path / name), *options, code=2)
        return line

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.de").touch()
    assert "mine: already exists; name a folder that does not" in refused("mine")
    assert "cannot be made in" in refused("no/such")
    (tmp_path / "notes.unfinished").mkdir()
    (tmp_path / "notes.unfinished" / "notes").touch()
    assert "notes.unfinished: holds no distillation; move it away" in refused("notes")
    (tmp_path / "link.unfinished").symlink_to(tmp_path / "mine")
    assert "link.unfinished: holds no distillation" in refused("link")
    assert f"--reverse {run}: translates en to de; expected de to en" in refused("new", f"--reverse={run}")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["train.de"]
    assert not (tmp_path / "new").exists()
    command("distill", str(run), "--out", str(tmp_path / "new"), code=130)
    begun = tmp_path / "new.unfinished"
    for options, told in (
        (["--beam=2"], "forward beam was 3 and is 2"),
        (["--no-repeat-ngram=3"], "forward no_repeat_ngram_size was 0 and is 3"),
        (["--method=random"], "its forward models are others"),
        (["--ensemble=2"], "its forward models are others"),
        (["--without-original"], "with_original was True and is False"),
        ([f"--reverse={back}"], "it has no reverse model"),
    ):
        assert f"new.unfinished: was begun otherwise ({told}); delete {begun} to begin anew" in refused("new", *options)
    record = json.loads((begun / module.RECORD).read_text(encoding="utf-8"))
    record["environment"]["packages"]["tensorflow"] = "2.0"
    (begun / module.RECORD).write_text(json.dumps(record), encoding="utf-8")
    assert "was begun otherwise (tensorflow was '2.0' and is " in refused("new")
    with held(begun / "lock", "somebody else"):
        assert "new.unfinished: another process is at work here" in refused("new")


def test_a_finished_corpus_is_no_work_folder_of_another(whole, run, back, tmp_path, command):
    arguments = ("distill", str(run), "--reverse", str(back), "--out", str(tmp_path / "corpus"))
    finished = tmp_path / "corpus.unfinished"
    shutil.copytree(whole, finished)
    (line,) = command(*arguments, code=2)
    assert f"{finished}: holds a finished corpus; move it away, or give another --out" in line
    assert not (tmp_path / "corpus").exists()
    shutil.copytree(whole, tmp_path / "corpus")
    assert command(*arguments) == [str(tmp_path / "corpus")]
    assert content(finished) == content(whole)


def test_a_corpus_that_is_there_is_not_made_again_nor_changed(whole, run, back, command):
    before = content(whole)
    assert command("distill", str(run), "--out", str(whole), "--reverse", str(back)) == [str(whole)]
    (line,) = command("distill", str(run), "--out", str(whole), code=2)
    assert f"{whole}: is there already, and it has a reverse model; give another --out" in line
    assert content(whole) == before


def test_pairs_that_the_run_found_too_long_are_not_translated(tmp_path, command, monkeypatch, capfd):
    folder = tmp_path / "text"
    folder.mkdir()
    for name, size in (("train", 40), ("val", 3), ("test_b", 3), ("test_a", 3)):
        for language in ("en", "de"):
            lines = [f"line {number} of {name}" for number in range(size)]
            if name == "train":
                lines[7] += " of words" * (200 if language == "de" else 1)
            (folder / f"{name}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    sizes = dict.fromkeys(("corpus.train_pairs", "corpus.dev_pairs", "corpus.test_pairs"))
    monkeypatch.setattr("tests.translation.made_run.PreparedCorpus", _one_too_long)
    run = make_run(
        tmp_path / "run",
        with_models=False,
        **{"corpus.name": str(folder), "corpus.vocabulary_size": 30, "corpus.test_set": "test_b", **sizes},
    )
    (run / "models").mkdir()
    (run / "models" / "pbt-seed0.safetensors").touch()
    monkeypatch.setattr(
        "nmt_pbt.cli.distill._translate",
        lambda work, workers: [
            work.keep(part, [line.upper() for line in part.lines]) for part in work.parts(work.forward)
        ],
    )
    from nmt_pbt.cli.main import app
    from nmt_pbt.cli.usage import run_app

    assert run_app(app, ["distill", str(run), "--out", str(tmp_path / "out")]) == 0
    told = capfd.readouterr().err
    assert "79 train pairs: 40 own, 39 translated" in told
    assert "not translated: 1 pair that the run left out as too long" in told
    assert "--set corpus.test_set=test_b" in told
    made = read_folder(tmp_path / "out", "en", "de", "test_b")
    assert list(made.tests) == ["test_b", "test_a"]
    assert [line for line in made.train.target[40:] if line.startswith("LINE 7 ")] == []


def _one_too_long(*arguments, too_long, **named):
    from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus

    return PreparedCorpus(*arguments, too_long=1, **named)


def test_a_model_is_trained_on_it_like_on_any_corpus(whole, tmp_path, capfd):
    from nmt_pbt.cli.main import app
    from nmt_pbt.cli.usage import run_app

    tiny = {"model.units": 8, "model.embedding_units": 8, "corpus.vocabulary_size": 150, "training.epochs": 1}
    chosen = [f"--set={name}={value}" for name, value in {**tiny, "engine.name": "inline"}.items()]
    out = tmp_path / "student"
    assert run_app(app, ["train", "--corpus", str(whole), "--out", str(out), *chosen]) == 0, capfd.readouterr().err
    assert run_app(app, ["evaluate", str(out), "--beam=1"]) == 0
    assert f"test of {whole.name}, 12 sentences, beam 1" in capfd.readouterr().out


@pytest.mark.parametrize(("sentences", "parts"), [(1, 1), (150, 2), (2000, 16), (29_000, 65), (1_000_000, 977)])
def test_a_small_text_has_parts_for_many_cores_and_a_large_one_parts_that_are_soon_done(tmp_path, sentences, parts):
    text = ParallelText(("a",) * sentences, ("b",) * sentences)
    teacher = Teacher("forward", (), DecodingOptions())
    work = module.Distillation(Corpus("c", "en", "de", text, text, text, {}), teacher, None, True, tmp_path / "out")
    work.__dict__["_kept"] = np.arange(sentences)
    found = list(work.parts(teacher))
    assert len(found) == work.parts_left(teacher) == parts
    assert sum(len(part.lines) for part in found) == sentences
