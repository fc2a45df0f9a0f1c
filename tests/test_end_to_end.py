"""The main job for real, small: search, resume, report, translate, evaluate, with TensorFlow and all."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.records import Evaluated, SearchEnded, Tested
from nmt_pbt.tasks.translation.decoding.attention_record import attention_path, read_attention
from tests.commands_here import nmt_pbt_here
from tests.translation.made_run import write_corpus

SMALL = [
    "--corpus=toy",
    "--set=corpus.train_pairs=200",
    "--set=corpus.dev_pairs=20",
    "--set=corpus.test_pairs=20",
    "--set=corpus.vocabulary_size=200",
    "--set=model.embedding_units=16",
    "--set=model.units=16",
    "--set=search.population=3",
    "--set=training.epochs=2",
    "--set=engine.threads=1",
    "--set=evaluation.kept_models=2",
]
METHODS = ["pbt", "random", "grid", "bayes"]
UNDRAWN = "--set=report=false"
"""For runs whose report nobody looks at."""


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nmt_pbt", *arguments],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        # A shell without job control starts what runs in its background deaf to SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def nmt_pbt(*arguments: str, cwd: Path, text: str = "") -> str:
    process = start(*arguments, cwd=cwd)
    output, errors = process.communicate(text, timeout=280)
    assert process.returncode == 0, errors
    return output


def plain(run: Path) -> list[dict[str, Any]]:
    """The records, search by search: searches stand side by side in the journal."""
    records = [without_times(record) for record in read_journal(run / "journal.jsonl")]
    return sorted(records, key=lambda record: (record.get("method", ""), record.get("seed", 0)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished comparison in `run`."""
    folder = tmp_path_factory.mktemp("main_job")
    nmt_pbt("compare", f"--methods={','.join(METHODS)}", *SMALL, "--engine=inline", "--out=run", cwd=folder)
    return folder


def test_every_method_spends_the_same_budget_and_its_winner_is_tested_once(folder: Path) -> None:
    records = read_journal(folder / "run" / "journal.jsonl")
    assert {
        record.method: record.spent_pairs for record in records if isinstance(record, SearchEnded)
    } == dict.fromkeys(METHODS, 3 * 2 * 200)
    assert sorted(record.method for record in records if isinstance(record, Tested)) == sorted(METHODS)


def test_the_run_holds_a_report_a_model_of_each_winner_and_of_another_member(folder: Path) -> None:
    run = folder / "run"
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("PBT", "Random", "Grid", "Bayesian"))
    models = {path.stem for path in (run / "models").iterdir()} - {f"{method}-seed0" for method in METHODS}
    assert [name.rpartition("-trial")[0] for name in models] == ["pbt-seed0"]
    assert not list((run / "states").iterdir())
    for method in METHODS:
        translations = run / "translations" / f"{method}-seed0.txt"
        assert len(translations.read_text(encoding="utf-8").splitlines()) == 20
        looked = read_attention(attention_path(translations))
        sample = json.loads((run / "translations" / "sample.json").read_text(encoding="utf-8"))
        assert [sentence.line for sentence in looked] == [sentence["line"] for sentence in sample]


