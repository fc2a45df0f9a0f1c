"""A run's folder: nothing overwritten, one writer, nothing continued that changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    with run.writing(TranslationSettings(), "corpus"):
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
    assert run.read_settings(TranslationSettings) == TranslationSettings()


def test_a_second_writer_is_refused(run: RunDirectory) -> None:
    with run.writing(TranslationSettings(), "corpus"), pytest.raises(UsageError, match="another process"):
        run.writing(TranslationSettings(), "corpus").__enter__()


def test_changed_settings_are_refused(run: RunDirectory) -> None:
    changed = load_settings(None, ["training.dropout=0.5"])
    with pytest.raises(UsageError, match="settings changed"):
        run.writing(changed, "corpus").__enter__()


def test_a_changed_corpus_is_refused(run: RunDirectory) -> None:
    with pytest.raises(UsageError, match="data changed"):
        run.writing(TranslationSettings(), "another").__enter__()


@pytest.mark.parametrize("change", ["search.seeds=3", "search.methods=[pbt]", "name=other", "engine.threads=1"])
def test_what_does_not_change_a_search_may_change(run: RunDirectory, change: str) -> None:
    with run.writing(load_settings(None, [change]), "corpus") as journal:
        assert len(journal.records) == 1


def test_where_the_corpus_lies_may_change_and_is_noted(run: RunDirectory) -> None:
    with run.writing(load_settings(None, ["corpus.name=elsewhere/toy"]), "corpus") as journal:
        assert len(journal.records) == 1
    assert run.read_settings(TranslationSettings) == load_settings(None, ["corpus.name=elsewhere/toy"])
    run.check_same(run.read_settings(TranslationSettings))


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        RunDirectory(tmp_path).read_settings(TranslationSettings)


def test_all_settings_that_differ_are_told(run: RunDirectory) -> None:
    changed = load_settings(None, ["training.dropout=0.5", "search.population=9"])
    with pytest.raises(UsageError) as refused:
        run.check_same(changed)
    assert "training.dropout was 0.2 and is 0.5" in str(refused.value)
    assert "search.population was 6 and is 9" in str(refused.value)


def test_a_folder_that_another_process_writes_is_refused_at_once(run: RunDirectory) -> None:
    with run.writing(TranslationSettings(), "corpus"), pytest.raises(UsageError, match="another process"):
        RunDirectory(run.path).check_free()
    RunDirectory(run.path).check_free()


def change_environment(run: RunDirectory, **changes: object) -> dict[str, Any]:
    found = {**json.loads(run.environment_file.read_text()), **changes}
    run.environment_file.write_text(json.dumps(found))
    return found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"packages": {"tensorflow": "1.0"}}, "tensorflow was '1.0' and is '"),
        ({"code": "0" * 64}, "the code was '000000000000' and is '"),
    ],
)
def test_another_version_of_the_program_is_refused_with_the_difference_or_accepted_and_noted(
    run: RunDirectory, change: dict[str, Any], told: str
) -> None:
    before = change_environment(run, **change)
    with pytest.raises(UsageError, match="--accept-changes") as refused:
        run.check_same(TranslationSettings())
    assert told in str(refused.value)
    accepting = RunDirectory(run.path, accept_changes=True)
    with accepting.writing(TranslationSettings(), "corpus"):
        pass
    after = json.loads(run.environment_file.read_text())
    assert {name: value for name, value in after.items() if name != "changed"} == before
    assert [entry["after_records"] for entry in after["changed"]] == [1]
    run.check_same(TranslationSettings())  # what was accepted is what the run goes on with


def test_what_the_environment_does_not_say_is_not_compared(run: RunDirectory) -> None:
    change_environment(run, code=None, packages={}, python="2.7", processors=1)
    run.check_same(TranslationSettings())


def test_a_missing_or_damaged_environment_is_named(run: RunDirectory) -> None:
    run.environment_file.write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"environment\.json: damaged"):
        run.check_same(TranslationSettings())
    run.environment_file.unlink()
    with pytest.raises(UsageError, match=r"environment\.json: is missing"):
        run.check_same(TranslationSettings())
    with RunDirectory(run.path, accept_changes=True).writing(TranslationSettings(), "corpus"):
        assert run.environment_file.exists()


@pytest.mark.parametrize("left", [[], ["environment.json"], ["environment.json", "settings.yaml"]])
def test_a_run_killed_before_it_had_a_journal_can_be_begun_again(run: RunDirectory, left: list[str]) -> None:
    for file in run.path.iterdir():
        if file.name not in ("lock", *left):
            file.unlink()
    (run.path / ".settings.yaml.123.tmp").write_text("seed: ")
    RunDirectory(run.path).check_new()
    with RunDirectory(run.path).writing(TranslationSettings(), "corpus") as journal:
        assert len(journal.records) == 1
    assert not list(run.path.glob(".*"))
    assert run.read_settings(TranslationSettings) == TranslationSettings()


def test_a_run_killed_before_it_had_a_journal_can_be_resumed(run: RunDirectory) -> None:
    run.journal_file.unlink()
    settings = run.read_settings(TranslationSettings)
    run.check_same(settings)
    with run.writing(settings, "corpus") as journal:
        assert len(journal.records) == 1


@pytest.mark.parametrize("name", ["lock", "journal.jsonl", "states", "models", "translations"])
def test_nothing_is_written_through_a_link_in_a_run(run: RunDirectory, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(outside)
    with pytest.raises(UsageError, match=f"{name}: is a link"):
        run.writing(TranslationSettings(), "corpus").__enter__()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("folder", ["", "models", "translations", "states"])
def test_what_a_kill_left_half_written_is_removed_when_the_run_goes_on(run: RunDirectory, folder: str) -> None:
    left = run.path / folder / ".pbt-seed0.safetensors.123.tmp"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half a model")
    with run.writing(TranslationSettings(), "corpus"):
        assert not left.exists()
