"""`nmt-pbt compare --task`: a Keras model in a file of one's own, from the command line; and its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras_tuner
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import Evaluated, SearchStarted, Tested
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.settings.loading import dump_settings, load
from nmt_pbt.settings.own_task import OwnTaskSettings, own_task_settings
from nmt_pbt.space.domains import Choice, Condition, Constant, Integer, Real
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Objective
from tests.keras.keras_models import build

ROOT = Path(__file__).parents[2]
MODULE = """
from nmt_pbt import keras_task
from tests.keras.keras_models import build, data

task = keras_task(build, *data(0), validation_data=data(1, 64), test_data=data(2, 64))
nothing = 3
"""
ACTIVATED = """
import keras

def activated(hp):
    model = build(hp)
    model.layers[1].activation = keras.activations.get(hp.Choice("activation", ["relu", "tanh"]))
    return model

task = keras_task("""
SPACE = Space(
    (
        Choice("kind", ("flat", "deep")),
        Integer("layers", 2, 9, conditions=(Condition("kind", ("deep",)),)),
        Real("rate", 1e-4, 1e-1, "log"),
        Real("share", 0.0, 1.0, step=0.25),
        Constant("fixed", 3),
    ),
    structural=frozenset({"layers"}),
)


def nmt_pbt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.run(
        [sys.executable, "-m", "nmt_pbt", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_task_in_a_file_of_ones_own_starts_from_given_weights_and_is_gone_on_with_without_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "my_model.py").write_text(MODULE)
    model = build(keras_tuner.HyperParameters())
    model.save_weights(tmp_path / "given.weights.h5")
    settings = ["--set", "training.epochs=1", "--set", "search.population=2", "--engine", "inline"]
    task = ["compare", "--task", "my_model:task", "--methods", "pbt"]
    done = nmt_pbt(tmp_path, *task, *settings, "--start-from", "given.weights.h5", "--out", "run")
    assert done.returncode == 0, done.stderr[-3000:]
    (tmp_path / "given.weights.h5").unlink()
    more = nmt_pbt(tmp_path, *task, "--resume", "run", "--more-epochs", "1")
    assert more.returncode == 0, more.stderr[-3000:]
    starts = [record for record in read_journal(tmp_path / "run" / "journal.jsonl") if isinstance(record, Evaluated)]
    assert [record.spent_pairs for record in starts] == [1, 2, 3, 4]
    assert load(OwnTaskSettings, tmp_path / "run" / "settings.yaml").start_from == "given.weights.h5"
    refused = nmt_pbt(tmp_path, *task, "--resume", "run", "--start-from", "run")
    assert refused.returncode == 2
    assert "leave out --config and --out and --start-from" in refused.stderr


def test_a_task_in_a_file_of_ones_own_is_compared_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "my_model.py").write_text(MODULE.replace("\ntask = keras_task(build", f"{ACTIVATED}activated"))
    settings = ["--set", "training.epochs=2", "--set", "search.population=2", "--engine", "inline"]
    done = nmt_pbt(tmp_path, "compare", "--task", "my_model:task", "--methods", "pbt", *settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "results" / "task" / "report" / "index.html").exists()
    assert "pbt, seed 0: on test data" in done.stdout
    told = "activation: Population Based Training may change this in mid-training"
    assert told in done.stderr
    again = nmt_pbt(
        tmp_path, "compare", "--task", "my_model:task", "--resume", "results/task", "--methods", "pbt,random"
    )
    assert again.returncode == 0, again.stderr[-3000:]
    assert told not in again.stderr
    records = read_journal(tmp_path / "results" / "task" / "journal.jsonl")
    assert [record.method for record in records if isinstance(record, SearchStarted)] == ["pbt", "random"]
    assert all(record.test for record in records if isinstance(record, Tested))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_model", "expected MODULE:NAME"),
        ("my_modell:task", "no module 'my_modell'"),
        ("my_model:tsk", "my_model holds no 'tsk'; did you mean 'task'"),
        ("my_model:nothing", "is no task but int; make one with nmt_pbt.keras_task"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    from nmt_pbt.cli.own_task import task_named

    (tmp_path / "my_model.py").write_text("task = None\nnothing = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_model", raising=False)
    with pytest.raises(UsageError, match=message):
        task_named(name)


def test_settings_tell_the_space_and_are_read_back_to_the_same(tmp_path: Path) -> None:
    settings = own_task_settings(SPACE, Objective("val_auc", "max"), {"training": {"epochs": 4.0}})
    assert settings.search.space == {
        "kind": ChoiceDomain(choices=["flat", "deep"], ordered=False),
        "layers": NumberDomain(min=2.0, max=9.0, step=1.0, integer=True),
        "rate": NumberDomain(min=1e-4, max=1e-1, scale="log"),
        "share": NumberDomain(min=0.0, max=1.0, step=0.25),
        "fixed": ChoiceDomain(choices=[3]),
    }
    assert settings.search_plan().objective == Objective("val_auc", "max")
    file = tmp_path / "settings.yaml"
    file.write_text(dump_settings(settings), encoding="utf-8")
    assert load(OwnTaskSettings, file) == settings
    other = own_task_settings(Space((*SPACE.domains[1:],)), Objective("val_auc", "max"), {"training": {"epochs": 4.0}})
    hashes = {settings_hash(each.model_dump(mode="json"), OwnTaskSettings) for each in (settings, other)}
    assert len(hashes) == 2  # conditions and all decide


def test_a_name_with_two_ranges_is_told_by_both_together_and_one_of_two_kinds_is_refused() -> None:
    flat, deep = (Condition("kind", (kind,)) for kind in ("flat", "deep"))
    kind = Choice("kind", ("flat", "deep"))
    twice = Space((kind, Integer("units", 1, 4, conditions=(flat,)), Integer("units", 8, 9, conditions=(deep,))))
    settings = own_task_settings(twice, Objective("val_loss", "min"), {})
    assert settings.search.space["units"] == NumberDomain(min=1.0, max=9.0, step=1.0, integer=True)
    mixed = Space((kind, Choice("units", (1, 2), conditions=(flat,)), Integer("units", 8, 9, conditions=(deep,))))
    with pytest.raises(UsageError, match="units: is a range under one condition and a list"):
        own_task_settings(mixed, Objective("val_loss", "min"), {})