def test_the_report_is_drawn_again_to_the_same_page_without_tensorflow(folder: Path) -> None:
    page = folder / "run" / "report" / "index.html"
    before = page.read_bytes()
    program = (
        "import sys; from nmt_pbt.cli.main import main; sys.argv = ['nmt-pbt', 'report', 'run']\n"
        "try: main()\nexcept SystemExit as done: assert not done.code\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, env=environment, stdout=subprocess.DEVNULL)
    assert page.read_bytes() == before


def test_the_journal_holds_what_the_best_model_so_far_said_of_a_few_dev_sentences(folder: Path) -> None:
    sample = json.loads((folder / "run" / "translations" / "dev_sample.json").read_text(encoding="utf-8"))
    assert len(sample) == 20
    records = [r for r in read_journal(folder / "run" / "journal.jsonl") if isinstance(r, Evaluated)]
    assert {len(record.samples) for record in records} == {0, 2}
    tests = [r for r in read_journal(folder / "run" / "journal.jsonl") if isinstance(r, Tested)]
    won = {(r.method, r.trial, r.interval_index) for r in tests}
    assert all(record.samples for record in records if (record.method, record.trial, record.interval_index) in won)


def test_translate_answers_every_line_in_order_and_leaves_blank_ones_blank(folder: Path) -> None:
    lines = nmt_pbt_here("translate", "run", cwd=folder, text="The cat sleeps.\n\nThe dog is old.\n").split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    together = nmt_pbt_here("translate", "run", "--ensemble=5", "--nbest=1", cwd=folder, text="The dog is old.\n")
    assert together.startswith("0 ||| ")


def test_evaluate_finds_the_score_that_the_journal_recorded(folder: Path) -> None:
    records = read_journal(folder / "run" / "journal.jsonl")
    tested = next(record for record in records if isinstance(record, Tested) and record.method == "pbt")
    output = nmt_pbt_here("evaluate", "run", "--method=pbt", cwd=folder)
    assert float(output.splitlines()[1].split()[1]) == pytest.approx(tested.test["bleu"], abs=0.006)
    assert tested.signatures["bleu"] in output


def stop_later(process: subprocess.Popen[str], journal: Path, intervals: int, how: signal.Signals) -> str:
    """Stop a run when so many intervals are in its journal; return what it said."""
    deadline = time.monotonic() + 250
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.read_text(encoding="utf-8").count('"evaluated"') >= intervals:
            break
        time.sleep(0.02)
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_run_that_is_stopped_resumes_to_the_journal_of_one_that_was_not(folder: Path, how: signal.Signals) -> None:
    name = f"stopped_{how.name}"
    engine = {signal.SIGINT: "processes", signal.SIGTERM: "inline"}[how]  # the records are the same
    methods = f"--methods={','.join(METHODS)}"
    process = start("compare", methods, *SMALL, UNDRAWN, f"--engine={engine}", f"--out={name}", cwd=folder)
    errors = stop_later(process, folder / name / "journal.jsonl", 4, how)
    assert process.returncode == 130
    assert f"--resume {name}" in errors
    assert (folder / name / "prepared" / "corpus.json").is_file()  # to be found again
    write_corpus(folder / f"corpus_{how.name}", folder / name)  # as where the run is moved to another machine
    said = nmt_pbt("compare", "--resume", name, f"--corpus=./corpus_{how.name}", cwd=folder)
    assert plain(folder / name) == plain(folder / "run")
    assert said.splitlines()[-1] == f"nmt-pbt report {name}"
    assert not (folder / name / "report").exists()
    assert not (folder / name / "prepared").exists()
    assert f"name: ./corpus_{how.name}" in (folder / name / "settings.yaml").read_text(encoding="utf-8")


def test_a_run_killed_five_times_that_loses_its_states_ends_with_the_journal_of_one_that_was_not(folder: Path) -> None:
    rng = random.Random(0)
    arguments = [f"--methods={','.join(METHODS)}", *SMALL, UNDRAWN, "--engine=inline", "--out=killed"]
    kills = intervals = 0
    while kills < 5:
        process = start("compare", *arguments, cwd=folder)
        intervals += rng.randint(2, 5)
        stop_later(process, folder / "killed" / "journal.jsonl", intervals, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        kills += 1
        arguments = ["--resume=killed"]
        if kills == 3:  # what is lost is trained again, bit for bit
            for state in (folder / "killed" / "states").glob("*.safetensors"):
                state.write_bytes(state.read_bytes()[:-1])
    nmt_pbt("compare", *arguments, cwd=folder)
    assert plain(folder / "killed") == plain(folder / "run")
