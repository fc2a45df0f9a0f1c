"""A run's corpus is prepared once: in its folder, or in memory where workers may not see that."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.cli.running import ExpectedCorpus, prepare_run
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus
from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

SETTINGS = load_settings(
    None,
    ["corpus.train_pairs=150", "corpus.dev_pairs=12", "corpus.test_pairs=12", "corpus.vocabulary_size=150"],
)


def never(*_: object, **__: object) -> NoReturn:
    raise AssertionError("made again")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def test_a_run_that_goes_on_finds_what_was_prepared(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepare_run(run, SETTINGS)
    with run.writing(SETTINGS, task.data_digest):
        pass
    monkeypatch.setattr("nmt_pbt.tasks.translation.corpus.prepared.train_subwords", never)
    monkeypatch.setattr("nmt_pbt.tasks.translation.corpus.stored.store", never)
    again = prepare_run(run, SETTINGS, ExpectedCorpus(task.data_digest, "another corpus"))
    assert again.data_digest == task.data_digest
    assert [ids.tolist() for ids in again.prepared.train_source] == [ids.tolist() for ids in task.prepared.train_source]


def test_a_corpus_that_changed_is_refused_though_the_old_one_was_prepared(run: RunDirectory) -> None:
    task = prepare_run(run, SETTINGS)
    changed = SETTINGS.model_copy(update={"corpus": SETTINGS.corpus.model_copy(update={"test_pairs": 11})})
    with pytest.raises(UsageError, match="toy: another corpus"):
        prepare_run(run, changed, ExpectedCorpus(task.data_digest, "another corpus"))


def test_what_was_prepared_and_lost_is_made_again(run: RunDirectory) -> None:
    task = prepare_run(run, SETTINGS)
    (run.prepared / "train.source.ids.npy").unlink()
    again = prepare_run(run, SETTINGS, ExpectedCorpus(task.data_digest, "another corpus"))
    assert again.data_digest == task.data_digest
    assert (run.prepared / "train.source.ids.npy").is_file()


def test_a_run_goes_on_with_the_subwords_it_was_begun_with(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepare_run(run, SETTINGS)
    task.begin(run.path)
    shutil.rmtree(run.prepared)
    expected = ExpectedCorpus(task.data_digest, "another corpus")
    with monkeypatch.context() as patch:
        patch.setattr("nmt_pbt.tasks.translation.corpus.prepared.train_subwords", never)
        assert prepare_run(run, SETTINGS, expected).data_digest == task.data_digest
    shutil.rmtree(run.prepared)
    (run.path / SUBWORDS).write_bytes(b"damaged")
    assert prepare_run(run, SETTINGS, expected).data_digest == task.data_digest


def test_workers_of_a_cluster_get_the_corpus_itself(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt_pbt.run.preflight.check_engine", lambda engine: None)
    engine = SETTINGS.engine.model_copy(update={"name": "ray", "address": "10.0.0.1:6379"})
    task = prepare_run(run, SETTINGS.model_copy(update={"engine": engine}))
    assert not run.path.exists()
    assert task.prepared.train_source[0].dtype == "int32"
    assert len(task.prepared.corpus.train) == 0


def test_workers_of_a_cluster_get_it_too_when_a_run_that_was_begun_here_goes_on_there(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepare_run(run, SETTINGS)
    monkeypatch.setattr("nmt_pbt.run.preflight.check_engine", lambda engine: None)
    engine = SETTINGS.engine.model_copy(update={"name": "ray", "address": "10.0.0.1:6379"})
    moved = SETTINGS.model_copy(update={"engine": engine})
    again = prepare_run(run, moved, ExpectedCorpus(task.data_digest, "another corpus"))
    assert type(again.prepared) is PreparedCorpus
    assert again.data_digest == task.data_digest


def test_room_for_it_is_told_beforehand(run: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    prepare_run(
        run, load_settings(None, ["corpus.name=copy", "corpus.train_pairs=100000", "corpus.vocabulary_size=25"])
    )
    told = re.search(r"and ([\d.]+) MB besides", capfd.readouterr().err)
    assert told is not None
    taken = sum(file.stat().st_size for file in run.prepared.iterdir()) / 1024**2
    assert 32 + taken <= float(told[1]) <= 32 + 2 * taken


def test_subwords_that_may_be_damaged_are_named_beside_the_corpus(run: RunDirectory) -> None:
    task = prepare_run(run, SETTINGS)
    task.begin(run.path)
    shutil.rmtree(run.prepared)
    other = prepare_run(RunDirectory(run.path.parent / "other"), SETTINGS.model_copy(update={"seed": 1}))
    (run.path / SUBWORDS).write_bytes(other.prepared.subwords.model)
    with pytest.raises(UsageError, match=r"another corpus\. If it is, delete .*subwords\.model, which is made again"):
        prepare_run(run, SETTINGS, ExpectedCorpus(task.data_digest, "another corpus"))


def test_a_disk_without_room_for_it_is_told_in_a_line(
    run: RunDirectory, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_pbt.run.preflight.check_room", lambda need, path: None)
    full = RunDirectory(small_disk / "run")
    with pytest.raises(UsageError, match="No space left on device; mend that"):
        prepare_run(full, load_settings(None, ["corpus.train_pairs=2000", "corpus.vocabulary_size=150"]))
    assert not list(full.prepared.glob(".*"))


def test_a_run_killed_while_its_corpus_was_prepared_can_be_begun_again(run: RunDirectory) -> None:
    with run.preparing() as folder:
        (folder / ".train.source.ids.npy.1.tmp").touch()
        (folder / "dev.source.txt").touch()
    run.check_new()
    with run.writing(TranslationSettings(), "corpus"):
        assert not (folder / ".train.source.ids.npy.1.tmp").exists()


def test_nobody_else_prepares_a_run_meanwhile(run: RunDirectory) -> None:
    with run.preparing(), pytest.raises(UsageError, match="another process"), run.preparing():
        pass


def test_nothing_is_prepared_through_a_link(run: RunDirectory, tmp_path: Path) -> None:
    run.path.mkdir()
    (tmp_path / "outside").mkdir()
    run.prepared.symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="is a link"), run.preparing():
        pass
