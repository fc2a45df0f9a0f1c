"""The PBT oracle under KerasTuner's own loop: its files, and trials that are given out twice. Nothing is trained."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import SearchError, StateError, UsageError
from nmt_pbt.search.oracles.pbt import MEMBER, PARENT
from nmt_pbt.tasks.keras import oracle as stored
from nmt_pbt.tasks.keras.oracle import PBTOracle


class Killed(BaseException):
    """The process dies."""


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("dropout", 0.0, 0.6)
    hp.Int("units", 1, 9)
    return hp


def oracle(folder: Path, **changes: Any) -> PBTOracle:
    arguments: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", "max"),
        "population_size": 3,
        "interval": 1,
        "epochs": 3,
        "structural": ["units"],
        "seed": 0,
        "hyperparameters": space(),
    }
    made = PBTOracle(**{**arguments, **changes})
    made._set_project_dir(str(folder), "project")
    made.verbose = 0
    return made


def reloaded(folder: Path, **changes: Any) -> PBTOracle:
    made = oracle(folder, **changes)
    made.reload()
    return made


def score(trial: Trial) -> float:
    """A score that depends on what was chosen."""
    values = trial.hyperparameters.values
    return math.log(values["rate"]) + values["dropout"] + 0.1 * values["units"]


def end(made: PBTOracle, trial: Trial, status: str = "COMPLETED", value: float | None = None) -> None:
    if status == "COMPLETED":
        made.update_trial(trial.trial_id, {"score": score(trial) if value is None else value}, step=1)
    trial.status = status
    made.end_trial(trial)


def run(made: PBTOracle, worker: str = "w") -> None:
    while (trial := made.create_trial(worker)).status == "RUNNING":
        end(made, trial)
    assert trial.status == "STOPPED"


def story(made: PBTOracle) -> list[tuple[str, dict[str, Any], float | None, str]]:
    """What happened: each trial with its values, score and status."""
    return [
        (trial, made.trials[trial].hyperparameters.values, made.trials[trial].score, made.trials[trial].status)
        for trial in made.start_order
    ]


def test_a_worker_gets_the_same_trial_until_it_has_ended(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    first = made.create_trial("a")
    assert made.create_trial("a").trial_id == first.trial_id
    assert made.create_trial("b").trial_id != first.trial_id
    end(made, first)
    assert made.create_trial("a").trial_id not in (first.trial_id, "1")


def test_a_search_killed_at_any_write_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and of no use to a test
    whole = oracle(tmp_path / "whole")
    run(whole)
    write, count = stored.write_json, 0

    def dies_at(number: int) -> Callable[[Path, Any], None]:
        nonlocal count
        count = 0

        def writes(path: Path, plain: Any) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise Killed
            write(path, plain)

        return writes

    number = 0
    while True:
        number += 1
        folder = tmp_path / str(number)
        monkeypatch.setattr(stored, "write_json", dies_at(number))
        made = oracle(folder)
        try:
            made.save()  # as the tuner does before the first trial
            run(made)
            break
        except Killed:
            monkeypatch.setattr(stored, "write_json", write)
        again = reloaded(folder) if (folder / "project" / "oracle.json").exists() else oracle(folder)
        run(again)
        assert story(again) == story(whole), f"killed at write {number}"
    assert number > 30


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.write_json(tmp_path / "a.json", {"kept": 1})

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SearchError, match=r"a\.json: disk full; everything before is whole"):
        stored.write_json(tmp_path / "a.json", {"kept": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"kept": 1}


def test_trials_under_way_are_given_out_again_after_a_resume(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    mine, theirs = made.create_trial("a"), made.create_trial("b")
    again = reloaded(tmp_path)
    assert again.ongoing_trials == {}
    # A worker's own trial first; that of another, who may still be at it, not before everything else.
    assert again.create_trial("a").trial_id == mine.trial_id
    assert again.create_trial("c").trial_id == "2"
    assert again.create_trial("d").trial_id == theirs.trial_id
    assert {trial.status for trial in again.trials.values()} == {"RUNNING"}


def test_a_result_of_a_worker_that_outlived_the_chief_counts(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("a")
    again = reloaded(tmp_path)
    end(again, trial, value=5.0)
    assert again.trials[trial.trial_id].score == 5.0
    run(again)
    assert again.start_order.count(trial.trial_id) == again.end_order.count(trial.trial_id) == 1
    assert len(again.end_order) == 9


def test_of_a_trial_that_two_workers_run_the_first_result_counts(tmp_path: Path) -> None:
    made = oracle(tmp_path, population_size=2)
    slow = made.create_trial("slow")
    again = reloaded(tmp_path, population_size=2)
    other = again.create_trial("other")
    fast = again.create_trial("fast")
    assert (slow.trial_id, fast.trial_id) == ("0", "0")
    end(again, fast, value=1.0)
    end(again, slow, value=2.0)
    assert again.trials["0"].score == 1.0
    end(again, other)
    end(again, slow, value=3.0)
    assert again.end_order == ["0", "1"]


def test_what_a_slow_worker_reported_before_its_trial_went_to_another_is_no_error(tmp_path: Path) -> None:
    made = oracle(tmp_path, population_size=2)
    slow = made.create_trial("slow")
    made.update_trial(slow.trial_id, {"score": 1.0}, step=1)
    again = reloaded(tmp_path, population_size=2)
    again.create_trial("other")
    fast = again.create_trial("fast")
    slow.status = "COMPLETED"
    again.end_trial(slow)
    assert again.end_order == []
    end(again, fast, value=2.0)
    assert again.trials["0"].score == 2.0


def test_an_invalid_trial_is_tried_again_as_often_as_asked_for_and_a_failed_one_is_not(tmp_path: Path) -> None:
    made = oracle(tmp_path, max_retries_per_trial=1)
    trial = made.create_trial("a")
    end(made, trial, "INVALID")
    again = made.create_trial("a")
    assert again.trial_id == trial.trial_id
    assert again.hyperparameters.values == trial.hyperparameters.values
    end(made, again, "INVALID")
    assert made.trials[trial.trial_id].status == "FAILED"
    other = made.create_trial("a")
    assert other.trial_id != trial.trial_id
    end(made, other, "FAILED")
    assert made.create_trial("a").trial_id == "2"


def test_failures_in_a_row_do_not_end_a_search_as_long_as_a_member_is_left(tmp_path: Path) -> None:
    made = oracle(tmp_path, population_size=5)
    for _ in range(4):
        end(made, made.create_trial("a"), "FAILED")
    run(made)
    assert [made.trials[trial].status for trial in made.end_order] == 4 * ["FAILED"] + 11 * ["COMPLETED"]


def test_a_search_in_which_all_members_fail_ends_with_the_reason_and_holds_no_lock(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    for _ in range(2):
        end(made, made.create_trial("a"), "FAILED")
    last = made.create_trial("a")
    last.message = "out of memory"
    with pytest.raises(SearchError, match="all 3 members failed, the last one with: out of memory"):
        end(made, last, "FAILED")
    assert made.create_trial("b").status == "RUNNING"


def test_a_score_that_is_not_a_number_ranks_last_and_is_never_among_the_best(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    for value in (1.0, math.nan, 3.0):
        end(made, made.create_trial("a"), value=value)
    assert [trial.score for trial in made.get_best_trials(10)] == [3.0, 1.0]
    lost = made.create_trial("a").hyperparameters.values
    while lost[MEMBER] != 1:
        lost = made.create_trial(str(lost)).hyperparameters.values
    assert lost[PARENT] in ("0", "2")


def test_unfinished_trials_are_not_among_the_best(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    assert made.get_best_trials(1) == []
    end(made, made.create_trial("a"))
    made.create_trial("a")
    assert [trial.trial_id for trial in made.get_best_trials(5)] == ["0"]


def test_a_trial_can_be_ended_by_its_id_as_in_old_versions(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("a")
    made.update_trial(trial.trial_id, {"score": 1.0})
    made.end_trial(trial.trial_id, "COMPLETED")
    assert made.trials[trial.trial_id].score == 1.0
    failed = made.create_trial("a")
    made.end_trial(failed.trial_id, "FAILED")
    assert made.trials[failed.trial_id].status == "FAILED"


def test_a_missing_objective_is_an_error(tmp_path: Path) -> None:
    made = oracle(tmp_path)
    trial = made.create_trial("a")
    with pytest.raises(ValueError, match="Objective value missing"):
        made.update_trial(trial.trial_id, {"loss": 1.0})
    trial.status = "COMPLETED"
    with pytest.raises(UsageError, match="trial 0 completed without a value of score"):
        made.end_trial(trial)
    assert made.create_trial("b").trial_id == "1"


def test_several_objectives_are_added_up(tmp_path: Path) -> None:
    made = oracle(tmp_path, objective=[keras_tuner.Objective("up", "max"), keras_tuner.Objective("down", "min")])
    for up, down in ((1.0, 5.0), (3.0, 1.0), (2.0, 2.0)):
        trial = made.create_trial("a")
        made.update_trial(trial.trial_id, {"up": up, "down": down, "multi_objective": down - up})
        trial.status = "COMPLETED"
        made.end_trial(trial)
    assert [trial.score for trial in made.get_best_trials(3)] == [-2.0, 0.0, 4.0]


@pytest.mark.parametrize(("name", "value"), [("population_size", 4), ("interval", 3), ("epochs", 6)])
def test_going_on_with_other_arguments_is_refused(tmp_path: Path, name: str, value: int) -> None:
    oracle(tmp_path).save()
    with pytest.raises(UsageError, match=rf"begun with {name}=\d, now {name}={value}; go on with the same"):
        reloaded(tmp_path, **{name: value})


def test_a_seed_that_was_drawn_is_kept_over_a_resume(tmp_path: Path) -> None:
    made = oracle(tmp_path, seed=None)
    made.create_trial("a")
    assert reloaded(tmp_path, seed=None).population.seed == made.seed


@pytest.mark.parametrize("damage", ["oracle.json", "trial_0/trial.json", "missing"])
def test_a_damaged_project_is_an_error_that_names_it(tmp_path: Path, damage: str) -> None:
    made = oracle(tmp_path)
    end(made, made.create_trial("a"))
    if damage == "missing":
        (tmp_path / "project/trial_0/trial.json").unlink()
    else:
        (tmp_path / "project" / damage).write_text('{"torn')
    with pytest.raises((StateError, RuntimeError), match="project"):
        reloaded(tmp_path)


def test_structural_names_may_be_patterns_for_names_that_come_later(tmp_path: Path) -> None:
    made = oracle(tmp_path, structural=["units*", "layers_*"], hyperparameters=space())
    assert made.population.space.structural == {"units"}
    trial = made.create_trial("a")
    trial.hyperparameters.Int("layers_0", 1, 3)
    end(made, trial)
    assert made.population.space.structural == {"units", "layers_0"}


def test_a_misspelt_structural_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="structural unit: not in the search space; did you mean 'units'"):
        oracle(tmp_path, structural=["unit"])


def test_the_trials_whose_states_can_still_be_needed_are_few(tmp_path: Path) -> None:
    made = oracle(tmp_path, population_size=4, epochs=8)
    told: list[set[str]] = []
    busy = [made.create_trial("a"), made.create_trial("b")]
    while busy:
        trial = busy.pop(0)
        worker = next(name for name, under_way in made.ongoing_trials.items() if under_way is trial)
        parent = trial.hyperparameters.values[PARENT]
        if parent and told:
            assert parent in told[-1]
        end(made, trial)
        told.append(made.needed_trials())
        following = made.create_trial(worker)
        if following.status == "RUNNING":
            busy.append(following)
    assert len(told) == 32
    # Two for each member, and the best one.
    assert max(map(len, told)) <= 2 * 4 + 1
