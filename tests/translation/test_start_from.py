"""Training that starts from another run's winner: fine-tuning."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nmt_pbt.base.errors import StateError, UsageError
from nmt_pbt.base.yaml_text import read_yaml
from nmt_pbt.cli.main import app
from nmt_pbt.cli.start_from import settings_to_start_from
from nmt_pbt.run.best_model import best_winner
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.records import Evaluated
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import START, StateStore, content_hash, weights_of
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from nmt_pbt.tasks.translation.training.start_from import Start, choose_start, start_of_run
from tests.translation.made_run import SETTINGS, make_run

SHORT = ("--set=training.epochs=0.4", "--set=search.interval=0.2", "--set=engine.name=inline")


def settings(run: Path, **overrides: object) -> TranslationSettings:
    return load_settings(overrides={**SETTINGS, "start_from": str(run), **overrides})


def translation_winner(run: Path) -> KeptModel[TranslationSettings]:
    return best_winner(run, TranslationSettings)


def start_of(settings: TranslationSettings) -> Start:
    return choose_start(settings, translation_winner(Path(settings.start_from or "")))


def invoke(*arguments: object) -> str:
    found = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def winner(run: Path) -> MemberState:
    return StateStore(run / "models").load("pbt-seed0")


def test_weights_alone_are_taken_and_averages_where_there_are_such() -> None:
    arrays = {name: np.full(2, value) for name, value in {"weights/a": 1, "weights/b": 2, "optimizer/m/a": 3}.items()}
    plain = weights_of(MemberState(arrays, 700))
    assert (plain.age, list(plain.arrays)) == (0, ["weights/a", "weights/b"])
    averaged = weights_of(MemberState({**arrays, "average/a": np.full(2, 9)}, 700))
    assert [array[0] for array in averaged.arrays.values()] == [9, 2]


def test_the_best_winner_is_chosen_with_its_vocabulary(run: Path) -> None:
    start = start_of(settings(run))
    assert start.digest == content_hash(weights_of(winner(run)))
    assert start.subwords == (run / "subwords.model").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"model.embedding_units": 14},
            "was trained with model.embedding_units 12, not 14; set model.embedding_units=12",
        ),
        ({"corpus.vocabulary_size": 220}, "was trained with corpus.vocabulary_size 200, not 220"),
        ({"corpus.normalization": "nmt_nfkc"}, "was trained with corpus.normalization nfc, not nmt_nfkc"),
        ({"search.space.units": {"choices": [16, 20]}}, "its model has units 16, which cannot be searched"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run: Path, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        start_of(settings(run, **overrides))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_without_a_winner_is_refused(tmp_path: Path, bare_run: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        start_of(settings(tmp_path))
    with pytest.raises(UsageError, match="is not there"):
        start_of(settings(bare_run))


def test_a_damaged_model_is_refused(tmp_path: Path, run: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "models" / "pbt-seed0.safetensors").write_bytes(b"nothing")
    with pytest.raises(StateError, match="damaged"):
        start_of(settings(copy))


@pytest.mark.timeout(900)
def test_training_starts_from_the_winner_on_any_engine_and_goes_on_without_it(tmp_path: Path, run: Path) -> None:
    source = shutil.copytree(run, tmp_path / "source")
    invoke("train", "--start-from", source, "--out", tmp_path / "tuned", *SHORT)
    weights = weights_of(winner(run))
    kept = RunDirectory(tmp_path / "tuned")
    tuned = kept.read_settings(TranslationSettings)
    assert tuned.start_digest == content_hash(StateStore(kept.path).load(START)) == content_hash(weights)
    assert (kept.path / "subwords.model").read_bytes() == (run / "subwords.model").read_bytes()
    first = next(record for record in kept.records() if isinstance(record, Evaluated))
    assert (first.started, first.trained_pairs) == (None, 30)
    (moved,) = (StateStore(kept.models).load(name) for name in StateStore(kept.models).names())
    distances = [np.abs(moved.arrays[name] - array).max() for name, array in weights.arrays.items()]
    assert 0 < max(distances) < 0.1  # fresh weights are farther away: those of the run were drawn around 0.4 wide

    lines = (kept.path / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    story = [without_times(record) for record in kept.records()]
    shutil.rmtree(source)
    (kept.path / "journal.jsonl").write_text("".join(lines[:3]), encoding="utf-8")  # killed before its first interval
    invoke("train", "--resume", kept.path, "--set=engine.name=processes", "--set=engine.workers=2")
    assert [without_times(record) for record in read_journal(kept.path / "journal.jsonl")] == story

    (kept.path / f"{START}.safetensors").unlink()
    with pytest.raises(UsageError, match="holds no run"):
        start_of_run(kept.path, tuned, translation_winner)


def test_the_settings_are_the_other_runs_with_the_shape_of_its_winner_and_no_stop_rule(
    tmp_path: Path, run: Path
) -> None:
    source = make_run(tmp_path / "source", **{"model.units": 20, "search.stop": {"target": 1.0}, "name": "source"})
    config, overrides = settings_to_start_from(source, None)
    found = load_settings(config, ["search.stop.patience_intervals=9"], overrides)
    assert (found.model.units, found.model.embedding_units) == (16, 12)
    assert (found.name, found.start_from, found.start_digest) == (None, str(source), None)
    assert (found.search.stop.target, found.search.stop.patience_intervals) == (None, 9)
    start_of(found)
    assert settings_to_start_from(source, tmp_path / "mine.yaml")[0] == tmp_path / "mine.yaml"


def test_another_winner_than_the_run_was_begun_with_is_refused(tmp_path: Path, run: Path) -> None:
    other = settings(run, start_digest="0" * 64)
    with pytest.raises(UsageError, match="its best winner is another one than when the run was begun"):
        start_of_run(tmp_path, other, translation_winner)


def test_what_training_starts_from_is_part_of_the_fingerprint(run: Path) -> None:
    from nmt_pbt.settings.fingerprint import settings_hash

    def known_by(**overrides: object) -> str:
        tree = load_settings(overrides={**SETTINGS, **overrides}).model_dump(mode="json")
        return settings_hash(tree, TranslationSettings)

    assert known_by() == known_by(start_from="elsewhere") != known_by(start_digest="0" * 64)
    without = {name: value for name, value in read_yaml(run / "settings.yaml").items() if not name.startswith("start_")}
    assert settings_hash(without, TranslationSettings) == settings_hash(
        read_yaml(run / "settings.yaml"), TranslationSettings
    )


def test_a_schedule_is_replayed_from_fresh_weights(tmp_path: Path, run: Path) -> None:
    with pytest.raises(UsageError, match="leave it or --start-from out"):
        invoke("train", "--schedule", run, "--start-from", run, "--out", tmp_path / "out")
