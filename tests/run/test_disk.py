"""What a run needs on the disk is told before it begins, and is what it takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.preflight import Need, check_room, need_of
from nmt_pbt.tasks.translation.footprint import parameters, state_bytes
from nmt_pbt.tasks.translation.settings.sections import ModelSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings


def need_with(settings: TranslationSettings, vocabulary: int) -> Need:
    return need_of(settings, state_bytes(settings, vocabulary))


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"attention": "additive", "tie_embeddings": "none", "encoder_layers": 2, "decoder_layers": 3},
        {"layer_normalisation": True, "input_feeding": True, "decoder_layers": 2},
        {"attention": "dot", "tie_embeddings": "output", "embedding_units": 7, "units": 9},
    ],
)
def test_the_parameters_are_those_of_the_model(shape: dict[str, Any]) -> None:
    from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq

    settings = ModelSettings.model_validate({"embedding_units": 6, "units": 5, **shape})
    model = Seq2Seq(vocabulary=23, **settings.model_dump())
    assert parameters(settings, 23) == sum(int(weight.value.shape.num_elements()) for weight in model.trainable_weights)


def test_the_largest_shape_of_the_space_counts() -> None:
    space = "search.space={units: {choices: [8, 64, 32]}, embedding_units: {min: 8, max: 48, integer: true}}"
    largest = load_settings(None, ["model.units=64", "model.embedding_units=48"])
    assert need_with(load_settings(None, [space]), 100).state == need_with(largest, 100).state


def test_states_models_and_size_add_up() -> None:
    need = need_with(load_settings(None, ["search.population=10", "search.seeds=3", "search.methods=[pbt, grid]"]), 400)
    assert (need.states, need.models) == (3 * 2 * 22, 6)  # all searches go on at once
    assert need.bytes > 138 * need.state
    assert "132 states at once and 6 models in the end" in str(need)
    kept = ["search.population=4", "search.methods=[pbt, grid]"]
    assert [need_with(load_settings(None, [*kept, f"evaluation.kept_models={n}"]), 400).models for n in (3, 9)] == [
        4,
        5,
    ]


@pytest.mark.parametrize(
    ("setting", "states"),
    [
        ("search.manual.guesses=[{}]", 3),
        ("search.manual.guesses=[{}, {}]", 4),
        ("search.methods=[replay]", 14),
        ("search.methods=[replay, pbt]", 28),
        ("search.replay.models=1", 3),
        ("search.replay.models=99", 14),
    ],
)
def test_one_model_alone_needs_no_room_for_a_population(setting: str, states: int) -> None:
    method = "manual" if "manual" in setting else "replay"
    need = need_with(load_settings(None, [f"search.methods=[{method}]", setting, "evaluation.kept_models=1"]), 400)
    assert need.states == states
    if states == 3:
        assert "3 states at once and 1 model in the end" in str(need)


def test_a_disk_with_too_little_room_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = Need(states=10, models=2, state=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=40 * 2**20))
    with pytest.raises(UsageError, match=r"room for 40\.0 MB, the run needs 44\.0 MB"):
        check_room(need, tmp_path / "new" / "run")
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "one").write_bytes(bytes(5 * 2**20))
    check_room(need, tmp_path)  # what the run holds already counts


def test_averages_count() -> None:
    def copies(*settings: str) -> int:
        return need_with(load_settings(None, list(settings)), 400).state - 16 * 1024

    weights = copies() // 3
    assert copies("training.averaging=exponential") == 4 * weights
    assert copies("training.averaging=checkpoints", "training.averaged_checkpoints=4") == 8 * weights


def test_a_saved_state_is_no_larger_than_told(tmp_path: Path) -> None:
    from nmt_pbt.tasks.protocol import MemberState
    from nmt_pbt.tasks.state import StateStore
    from nmt_pbt.tasks.translation.model.bindings import Bindings
    from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq
    from nmt_pbt.tasks.translation.training.optimizer import FusedAdam

    settings = TranslationSettings()
    model = Seq2Seq(vocabulary=50, **settings.model.model_dump())
    optimizer = FusedAdam(Bindings())
    optimizer.build(model.trainable_variables)
    arrays = {f"weights/{weight.path}": weight.numpy() for weight in model.weights}
    arrays |= {f"optimizer/{variable.path}": variable.numpy() for variable in optimizer.variables}
    StateStore(tmp_path).save("a", MemberState(arrays, 0))
    size = (tmp_path / "a.safetensors").stat().st_size
    assert 0.95 * size < need_with(settings, 50).state - 16 * 1024 < size <= need_with(settings, 50).state
