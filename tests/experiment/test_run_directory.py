"""A run's folder: nothing overwritten, one writer, nothing continued that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.errors import UsageError
from nmt_pbt.experiment.run_directory import RunDirectory
from nmt_pbt.settings import Settings, load_settings


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    with run.writing(Settings(), "corpus"):
        pass
    return run


def test_a_folder_that_holds_a_run_is_refused_and_how_to_continue_it_is_told(run: RunDirectory) -> None:
    with pytest.raises(UsageError, match="--resume"):
        run.check_new()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not a run"):
        RunDirectory(tmp_path).check_new()


def test_an_empty_or_missing_folder_is_taken(tmp_path: Path) -> None:
    RunDirectory(tmp_path).check_new()
    RunDirectory(tmp_path / "missing").check_new()


def test_settings_are_read_back_as_they_were(run: RunDirectory) -> None:
    assert run.read_settings() == Settings()


def test_a_second_writer_is_refused(run: RunDirectory) -> None:
    with run.writing(Settings(), "corpus"), pytest.raises(UsageError, match="another process"):
        run.writing(Settings(), "corpus").__enter__()


def test_changed_settings_are_refused(run: RunDirectory) -> None:
    changed = load_settings(None, ["training.dropout=0.5"])
    with pytest.raises(UsageError, match="settings changed"):
        run.writing(changed, "corpus").__enter__()


def test_a_changed_corpus_is_refused(run: RunDirectory) -> None:
    with pytest.raises(UsageError, match="corpus changed"):
        run.writing(Settings(), "another").__enter__()


@pytest.mark.parametrize("change", ["search.seeds=3", "search.methods=[pbt]", "name=other", "engine.threads=1"])
def test_what_does_not_change_a_search_may_change(run: RunDirectory, change: str) -> None:
    with run.writing(load_settings(None, [change]), "corpus") as journal:
        assert len(journal.records) == 1


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        RunDirectory(tmp_path).read_settings()
