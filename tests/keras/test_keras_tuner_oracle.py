"""PBTOracle as a KerasTuner oracle: under KerasTuner's own persistence, wire and habits.

These are KerasTuner's own tests of oracles, as far as they are worth passing, put to the PBT oracle.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.search.oracles.pbt import AGE, GENERATION, INHERITED, MEMBER, PARENT, PBTOracle


def space() -> keras_tuner.HyperParameters:
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("rate", 1e-4, 1e-1, sampling="log")
    hyperparameters.Float("dropout", 0.0, 0.6)
    hyperparameters.Int("units", 8, 64, step=8)
    return hyperparameters


def oracle(folder: Path, **changes: Any) -> PBTOracle:
    arguments: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", "max"),
        "population_size": 4,
        "interval": 1,
        "epochs": 5,
        "hyperparameters": space(),
        "structural": ["units"],
        "seed": 0,
    }
    made = PBTOracle(**{**arguments, **changes})
    made._set_project_dir(folder, "project")
    made.verbose = 0
    return made


def step(made: PBTOracle, worker: str = "worker0", score: float | None = None, status: str = "COMPLETED") -> Trial:
    """Run one trial."""
    trial = made.create_trial(worker)
    assert trial.status == "RUNNING"
    if status == "COMPLETED":
        made.update_trial(trial.trial_id, {"score": float(trial.trial_id) if score is None else score}, step=0)
    trial.status = status
    trial.message = None if status == "COMPLETED" else "broken"
    made.end_trial(trial)
    return trial


def plain(trial: Trial) -> dict[str, Any]:
    return dict(trial.hyperparameters.values)


@pytest.mark.parametrize("after", [1, 5, 9, 18])
def test_a_fresh_oracle_that_reloads_the_project_decides_the_same(tmp_path: Path, after: int) -> None:
    whole = oracle(tmp_path / "whole")
    values = [plain(step(whole)) for _ in range(20)]
    first = oracle(tmp_path / "part")
    for _ in range(after):
        step(first)
    again = oracle(tmp_path / "part")
    again.reload()
    assert [plain(step(again)) for _ in range(20 - after)] == values[after:]
    assert again.create_trial("worker0").status == "STOPPED"


def test_its_state_is_json(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    for number in range(9):
        step(made, score=float("nan") if number == 3 else None)
    made.create_trial("worker0")
    text = json.dumps(made.get_state()["population"], allow_nan=False)
    other = oracle(tmp_path / "other")
    other.population.set_state(json.loads(text))
    assert other.population.get_state() == made.population.get_state()


def test_a_trial_under_way_when_the_chief_was_killed_is_given_out_again(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    step(made)
    lost = made.create_trial("worker0")
    made.update_trial(lost.trial_id, {"score": 99.0}, step=0)
    again = oracle(tmp_path)
    again.reload()
    trial = again.create_trial("worker1")
    assert trial.trial_id == lost.trial_id
    assert plain(trial) == plain(lost)
    again.update_trial(trial.trial_id, {"score": 1.0}, step=0)
    trial.status = "COMPLETED"
    again.end_trial(trial)
    assert again.get_trial(trial.trial_id).score == 1.0


def test_values_that_come_back_over_the_wire_with_32_bits_do_not_leave_the_space(tmp_path: Path) -> None:
    made = oracle(tmp_path, initial=[{"dropout": 0.6}] * 4)
    for _ in range(12):
        trial = made.create_trial("worker0")
        made.update_trial(trial.trial_id, {"score": float(trial.trial_id)}, step=0)
        sent = Trial.from_proto(trial.to_proto())
        sent.status = "COMPLETED"
        made.end_trial(sent)
        held = made.get_trial(trial.trial_id).hyperparameters.values
        assert held["dropout"] == trial.hyperparameters.values["dropout"] <= 0.6
        assert [type(held[name]) for name in (MEMBER, GENERATION, PARENT, INHERITED)] == [int, int, str, bool]


def test_structural_values_are_inherited_whole_along_a_lineage(tmp_path: Path) -> None:
    made = oracle(tmp_path, epochs=10)
    for _ in range(40):
        values = plain(step(made))
        if values[PARENT]:
            assert values["units"] == plain(made.get_trial(values[PARENT]))["units"]
            assert values[AGE] == plain(made.get_trial(values[PARENT]))[AGE] + 1


def test_the_old_way_to_end_a_trial_still_works(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("worker0")
    made.update_trial(trial.trial_id, {"score": 1.0}, step=0)
    values = plain(trial)
    made.end_trial(trial.trial_id, "COMPLETED")
    assert made.get_trial(trial.trial_id).status == "COMPLETED"
    assert plain(made.get_trial(trial.trial_id)) == values


def test_an_invalid_trial_is_retried_as_often_as_allowed_and_a_failed_one_is_not(tmp_path: Path) -> None:
    made = oracle(tmp_path, max_retries_per_trial=1)
    first = step(made, status="INVALID")
    again = made.create_trial("worker0")
    assert again.trial_id == first.trial_id
    again.status = "INVALID"
    made.end_trial(again)
    assert made.get_trial(first.trial_id).status == "FAILED"
    second = step(made, status="FAILED")
    assert second.trial_id != first.trial_id
    assert made.create_trial("worker0").trial_id not in (first.trial_id, second.trial_id)


def test_many_failures_in_a_row_do_not_end_the_search_but_failure_of_all_does(tmp_path: Path) -> None:
    made = oracle(tmp_path, max_consecutive_failed_trials=2)
    for status in ("COMPLETED", "FAILED", "FAILED", "FAILED"):
        step(made, status=status)
    step(made)
    lost = oracle(tmp_path / "lost")
    for _ in range(3):
        step(lost, status="FAILED")
    with pytest.raises(SearchError, match="all 4 members failed, the last one with: broken"):
        step(lost, status="FAILED")


def test_an_error_leaves_the_oracle_usable_from_other_threads(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("worker0")
    with pytest.raises(ValueError, match="Objective value missing"):
        made.update_trial(trial.trial_id, {"loss": 1.0})
    got = []
    thread = threading.Thread(target=lambda: got.append(made.create_trial("worker1")), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert got


def test_nan_is_the_worst_score_and_not_a_failure(tmp_path: Path) -> None:
    for direction, worst in (("max", float("-inf")), ("min", float("inf"))):
        made = oracle(tmp_path / direction, objective=keras_tuner.Objective("score", direction))
        bad, good = step(made, score=float("nan")), step(made, score=1.0)
        assert made.get_trial(bad.trial_id).status == "COMPLETED"
        assert made.get_trial(bad.trial_id).score == worst
        assert made.get_best_trials(1)[0].trial_id == good.trial_id


def test_the_score_is_the_last_evaluation_not_the_best(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("worker0")
    for number, score in enumerate((1.0, 5.0, 2.0)):
        made.update_trial(trial.trial_id, {"score": score}, step=number)
    trial.status = "COMPLETED"
    made.end_trial(trial)
    assert (made.get_trial(trial.trial_id).score, made.get_trial(trial.trial_id).best_step) == (2.0, 2)


def test_several_objectives_are_added_up(tmp_path: Path) -> None:
    objectives = [keras_tuner.Objective("score", "max"), keras_tuner.Objective("cost", "min")]
    made = oracle(tmp_path, objective=objectives)
    trial = made.create_trial("worker0")
    made.update_trial(trial.trial_id, {"score": 3.0, "cost": 1.0}, step=0)
    trial.status = "COMPLETED"
    made.end_trial(trial)
    assert made.get_trial(trial.trial_id).score == -2.0


def test_a_space_found_by_building_the_hypermodel_is_searched(tmp_path: Path) -> None:
    made = oracle(tmp_path, hyperparameters=None, structural=[])
    made.update_space(space())
    for _ in range(8):
        step(made)
    assert {"rate", "dropout", "units"} <= set(plain(made.create_trial("worker0")))
    with pytest.raises(UsageError, match="empty"):
        oracle(tmp_path / "empty", hyperparameters=None, structural=[]).create_trial("worker0")


def test_a_hyperparameter_found_in_mid_search_joins_the_space(tmp_path: Path) -> None:
    made = oracle(tmp_path, epochs=8)
    for number in range(28):
        trial = made.create_trial("worker0")
        if number >= 2:
            value = trial.hyperparameters.Float("clip", 0.1, 10.0, sampling="log")
            assert 0.1 <= value <= 10.0
        made.update_trial(trial.trial_id, {"score": float(number)}, step=0)
        trial.status = "COMPLETED"
        made.end_trial(trial)
    assert [domain.name for domain in made.population.space.domains][-1] == "clip"
    clips = {plain(trial)["clip"] for trial in made.trials.values() if int(trial.trial_id) > 3}
    assert len(clips) > 2


def test_conditional_hyperparameters_are_there_only_when_active(tmp_path: Path) -> None:
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Choice("kind", ["flat", "deep"])
    with hyperparameters.conditional_scope("kind", ["deep"]):
        hyperparameters.Int("layers", 2, 9)
    made = oracle(tmp_path, hyperparameters=hyperparameters, structural=[], epochs=10)
    for _ in range(40):
        values = plain(step(made))
        assert ("layers" in values) == (values["kind"] == "deep")
