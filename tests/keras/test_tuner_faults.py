"""`PopulationBasedTraining`: arguments, models and trials that are wrong."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.search.oracles.pbt import INHERITED, PARENT
from tests.keras.keras_models import (
    Held,
    Live,
    Rebuilt,
    Scaled,
    build,
    build_with_units,
    search,
    story,
    trials,
    tuner,
)


@pytest.mark.parametrize("live", [False, True])
def test_a_hyperparameter_that_changes_shapes_and_is_not_declared_structural_is_named(
    tmp_path: Path, live: bool
) -> None:
    class Kept(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            return build_with_units(hp)

        def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
            model.optimizer.learning_rate = hp.get("learning_rate")

    with pytest.raises(UsageError, match=r"^units decides what variables .*structural=\('units',\)"):
        search(tuner(tmp_path, Kept() if live else build_with_units, population_size=4, epochs=4))


def test_all_hyperparameters_that_change_shapes_are_named_and_no_other(tmp_path: Path) -> None:
    def build_many(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = build_with_units(hp)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[hp.Choice("optimizer", ["sgd", "adam"])]
        model.compile(kind(rate), "mse", run_eagerly=True)
        return model

    initial = [
        {"learning_rate": 0.01, "units": units, "optimizer": optimizer}
        for units, optimizer in [(2, "sgd"), (32, "adam"), (8, "sgd"), (16, "adam")]
    ]

    def all_change(values: dict[str, Any], space: Any, random: Any) -> dict[str, Any]:
        other = {"sgd": "adam", "adam": "sgd"}[values["optimizer"]]
        return {"learning_rate": 0.02, "units": values["units"] // 2 + 1, "optimizer": other}

    with pytest.raises(UsageError, match=r"^optimizer, units decide .*structural=\('optimizer', 'units'\)"):
        search(tuner(tmp_path, build_many, population_size=4, epochs=4, initial=initial, explore=all_change))


@pytest.mark.parametrize("kind", [Rebuilt, Live])
def test_a_structural_hyperparameter_stays_along_a_lineage(tmp_path: Path, kind: type[Rebuilt]) -> None:
    class Wide(kind):  # type: ignore[misc,valid-type]
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            return build_with_units(hp)

    made = search(tuner(tmp_path, Wide(), population_size=4, epochs=2, structural=["units"]))
    assert any(trial.hyperparameters.values[INHERITED] for trial in trials(made))
    assert len({trial.hyperparameters.values["units"] for trial in trials(made)}) > 1
    for trial in trials(made):
        values = trial.hyperparameters.values
        if values[PARENT]:
            assert values["units"] == made.oracle.trials[values[PARENT]].hyperparameters.values["units"]


def build_held(hp: keras_tuner.HyperParameters) -> keras.Model:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1)(Held(hp.Float("scale", 0.5, 2.0))(inputs)))
    model.compile("adam", "mse", run_eagerly=True)
    return model


def test_a_hyperparameter_in_a_weight_that_the_donors_would_overwrite_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^scale is kept in the model's variable .*scale: .*give .* apply\(hp, model\)"
    ):
        search(tuner(tmp_path, build_held, population_size=4, epochs=4))


def test_apply_puts_hyperparameters_in_weights_in_force(tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []

    class Applied(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            return build_held(hp)

        def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
            model.layers[1].scale.assign(hp.get("scale"))

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append((float(model.layers[1].scale), hp.get("scale")))
            return model.fit(*args, **kwargs)

    made = search(tuner(tmp_path, Applied(), population_size=4, epochs=4))
    assert all(held == pytest.approx(wanted, rel=1e-6) for held, wanted in seen)
    assert len({wanted for _, wanted in seen}) > 4
    best = made.get_best_models()[0]
    assert float(best.layers[1].scale) == pytest.approx(made.get_best_hyperparameters()[0].get("scale"), rel=1e-6)


def test_an_apply_that_forgets_the_learning_rate_is_found_out(tmp_path: Path) -> None:
    class Forgets(Live):
        def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
            """Do nothing."""

    with pytest.raises(UsageError, match=r"apply\(hp, model\) leaves the learning rate of model.optimizer at"):
        search(tuner(tmp_path, Forgets()))


def test_an_apply_that_forgets_a_hyperparameter_in_a_variable_is_found_out_when_a_donors_value_stays(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=r"apply\(hp, model\) leaves scale at .* in the variable .*scale, where this"):
        search(tuner(tmp_path, Scaled({"learning_rate"}), population_size=4, epochs=4))


def test_a_variable_that_equals_a_hyperparameter_by_chance_is_not_taken_for_it(tmp_path: Path) -> None:
    made = search(tuner(tmp_path, Scaled({"learning_rate", "scale"}), population_size=4, epochs=4))
    assert len({trial.hyperparameters.values["constant"] for trial in trials(made)}) == 2
    assert len(made.oracle.end_order) == 16


def test_a_score_that_is_not_a_number_ranks_last_and_the_search_goes_on(tmp_path: Path) -> None:
    class Diverges(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 1:
                model.layers[-1].kernel.assign(np.full((8, 1), np.inf, "float32"))
            return super().fit(hp, model, *args, **kwargs)

    made = search(tuner(tmp_path, Diverges()))
    assert len(made.oracle.end_order) == 9
    assert trials(made)[1].score == math.inf
    assert all(math.isfinite(trial.score) for trial in trials(made) if trial.trial_id != "1")
    assert all(trial.hyperparameters.values[PARENT] != "1" for trial in trials(made))
    assert len(made.oracle.get_best_trials(9)) == 8


def test_weights_that_are_not_finite_do_not_hide_behind_a_finite_score(tmp_path: Path) -> None:
    class Hides(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            result = super().fit(hp, model, *args, **kwargs)
            if len(self.began) == 2:
                model.layers[-1].bias.assign([np.nan])
                return {"val_loss": 0.0}
            return result

    made = search(tuner(tmp_path, Hides()))
    assert trials(made)[1].score == math.inf
    assert all(trial.hyperparameters.values[PARENT] != "1" for trial in trials(made))


def test_a_trial_that_raises_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            result = super().fit(hp, model, *args, **kwargs)
            if len(self.began) == 2:
                raise RuntimeError("no room")
            if len(self.began) == 3:
                raise keras_tuner.errors.FailedTrialError("not this one")
            return result

    made = search(tuner(tmp_path, Raises(), max_retries_per_trial=0))
    assert [trial.status for trial in trials(made)][:3] == ["COMPLETED", "FAILED", "FAILED"]
    assert "no room" in trials(made)[1].message
    assert len(made.oracle.end_order) == 9
    assert "trial 1 failed: RuntimeError: no room" in caplog.text


def test_a_full_disk_stops_the_search_in_one_line_and_it_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = story(search(tuner(tmp_path / "whole", Live())))
    left, sync = 0, os.fsync

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    for syncs in (0, 1, 4, 5, 6, 7, 9, 10):  # at files of the tuner, of the oracle, of trials, at states
        left = syncs
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(SearchError, match="No space left on device; everything before is whole") as stopped:
                search(tuner(tmp_path, Live()))
        assert str(tmp_path / "project") in str(stopped.value)
        assert not list((tmp_path / "project").rglob("*.tmp"))
    made = search(tuner(tmp_path, Live()))
    assert story(made) == whole
    assert {trial.status for trial in trials(made)} == {"COMPLETED"}


def test_a_disk_that_is_full_for_what_a_model_writes_itself_is_no_fault_of_its_values(tmp_path: Path) -> None:
    class Writes(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 2:
                raise OSError(errno.ENOSPC, "No space left on device", "checkpoint.h5")
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(SearchError, match=r"^checkpoint\.h5: No space left on device; everything before is whole"):
        search(tuner(tmp_path, Writes()))


def test_a_search_whose_trials_all_fail_says_why(tmp_path: Path) -> None:
    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("wrong input")

    with pytest.raises(SearchError, match=r"all 3 members failed, .*wrong input"):
        search(tuner(tmp_path, Raises()))


def test_an_oversized_model_fails_its_trial(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="max_model_size=10"):
        search(tuner(tmp_path, Live(), max_model_size=10))


def test_a_fatal_error_ends_the_search(tmp_path: Path) -> None:
    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            raise keras_tuner.errors.FatalRuntimeError("stop all")

    with pytest.raises(keras_tuner.errors.FatalRuntimeError, match="stop all"):
        search(tuner(tmp_path, Raises()))


def test_states_that_are_missing_or_others_are_made_again_and_it_ends_as_if_they_had_not_been(tmp_path: Path) -> None:
    class StopsInTrial4(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 4:
                raise KeyboardInterrupt
            return super().fit(hp, model, *args, **kwargs)

    whole = search(tuner(tmp_path / "whole", Live()))
    with pytest.raises(KeyboardInterrupt):
        search(tuner(tmp_path, StopsInTrial4()))
    first, *others = sorted((tmp_path / "project" / "states").iterdir())
    assert others
    for state in others:
        state.write_bytes(first.read_bytes())
    first.unlink()
    assert story(search(tuner(tmp_path, Live()))) == story(whole)


# --- arguments ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interval": 0.5}, r"interval=0.5: Keras trains whole epochs.*steps_per_epoch"),
        ({"epochs": 2.5}, r"epochs=2.5: Keras trains whole epochs"),
        ({"interval": 0}, r"interval=0: Keras trains whole epochs"),
        ({"interval": 4}, r"interval 4; it has to be above 0 and at most the 3 epochs"),
        ({"population_size": 1}, "population 1; a population needs at least 2 members"),
        ({"structural": ["unit"]}, "structural unit: not in the search space"),
        ({"frozen": ["rate"]}, "frozen rate: not in the search space; known: learning_rate"),
        ({"exploit": "trunc"}, "no such exploit strategy 'trunc'"),
        ({"exploit": "bootstrap"}, "exploit .*'bootstrap'"),
        ({"explore": "pertrub"}, "no such explore strategy 'pertrub'; did you mean 'perturb'"),
        ({"executions_per_trial": 2}, "executions_per_trial: a member has one state"),
        ({"directory": "gs://bucket/project"}, "directory gs://bucket/project: has to be a folder"),
        ({"burn_in": 3}, "burn_in 3: the last decision comes after 2 of 3 epochs"),
        ({"initial": 4 * [{}]}, "initial values for 4 members, but the population has 3"),
        ({"initial": [{"learning_rate": 3.0}]}, "initial values of member 0: learning_rate = 3.0"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_at_construction(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        tuner(tmp_path, build, **changes)


def test_a_model_without_hyperparameters_and_a_missing_model_are_refused(tmp_path: Path) -> None:
    def fixed(hp: keras_tuner.HyperParameters) -> keras.Model:
        return build(keras_tuner.HyperParameters())

    with pytest.raises(UsageError, match="the search space is empty"):
        tuner(tmp_path, fixed)
    with pytest.raises(UsageError, match="hypermodel is missing"):
        tuner(tmp_path, None)


def test_epochs_given_to_search_are_said_not_to_be_used(tmp_path: Path) -> None:
    with pytest.raises(UserWarning, match=r"search\(epochs=...\) is not used"):
        search(tuner(tmp_path, Live()), epochs=50)


@pytest.mark.filterwarnings("ignore:search:UserWarning")
def test_epochs_given_to_search_are_not_used(tmp_path: Path) -> None:
    made = search(tuner(tmp_path, Live(), population_size=2, epochs=1), epochs=50)
    assert [trial.hyperparameters.values["search/epochs"] for trial in trials(made)] == [1, 1]


def test_results_before_a_search_are_refused(tmp_path: Path) -> None:
    made = tuner(tmp_path, build)
    with pytest.raises(UsageError, match="no trained model yet; call search first"):
        made.get_best_models()
    with pytest.raises(UsageError, match="no trial has a score yet; call search first"):
        made.schedule()
