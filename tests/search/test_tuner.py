"""`PopulationBasedTraining` on small Keras models: what is inherited, what is kept, what goes wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np
import pytest

import nmt_pbt
from nmt_pbt.errors import SearchError, StateError, UsageError
from nmt_pbt.search.front import tuner as front
from nmt_pbt.search.pbt import AGE, INHERITED, PARENT
from tests.search.keras_models import CALLS, Live, Rebuilt, build, build_with_units, data, search, story, trials, tuner


@pytest.mark.parametrize("kind", [Rebuilt, Live])
def test_a_child_begins_with_its_parents_weights_slots_and_iteration_count_and_its_own_learning_rate(
    tmp_path: Path, kind: type[Rebuilt]
) -> None:
    hypermodel = kind()
    made = search(tuner(tmp_path, hypermodel, population_size=4, epochs=3))
    began = dict(zip((trial.trial_id for trial in trials(made)), hypermodel.began, strict=True))
    inherited = [trial for trial in trials(made) if trial.hyperparameters.values[INHERITED]]
    assert inherited
    ended: dict[str, Any] = {}
    for trial in trials(made):
        values = trial.hyperparameters.values
        child = began[trial.trial_id]
        assert child["learning_rate"] == pytest.approx(values["learning_rate"], rel=1e-6)
        if values[PARENT]:
            # A state file is read by the trial's continuation: what it holds is what the parent ended with.
            assert child["slots"][0] == 3 * values[AGE]  # 96 points in batches of 32
            assert any(np.abs(slot).max() > 0 for slot in child["slots"][1:])
            for sibling in ended.get(values[PARENT], []):
                for one, other in zip(child["weights"] + child["slots"], sibling, strict=True):
                    np.testing.assert_array_equal(one, other)
            ended.setdefault(values[PARENT], []).append(child["weights"] + child["slots"])
    assert max(map(len, ended.values())) > 1  # a donor and its adopter went on from the same state
    changed = [
        trial
        for trial in inherited
        if trial.hyperparameters.values["learning_rate"]
        != made.oracle.trials[trial.hyperparameters.values[PARENT]].hyperparameters.values["learning_rate"]
    ]
    assert changed


def test_a_live_model_is_built_for_fresh_weights_alone_never_traced_again_and_comes_out_the_same(
    tmp_path: Path,
) -> None:
    CALLS.update(build=0, trace=0)
    made = tuner(tmp_path / "live", Live(eager=False))
    for_the_space = CALLS["build"]
    search(made)
    assert {"build": for_the_space + 3, "trace": CALLS["trace"]} == CALLS
    assert CALLS["trace"] <= 2  # one, and one more where Keras relaxes the shape of the last batch
    rebuilt = search(tuner(tmp_path / "rebuilt", Rebuilt(eager=False)))
    assert [entry[:3] for entry in story(made)] == [
        (trial, {**values, "pbt/state": mine["pbt/state"]}, pytest.approx(score, rel=1e-6))
        for (trial, values, score, _), (_, mine, _, _) in zip(story(rebuilt), story(made), strict=True)
    ]


def test_the_same_seed_gives_the_same_search_and_another_seed_another(tmp_path: Path) -> None:
    first = search(tuner(tmp_path / "first", Live()))
    assert story(first) == story(search(tuner(tmp_path / "again", Live())))
    other = search(tuner(tmp_path / "other", Live(), seed=1))
    assert [trial.score for trial in trials(first)] != [trial.score for trial in trials(other)]


def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = search(tuner(tmp_path / "whole", Live()))

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    class StopsInTrial5(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 5:
                kwargs["callbacks"].append(Stop())
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        search(tuner(tmp_path / "parts", StopsInTrial5()))
    resumed = tuner(tmp_path / "parts", Live())
    assert len(resumed.oracle.end_order) == 5
    assert story(search(resumed)) == story(whole)


def test_the_budget_is_population_times_epochs_and_few_states_are_kept(tmp_path: Path) -> None:
    counts: list[int] = []

    class Counting(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            counts.append(len(list((tmp_path / "project" / "states").glob("*.safetensors"))))
            return super().fit(hp, model, *args, **kwargs)

    made = search(tuner(tmp_path, Counting(), population_size=3, epochs=6, interval=2))
    assert [trial.status for trial in trials(made)] == 9 * ["COMPLETED"]
    counts.append(len(list((tmp_path / "project" / "states").iterdir())))
    assert 3 <= max(counts) <= 2 * 3 + 2


def test_the_best_models_are_those_that_were_scored(tmp_path: Path) -> None:
    made = search(tuner(tmp_path, Rebuilt()))
    best = made.get_best_models(2)
    scores = [model.evaluate(*data(1, 64), verbose=0)[0] for model in best]
    assert scores[0] == pytest.approx(made.oracle.get_best_trials(1)[0].score, rel=1e-5)
    assert scores[0] <= scores[1]
    assert int(best[0].optimizer.iterations) > 0
    values = made.get_best_hyperparameters()[0].values
    assert float(best[0].optimizer.learning_rate) == pytest.approx(values["learning_rate"], rel=1e-6)
    assert len(made.get_best_models(100)) <= 4


def test_the_best_model_is_found_again_by_a_new_process_with_nothing_left_to_do(tmp_path: Path) -> None:
    made = search(tuner(tmp_path, Live()))
    score = made.oracle.get_best_trials(1)[0].score
    again = search(tuner(tmp_path, Live()))
    assert len(again.oracle.trials) == 9
    assert again.get_best_models()[0].evaluate(*data(1, 64), verbose=0)[0] == pytest.approx(score, rel=1e-5)


def test_the_schedule_is_the_winners_lineage(tmp_path: Path) -> None:
    made = search(tuner(tmp_path, Live(), population_size=4, epochs=4))
    frame = made.schedule()
    assert list(frame) == ["epoch", "until", "learning_rate", "score", "trial", "member", "inherited"]
    best = made.oracle.get_best_trials(1)[0]
    assert frame["trial"].iloc[-1] == best.trial_id
    assert frame["score"].iloc[-1] == best.score == min(trial.score for trial in trials(made))
    assert frame["epoch"].iloc[0] == 0
    assert (frame["epoch"].iloc[1:].to_numpy() == frame["until"].iloc[:-1].to_numpy()).all()
    for child, parent in zip(frame["trial"].iloc[1:], frame["trial"].iloc[:-1], strict=True):
        assert made.oracle.trials[child].hyperparameters.values[PARENT] == parent
    for row in frame.itertuples():
        assert row.learning_rate == made.oracle.trials[row.trial].hyperparameters.values["learning_rate"]


def test_the_summary_shows_scores_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tuner(tmp_path, Live(), population_size=2, epochs=1)).results_summary()
    printed = capsys.readouterr().out
    assert printed.count("learning_rate: ") == 2
    assert printed.count("Score: ") == 2


# --- what is reported ---


def test_the_score_is_that_of_the_last_epoch_of_the_interval(tmp_path: Path) -> None:
    class Rising(Rebuilt):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            history = super().fit(hp, model, *args, **kwargs)
            history.history["val_loss"] = [1.0, 7.0]
            return history

    made = search(tuner(tmp_path, Rising(), population_size=2, interval=2, epochs=2))
    assert [trial.score for trial in trials(made)] == [7.0, 7.0]
    assert [trial.best_step for trial in trials(made)] == [2, 2]
    assert trials(made)[0].metrics.exists("val_mae")


@pytest.mark.parametrize(
    ("returned", "objective", "score"),
    [
        (0.25, None, 0.25),
        (np.float32(0.25), None, 0.25),
        ({"val_loss": 0.5, "other": 1.0}, "val_loss", 0.5),
        ([{"val_loss": 0.5}, {"val_loss": 1.5}], "val_loss", 1.0),
        ([1.0, 2.0], None, 1.5),
    ],
)
def test_fit_may_return_what_it_may_for_keras_tuner(
    tmp_path: Path, returned: Any, objective: str | None, score: float
) -> None:
    class Returns(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return returned

    made = search(tuner(tmp_path, Returns(), objective=objective, population_size=2, epochs=1))
    assert [trial.score for trial in trials(made)] == [score, score]


def test_several_objectives_are_added_up(tmp_path: Path) -> None:
    made = tuner(tmp_path, Live(), objective=["val_loss", keras_tuner.Objective("val_mae", "min")], epochs=1)
    for trial in trials(search(made)):
        parts = trial.metrics.get_last_value("val_loss") + trial.metrics.get_last_value("val_mae")
        assert trial.score == pytest.approx(parts)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, keras_tuner.errors.FatalTypeError, "return value of HyperModel.fit is None"),
        ("good", keras_tuner.errors.FatalTypeError, "to be one of float, dict"),
        ({"loss": 1.0}, keras_tuner.errors.FatalValueError, "val_loss"),
    ],
)
def test_what_fit_may_not_return_ends_the_search_at_once(
    tmp_path: Path, returned: Any, error: type[Exception], message: str
) -> None:
    class Returns(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return returned

    with pytest.raises(error, match=message):
        search(tuner(tmp_path, Returns()))


def test_a_misspelt_objective_ends_the_search_at_once(tmp_path: Path) -> None:
    made = tuner(tmp_path, Live(), objective=keras_tuner.Objective("val_los", "min"))
    with pytest.raises(UsageError, match=r"objective val_los: not among the metrics .* did you mean 'val_loss'"):
        search(made)


# --- callbacks ---


class Recorder(keras.callbacks.Callback):
    """Notes epochs; each trial has a copy of it."""

    seen: ClassVar[list[tuple[int, list[int]]]] = []

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)

    def on_train_end(self, logs: Any = None) -> None:
        Recorder.seen.append((id(self), self.epochs))


def test_callbacks_are_copied_for_each_trial_and_see_the_epochs_of_the_lineage(tmp_path: Path) -> None:
    Recorder.seen = []
    given = Recorder()
    made = search(tuner(tmp_path, Live(), interval=2, epochs=4), callbacks=[given])
    assert given.epochs == []
    for trial, (_, epochs) in zip(trials(made), Recorder.seen, strict=True):
        age = round(trial.hyperparameters.values[AGE])
        assert epochs == [age, age + 1]
    assert {round(trial.hyperparameters.values[AGE]) for trial in trials(made)} >= {0, 2}


def test_a_callback_that_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    class Open(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.file = open(__file__, encoding="utf-8")

    callback = Open()
    with pytest.raises(keras_tuner.errors.FatalValueError, match="deep-copyable"):
        search(tuner(tmp_path, Live()), callbacks=[callback])
    callback.file.close()


def test_a_learning_rate_that_a_callback_changed_does_not_reach_the_next_trial_of_a_live_model(
    tmp_path: Path,
) -> None:
    class ForgetsNothing(Live):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = build(hp)
            hp.Float("other", 0.0, 1.0)
            model.optimizer.learning_rate = 0.01
            return model

        def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
            """The learning rate is not searched here."""

    hypermodel = ForgetsNothing()
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    search(tuner(tmp_path, hypermodel, population_size=2), callbacks=[schedule])
    assert [began["learning_rate"] for began in hypermodel.began] == 6 * [pytest.approx(0.01)]


def test_tensorboard_writes_each_trial_into_its_own_folder(tmp_path: Path) -> None:
    callback = keras.callbacks.TensorBoard(str(tmp_path / "logs"))
    search(tuner(tmp_path, Live(), population_size=2, epochs=1), callbacks=[callback])
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["0", "1"]


# --- what goes wrong ---


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


class Held(keras.layers.Layer):
    """Scales by a hyperparameter that it keeps as a weight."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = self.add_weight(initializer=keras.initializers.Constant(scale), trainable=False, name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale


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
                raise MemoryError("no room")
            if len(self.began) == 3:
                raise keras_tuner.errors.FailedTrialError("not this one")
            return result

    made = search(tuner(tmp_path, Raises(), max_retries_per_trial=0))
    assert [trial.status for trial in trials(made)][:3] == ["COMPLETED", "FAILED", "FAILED"]
    assert "no room" in trials(made)[1].message
    assert len(made.oracle.end_order) == 9
    assert "trial 1 failed: MemoryError: no room" in caplog.text


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


