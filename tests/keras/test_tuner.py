"""`PopulationBasedTraining` on small Keras models: what is inherited, kept, reported and called back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np
import pytest

import nmt_pbt
from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.oracles.pbt import AGE, INHERITED, PARENT
from nmt_pbt.track.feed import TrackedModel
from tests.keras.keras_models import CALLS, Live, Rebuilt, build, data, search, story, trials, tuner


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
        (trial, values, pytest.approx(score, rel=1e-6)) for trial, values, score, _ in story(rebuilt)
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


def test_a_learning_rate_that_a_callback_changed_reaches_its_lineage_and_no_other_trial_of_a_live_model(
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
    expected = [rate for rate in (0.01, 0.005, 0.0025) for _ in range(2)]
    assert [began["learning_rate"] for began in hypermodel.began] == [pytest.approx(rate) for rate in expected]


def test_tensorboard_writes_each_trial_into_its_own_folder(tmp_path: Path) -> None:
    callback = keras.callbacks.TensorBoard(str(tmp_path / "logs"))
    search(tuner(tmp_path, Live(), population_size=2, epochs=1), callbacks=[callback])
    assert len(list((tmp_path / "logs").iterdir())) == 2


def test_a_search_that_a_rule_stopped_has_its_best_model_and_stays_stopped(tmp_path: Path) -> None:
    def tuned() -> nmt_pbt.PopulationBasedTraining:
        tuner = nmt_pbt.PopulationBasedTraining(
            build,
            objective="val_loss",
            population_size=2,
            epochs=3,
            seed=0,
            stop={"target": 100.0},
            directory=tmp_path,
            project_name="stopped",
        )
        tuner.search(*data(0), validation_data=data(1, 64), verbose=0)
        return tuner

    found = tuned()
    assert len(found.history()) == len(tuned().history()) == 1
    assert found.get_best_models()[0].built


def test_a_tracker_is_told_each_interval_of_each_model_once_whatever_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, float]] = []

    class Notes:
        def start(self, model: TrackedModel) -> int:
            return sum(label == model.label for label, _, _ in told)

        def log(self, model: TrackedModel, interval: int, metrics: Mapping[str, float]) -> None:
            told.append((model.label, interval, metrics["val_loss"]))

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: None

    class StopsInTrial3(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 3:
                raise KeyboardInterrupt
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(UsageError, match="tracker 'mlflo': there is no such one; did you mean 'mlflow'"):
        tuner(tmp_path, Live(), track=["mlflo"])
    monkeypatch.setattr("nmt_pbt.track.names.find_spec", lambda name: True)
    notes = Notes()
    monkeypatch.setattr("nmt_pbt.track.tracking.open_tracker", lambda name, run: notes)
    with pytest.raises(KeyboardInterrupt):
        search(tuner(tmp_path, StopsInTrial3(), population_size=2, epochs=2, track=["mlflow"]))
    history = search(tuner(tmp_path, Live(), population_size=2, epochs=2, track=["mlflow"])).history()
    assert [score for _, _, score in told] == list(history["val_loss"])
    assert len({(label, interval) for label, interval, _ in told}) == 4


def test_a_search_that_has_ended_goes_on_with_more_epochs(tmp_path: Path) -> None:
    def tuned(folder: str, **lengths: int) -> nmt_pbt.PopulationBasedTraining:
        arguments = {"population_size": 3, "seed": 0, "directory": tmp_path, "project_name": folder}
        found = nmt_pbt.PopulationBasedTraining(build, "val_loss", **arguments, **lengths)
        found.search(*data(0), validation_data=data(1, 64), verbose=0)
        return found

    whole = tuned("whole", epochs=3)
    tuned("on", epochs=2)
    on = tuned("on", epochs=2, more_epochs=1)
    assert on.history().equals(whole.history())
    assert on.get_best_hyperparameters()[0].values == whole.get_best_hyperparameters()[0].values
    assert len(on.get_best_models(3)) == 3
    assert tuned("on", epochs=2, more_epochs=1).history().equals(whole.history())
    with pytest.raises(UsageError, match="3 epochs of a member are no whole intervals of 2"):
        tuned("cut", epochs=2, more_epochs=1, interval=2)