def test_a_state_that_is_missing_is_an_error_and_no_fresh_start(tmp_path: Path) -> None:
    class StopsInTrial4(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 4:
                raise KeyboardInterrupt
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        search(tuner(tmp_path, StopsInTrial4()))
    for state in (tmp_path / "project" / "states").iterdir():
        state.unlink()
    with pytest.raises(StateError, match="this saved state is missing"):
        search(tuner(tmp_path, Live()))


def test_another_state_under_the_name_of_one_is_an_error(tmp_path: Path) -> None:
    class Swaps(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 2:
                first, second = sorted((tmp_path / "project" / "states").iterdir())[:2]
                first.write_bytes(second.read_bytes())
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(StateError, match=r"holds state .*, not "):
        search(tuner(tmp_path, Swaps(), population_size=2, epochs=4))


# --- models that Keras builds late, and models of one's own ---


class Late(keras.Model):
    """Is built when it sees data."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.out = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))


class BuiltLate(keras_tuner.HyperModel):
    """Remembers the iteration count at which training goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.iterations: list[int] = []

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = Late()
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=True)
        return model

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        self.iterations.append(int(model.optimizer.iterations))
        return model.fit(*args, **kwargs)


class BuiltLateAndKept(BuiltLate):
    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        model.optimizer.learning_rate = hp.get("learning_rate")


@pytest.mark.parametrize("kind", [BuiltLate, BuiltLateAndKept])
def test_a_model_that_is_built_when_it_sees_data_goes_on_from_its_parent_too(
    tmp_path: Path, kind: type[BuiltLate]
) -> None:
    hypermodel = kind()
    made = search(tuner(tmp_path, hypermodel, epochs=2))
    expected = [3 * round(trial.hyperparameters.values[AGE]) for trial in trials(made)]
    assert hypermodel.iterations == expected
    assert max(expected) > 0
    score = made.oracle.get_best_trials(1)[0].score
    best = made.get_best_models()[0]
    assert float(best.evaluate(*data(1, 64), verbose=0)) == pytest.approx(score, rel=1e-5)


def test_a_model_that_cannot_be_built_without_data_is_refused(tmp_path: Path) -> None:
    class Secretive(Late):
        def get_build_config(self) -> None:
            """Keep it to oneself."""

    class Builds(BuiltLate):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = Secretive()
            model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")), "mse")
            return model

    with pytest.raises(UsageError, match="the model cannot be built without data"):
        search(tuner(tmp_path, Builds()))


class Pair(keras.Model):
    """Two networks, two optimizers, a training step of its own."""

    def __init__(self, first_rate: float, second_rate: float) -> None:
        super().__init__()
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(1)
        self.first.build((None, 4))
        self.second.build((None, 4))
        self.built = True
        self.first_optimizer = keras.optimizers.Adam(first_rate)
        self.second_optimizer = keras.optimizers.SGD(second_rate, momentum=0.9)
        self.first_optimizer.build(self.first.trainable_variables)
        self.second_optimizer.build(self.second.trainable_variables)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def train_step(self, batch: Any) -> Any:
        import tensorflow as tf

        x, y = batch
        with tf.GradientTape(persistent=True) as tape:
            loss = keras.ops.mean((self(x) - y) ** 2)
        for part, optimizer in ((self.first, self.first_optimizer), (self.second, self.second_optimizer)):
            variables = part.trainable_variables
            optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return {"loss": loss}


def test_all_optimizers_of_a_model_are_inherited(tmp_path: Path) -> None:
    iterations: list[tuple[int, int]] = []

    class Two(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = Pair(hp.Float("first", 1e-4, 1e-2, sampling="log"), hp.Float("second", 1e-4, 1e-2, sampling="log"))
            model.compile(loss="mse", run_eagerly=True)
            return model

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            iterations.append((int(model.first_optimizer.iterations), int(model.second_optimizer.iterations)))
            assert float(model.first_optimizer.learning_rate) == pytest.approx(hp.get("first"), rel=1e-6)
            return model.fit(*args, **kwargs)

    made = search(tuner(tmp_path, Two()))
    ages = [3 * round(trial.hyperparameters.values[AGE]) for trial in trials(made)]
    assert iterations == [(age, age) for age in ages]


# --- the space ---


def test_hyperparameters_found_in_fit_are_searched_from_then_on(tmp_path: Path) -> None:
    class InFit(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            batch_size = hp.Choice("batch_size", [16, 32, 48])
            return super().fit(hp, model, *args, batch_size=batch_size, **kwargs)

    made = search(tuner(tmp_path, InFit(), population_size=5, epochs=2))
    assert len({trial.hyperparameters.values["batch_size"] for trial in trials(made)}) > 1
    assert "batch_size" in made.schedule()


def test_a_conditional_space_is_searched(tmp_path: Path) -> None:
    def build_conditional(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = build(hp)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        kind = hp.Choice("optimizer", ["sgd", "adam"])
        with hp.conditional_scope("optimizer", ["sgd"]):
            momentum = hp.Float("momentum", 0.0, 0.9)
        if kind == "sgd":
            model.compile(keras.optimizers.SGD(rate, momentum=momentum), "mse", run_eagerly=True)
        return model

    made = search(tuner(tmp_path, build_conditional, population_size=4, structural=["optimizer"]))
    for trial in trials(made):
        values = trial.hyperparameters.values
        assert ("momentum" in values) == (values["optimizer"] == "sgd")
    assert len({trial.hyperparameters.values["optimizer"] for trial in trials(made)}) == 2


def test_a_given_space_restricts_the_search(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-3, 2e-3)
    made = tuner(
        tmp_path,
        build_with_units,
        hyperparameters=hp,
        tune_new_entries=False,
        population_size=2,
        epochs=2,
    )
    search(made)
    for trial in trials(made):
        assert 1e-3 <= trial.hyperparameters.values["learning_rate"] <= 2e-3
        assert trial.hyperparameters.values.get("units", 2) == 2


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
        ({"exploit": "trunc"}, "no exploit strategy 'trunc'"),
        ({"explore": "pertrub"}, "no explorer 'pertrub'; did you mean 'perturb'"),
        ({"executions_per_trial": 2}, "executions_per_trial: a member has one state"),
        ({"directory": "gs://bucket/project"}, "directory gs://bucket/project: has to be a folder"),
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


def test_waiting_for_other_workers_pauses_longer_each_time_and_ends_with_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuner(tmp_path, Live(), population_size=2, epochs=1, synchronous=True)
    ask = made.oracle.create_trial
    idle = 8
    pauses: list[float] = []

    def create_trial(tuner_id: str) -> Any:
        nonlocal idle
        if made.oracle.trials and idle:
            idle -= 1
            return keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters(), "?", "IDLE")
        return ask(tuner_id)

    monkeypatch.setattr(made.oracle, "create_trial", create_trial)
    monkeypatch.setattr(front.time, "sleep", pauses.append)
    search(made)
    assert len(made.oracle.end_order) == 2
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


# --- tuners of one's own ---


def test_the_oracle_serves_a_tuner_of_ones_own(tmp_path: Path) -> None:
    class Climbs(keras_tuner.Tuner):
        """Ascends 1 - x**2 / 2 by the gradient; its state is one number."""

        reached: ClassVar[dict[str, float]] = {}

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            values = trial.hyperparameters.values
            x = self.reached[values["pbt/parent"]] if values["pbt/parent"] else 1.0
            for _ in range(values["search/epochs"]):
                x -= trial.hyperparameters.get("rate") * x
            self.reached[trial.trial_id] = x
            return {"height": 1 - x**2 / 2}

    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 0.5, sampling="log")
    oracle = nmt_pbt.PBTOracle(
        keras_tuner.Objective("height", "max"), population_size=4, interval=2, epochs=10, hyperparameters=hp, seed=0
    )
    made = Climbs(oracle=oracle, directory=tmp_path, project_name="own")
    made.search(verbose=0)
    assert len(oracle.end_order) == 20
    assert made.get_best_hyperparameters()[0].get("rate") > 0.01
    heights = [oracle.trials[trial].score for trial in oracle.start_order]
    assert max(heights[-4:]) == max(heights) > max(heights[:4])
