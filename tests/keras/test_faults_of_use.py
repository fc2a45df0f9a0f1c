"""Situations from public reports of tuning Keras models: each trains, with the right score, or is refused.

`test_situations.py` has them as a table, with what KerasTuner's Hyperband does beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import nmt_pbt
from nmt_pbt.base.errors import AllFailedError, SearchError, UsageError
from nmt_pbt.run.own_task import tell_words_that_change
from nmt_pbt.space.domains import Choice
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.state import content_hash
from tests.keras.keras_models import Live, Scaled, build, data, search, trials, tuner
from tests.keras.test_compare import records

DEV = data(1, 64)


def rate(hp: keras_tuner.HyperParameters) -> float:
    return float(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"))


def check_best(made: nmt_pbt.PopulationBasedTraining) -> keras.Model:
    """The best model evaluates to its score, which is the right value of a record."""
    best = made.get_best_models()[0]
    found = best.evaluate(*DEV, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(made.oracle.get_best_trials(1)[0].score, rel=1e-4)
    assert {trial.status for trial in trials(made)} == {"COMPLETED"}
    return best


# --- models that are built late ---


def build_late(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.layers.Dropout(0.2), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate(hp)), "mse", run_eagerly=True)
    return model


class LateAndKept(keras_tuner.HyperModel):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return build_late(hp)

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        model.optimizer.learning_rate = hp.get("learning_rate")


@pytest.mark.parametrize("kind", [build_late, LateAndKept()])
def test_a_model_without_input_whose_dropout_has_a_seed_before_it_is_built(tmp_path: Path, kind: Any) -> None:
    check_best(search(tuner(tmp_path, kind, epochs=2)))


# --- weights that fit leaves otherwise than it scored them ---


def averaging(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = build(hp)
    model.compile(keras.optimizers.SGD(rate(hp), use_ema=True, ema_momentum=0.9), "mse", run_eagerly=True)
    return model


def test_training_goes_on_from_the_weights_and_not_from_their_average(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("learning_rate", 0.05)
    made = search(tuner(tmp_path, averaging, hyperparameters=hp, tune_new_entries=False, population_size=2, epochs=4))
    check_best(made)
    keras.utils.set_random_seed(0)
    alone = averaging(hp)
    alone.fit(*data(0), epochs=4, validation_data=DEV, verbose=0)
    best = made.oracle.get_best_trials(1)[0].score
    assert best < 2 * alone.history.history["val_loss"][-1]
    ended = [trial.score for trial in trials(made)][-2:]
    assert min(ended) < min(trial.score for trial in trials(made)[:2])


def test_the_score_is_of_the_state_that_a_callback_restored(tmp_path: Path) -> None:
    def rising(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = build(hp)
        model.compile(keras.optimizers.SGD(hp.Float("much", 0.9, 1.1)), "mse", run_eagerly=True)
        return model

    restoring = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
    made = search(tuner(tmp_path, rising, population_size=2, interval=3, epochs=3), callbacks=[restoring])
    check_best(made)


def test_a_callback_that_would_end_an_interval_is_refused(tmp_path: Path) -> None:
    stopping = keras.callbacks.EarlyStopping(patience=1)
    with pytest.raises(UsageError, match="EarlyStopping would end an interval early"):
        search(tuner(tmp_path, build, interval=3, epochs=3), callbacks=[stopping])

    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    with pytest.raises(UsageError, match="a callback ended training after 1 of 3 epochs"):
        search(tuner(tmp_path, build, interval=3, epochs=3), callbacks=[Ends()])


def test_the_score_is_of_the_last_epoch_where_validation_is_rarer(tmp_path: Path) -> None:
    check_best(search(tuner(tmp_path, build, population_size=2, interval=2, epochs=2), validation_freq=3))


class Adapts(keras_tuner.HyperModel):
    """Normalizes by the training data."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Normalization()(inputs)))
        model.compile(keras.optimizers.Adam(rate(hp)), "mse")
        return model

    def fit(self, hp: Any, model: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        model.layers[1].adapt(100 * x)
        return model.fit(100 * x, *args, **kwargs)


def test_an_adapted_normalization_layer_is_inherited(tmp_path: Path) -> None:
    made = tuner(tmp_path, Adapts(), population_size=2, epochs=2)
    dev = 100 * DEV[0], DEV[1]
    made.search(*data(0), validation_data=dev, verbose=0)
    found = made.get_best_models()[0].evaluate(*dev, verbose=0)
    assert found == pytest.approx(made.oracle.get_best_trials(1)[0].score, rel=1e-4)


# --- optimizers ---


class Paired(keras.Model):
    """Two networks, and two optimizers that it keeps as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(1)
        self.first.build((None, 4))
        self.second.build((None, 4))
        self.built = True

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def pairs(self) -> list[tuple[Any, Any]]:
        return [(self.first, self.first_optimizer), (self.second, self.second_optimizer)]

    def compile(self, first: Any, second: Any, **kwargs: Any) -> None:
        super().compile(**kwargs)
        self.first_optimizer, self.second_optimizer = first, second

    def train_step(self, batch: Any) -> Any:
        import tensorflow as tf

        x, y = batch
        with tf.GradientTape(persistent=True) as tape:
            loss = keras.ops.mean((self(x) - y) ** 2)
        for part, optimizer in self.pairs():
            variables = part.trainable_variables
            optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return {"loss": loss}


class Listed(Paired):
    def compile(self, first: Any, second: Any, **kwargs: Any) -> None:
        keras.Model.compile(self, **kwargs)
        self.both = [first, second]

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(zip((self.first, self.second), self.both, strict=True))


@pytest.mark.parametrize("kind", [Paired, Listed])
def test_optimizers_that_only_train_step_builds_are_inherited(tmp_path: Path, kind: type[Paired]) -> None:
    iterations: list[list[int]] = []

    class Two(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = kind()
            model.compile(keras.optimizers.Adam(rate(hp)), keras.optimizers.SGD(0.01), loss="mse", run_eagerly=True)
            return model

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            iterations.append([int(optimizer.iterations) for _, optimizer in model.pairs()])
            return model.fit(*args, **kwargs)

    search(tuner(tmp_path, Two(), population_size=2, epochs=2))
    assert iterations == [[0, 0], [0, 0], [3, 3], [3, 3]]


def test_an_optimizer_made_in_fit_is_refused(tmp_path: Path) -> None:
    class Compiles(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
            return model.fit(*args, **kwargs)

    with pytest.raises(UsageError, match=r"gave the model another optimizer .* compile the model in build"):
        search(tuner(tmp_path, Compiles()))


# --- how fit is used ---


def test_a_metric_without_a_name_is_found_whatever_keras_counts_up(tmp_path: Path) -> None:
    class Area(Live):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
            model.compile(
                keras.optimizers.Adam(rate(hp)), "binary_crossentropy", metrics=[keras.metrics.AUC()], run_eagerly=True
            )
            return model

    made = tuner(tmp_path, Area(), objective=keras_tuner.Objective("val_auc", "max"), population_size=2, epochs=2)
    x, y = data(0)
    made.search(x, (y > 0).astype("float32"), validation_data=(x, (y > 0).astype("float32")), verbose=0)
    assert all(0 <= trial.score <= 1 for trial in trials(made))


def test_a_loop_over_all_epochs_in_fit_is_refused(tmp_path: Path) -> None:
    class Loops(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            for callback in kwargs["callbacks"]:
                callback.set_model(model)
            for epoch in range(kwargs["epochs"]):
                for callback in kwargs["callbacks"]:
                    callback.on_epoch_end(epoch, {"val_loss": 1.0 / (1 + epoch)})
            return 1.0

    with pytest.raises(UsageError, match=r"trained 2 epochs where 1 were planned; .*kwargs\['initial_epoch'\]"):
        search(tuner(tmp_path, Loops(), objective=None))


def test_a_fault_of_the_users_code_is_told_with_its_place(tmp_path: Path) -> None:
    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no such column")

    with pytest.raises(SearchError, match=r"ValueError: no such column \(test_faults_of_use.py, line \d+, in fit\)"):
        search(tuner(tmp_path, Raises()))


def test_the_first_line_of_a_graph_error_is_not_its_reason(tmp_path: Path) -> None:
    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("Graph execution error:\n\nDetected at node x\n<stack traces>\nlabel 10 is outside [0, 9]")

    with pytest.raises(SearchError, match="ValueError: label 10 is outside"):
        search(tuner(tmp_path, Raises()))


def test_labels_of_the_wrong_kind_are_told_in_a_line(tmp_path: Path) -> None:
    def classifying(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.Adam(rate(hp)), "categorical_crossentropy", run_eagerly=True)
        return model

    with pytest.raises(SearchError, match=r"all 2 members failed, the last one with: ValueError: .*shape") as told:
        search(tuner(tmp_path, classifying, population_size=2, epochs=1))
    assert "\n" not in str(told.value)
    assert "; mend that, or narrow the search space if it comes of the values; then search afresh" in str(told.value)
    with pytest.raises(SearchError) as again:
        search(tuner(tmp_path, classifying, population_size=2, epochs=1))
    assert str(again.value) == str(told.value)  # what the folder holds is replayed, and so the advice is another one
    assert "in another folder" in str(again.value)


def test_a_model_that_is_too_large_is_told_with_what_else_may_be_the_cause() -> None:
    told = str(AllFailedError.of("all", "FailedTrialError: the model has 9 parameters, more than max_model_size=3"))
    assert "; mend that, or narrow the search space if it comes of the values; then search afresh" in told


@pytest.mark.parametrize("kind", ["MemoryError", "ResourceExhaustedError"])
def test_too_little_memory_is_told_as_such(tmp_path: Path, kind: str) -> None:
    import tensorflow as tf

    class Raises(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if kind == "MemoryError":
                raise MemoryError("no more")
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(SearchError, match="failed, the last one with: out of memory; narrow the search space"):
        search(tuner(tmp_path, Raises(), population_size=2, epochs=1))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"validation_data": None}, "objective val_loss: there is nothing to compute it on; give validation_data"),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, r"callbacks: expected a list; .*callbacks=\[...\]"),
        ({"callbacks": [keras.callbacks.BackupAndRestore("backup")]}, "BackupAndRestore would restore one trial's"),
        ({"x": (batch for batch in [data(0)])}, "x: a generator is used up by the first model"),
    ],
)
def test_what_fit_cannot_be_given_is_refused_before_anything_is_trained(
    tmp_path: Path, kwargs: dict[str, Any], message: str
) -> None:
    hypermodel = Live() if "x" in kwargs else build
    arguments = {"x": data(0)[0], "y": data(0)[1], "validation_data": DEV, **kwargs}
    if "x" in kwargs:
        del arguments["y"]
    with pytest.raises(UsageError, match=message):
        tuner(tmp_path, hypermodel).search(verbose=0, **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epochs": 9}, "max_epochs: no such argument of Population Based Training; give epochs"),
        ({"max_trials": 9}, "max_trials: no such argument .* give population_size"),
        ({"populaton_size": 9}, "populaton_size: no such argument; did you mean 'population_size'"),
        ({"initial": {"learning_rate": 0.1}}, "initial: expected a list with a dictionary"),
        ({"population_size": 2.0}, "population_size=2.0: has to be a whole number"),
        ({"epochs": float("inf")}, "epochs=inf: Keras trains whole epochs"),
        ({"seed": "x"}, "seed='x': has to be a whole number"),
        ({"exploit": object()}, "exploit=.*: give the name of a strategy, or an object"),
        ({"distribution_strategy": object()}, "distribution_strategy: .* workers="),
    ],
)
def test_arguments_that_there_are_not_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tuner(tmp_path, build, **changes)


def test_a_search_in_which_no_model_ever_decides_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tuner(tmp_path / "two", build, epochs=2)
    tuner(tmp_path / "none", build, epochs=2, interval=2, exploit=None)
    assert "decides" not in caplog.text
    tuner(tmp_path / "one", build, epochs=2, interval=2)
    assert "epochs=2 is one interval=2: no model ever decides, which makes this a random search" in caplog.text


def test_run_trial_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Own(nmt_pbt.PopulationBasedTraining):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return 1.0

    with pytest.raises(
        UsageError, match=r"run_trial: .* write HyperModel\.fit instead, or .*PBTOracle\(hyperparameters=\.\.\.\)"
    ):
        Own(build, objective="val_loss", directory=tmp_path)


# --- callbacks that change hyperparameters, and hyperparameters that change in training ---


@pytest.mark.parametrize("kind", [build, Live()])
def test_what_a_callback_does_to_the_learning_rate_goes_on_along_the_lineage_and_is_told(
    tmp_path: Path, kind: Any
) -> None:
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    made = search(tuner(tmp_path, kind, population_size=4, epochs=4, interval=2), callbacks=[halving])
    history = made.history()
    assert history["inherited"].any()
    for _, row in history.iterrows():
        assert row["learning_rate"] == made.oracle.trials[row["trial"]].hyperparameters.values["learning_rate"]
        assert row["optimizer.learning_rate"] == pytest.approx(row["learning_rate"] * 0.5 ** row["epoch"])
    told = made.schedule()
    assert list(told)[:4] == ["epoch", "until", "learning_rate", "optimizer.learning_rate"]
    assert list(told["optimizer.learning_rate"] / told["learning_rate"]) == pytest.approx([1 / 4, 1 / 16])


def test_an_activation_that_may_change_in_mid_training_is_told_with_how_to_keep_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def activated(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = build(hp)
        model.layers[1].activation = keras.activations.get(hp.Choice("activation", ["relu", "tanh"]))
        return model

    told = "activation: Population Based Training may change this in mid-training, .* structural=\\('activation',\\)"
    search(tuner(tmp_path / "undeclared", activated, population_size=2, epochs=1))
    assert len(re.findall(told, caplog.text)) == 1
    common: dict[str, Any] = {"validation_data": DEV, "seeds": 1, "population": 2, "epochs": 1, "workers": 1}
    for _ in range(2):  # told once, when it begins
        nmt_pbt.compare(activated, *data(0), methods=("pbt",), directory=tmp_path / "compared", verbose=0, **common)
        assert len(re.findall(told, caplog.text)) == 2
    caplog.clear()
    nmt_pbt.compare(activated, *data(0), methods=("random",), directory=tmp_path / "random", verbose=0, **common)
    search(tuner(tmp_path / "structural", activated, population_size=2, epochs=1, structural=["activation"]))
    search(tuner(tmp_path / "frozen", activated, population_size=2, epochs=1, frozen=["activation"]))
    nmt_pbt.keras_task(activated, *data(0), validation_data=DEV, structural=["activation"])
    assert "mid-training" not in caplog.text


def test_a_hyperparameter_in_another_variable_that_training_changes_is_refused(tmp_path: Path) -> None:
    class Fades(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.layers[1].scale.assign(self.model.layers[1].scale / 2)

    with pytest.raises(
        UsageError, match=r"^scale is kept in the model's variable .*scale, and training changed it from .* callback"
    ):
        search(tuner(tmp_path, Scaled({"scale", "learning_rate"})), callbacks=[Fades()])


def test_several_words_that_may_change_are_told_together(caplog: pytest.LogCaptureFixture) -> None:
    tell_words_that_change(Space((Choice("kind", ("a", "b")), Choice("on", (False, True)))))
    assert "kind, on: Population Based Training may change them in mid-training" in caplog.text


def test_a_misspelt_structural_name_of_a_task_is_refused() -> None:
    with pytest.raises(UsageError, match="structural learning_rat: not in the search space; did you mean"):
        nmt_pbt.keras_task(build, *data(0), validation_data=DEV, structural=["units_*", "learning_rat"])


class Halves(keras.callbacks.Callback):
    """Anneals the hyperparameter `scale`."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.layers[1].scale.assign(self.model.layers[1].scale / 2)


class ScaledAnew(keras_tuner.HyperModel):
    """Builds `Scaled` for each trial."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return Scaled(set()).build(hp)


@pytest.mark.parametrize("kind", [ScaledAnew(), Scaled({"scale", "learning_rate"})])
def test_what_training_makes_of_a_hyperparameter_goes_on_in_whatever_process(kind: Any) -> None:
    task = nmt_pbt.keras_task(kind, *data(0), validation_data=DEV, callbacks=[Halves()])
    live, other = task.build({}), task.build({})
    for scale in (0.5, 1.6):  # the process has seen other models
        values = {"scale": scale, "learning_rate": 0.01, "constant": 1.0}
        live.reset(1)
        live.set_hyperparameters(values)
        live.train(1)
    other.load(live.state())
    other.set_hyperparameters(values)
    for trainable in (live, other):
        trainable.train(1)
        assert float(trainable.model.layers[1].scale) == pytest.approx(0.4)
    assert content_hash(live.state()) == content_hash(other.state())
    if isinstance(kind, Scaled):
        with pytest.raises(UsageError, match=r"^scale is kept in .*, and training changed it from 1.6 to 0.4"):
            other.set_hyperparameters({**values, "scale": 0.7})


@pytest.mark.parametrize("kind", [ScaledAnew(), Scaled({"scale", "learning_rate"})])
def test_what_training_made_of_a_hyperparameter_goes_on_where_another_takes_a_new_value(kind: Any) -> None:
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    task = nmt_pbt.keras_task(kind, *data(0), validation_data=DEV, callbacks=[Halves(), halving])
    live, other = task.build({}), task.build({})
    values = {"scale": 1.6, "learning_rate": 0.01, "constant": 1.0}
    live.reset(1)
    live.set_hyperparameters(values)
    live.train(1)
    donor = live.state()
    live.set_hyperparameters({**values, "constant": 0.5})
    for trainable in (live, other):
        trainable.load(donor)
        trainable.set_hyperparameters({**values, "constant": 0.5})
        assert float(trainable.model.layers[1].scale) == pytest.approx(0.8)
        assert float(trainable.model.optimizer.learning_rate) == pytest.approx(0.005)
        trainable.train(1)
    assert content_hash(live.state()) == content_hash(other.state())
    live.load(donor)
    live.set_hyperparameters({**values, "learning_rate": 0.04})
    assert float(live.model.layers[1].scale) == pytest.approx(0.8)
    assert float(live.model.optimizer.learning_rate) == pytest.approx(0.02)


def test_a_hyperparameter_that_training_changes_is_no_fault_where_values_stay(tmp_path: Path) -> None:
    common: dict[str, Any] = {"methods": ("random",), "seeds": 1, "population": 3, "epochs": 2, "verbose": 0}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        nmt_pbt.compare(
            ScaledAnew(),
            *data(0),
            validation_data=DEV,
            callbacks=[Halves()],
            workers=workers,
            directory=folder,
            **common,
        )
    assert records(tmp_path / "1") == records(tmp_path / "2")


def test_whether_a_rate_is_constant_may_be_searched_without_apply(tmp_path: Path) -> None:
    def build_scheduled(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        lr = rate(hp)
        if hp.Choice("schedule", ["constant", "decay"]) == "decay":
            lr = keras.optimizers.schedules.ExponentialDecay(lr, 10, 0.9)
        model.compile(keras.optimizers.Adam(lr), "mse", run_eagerly=True)
        return model

    trainable = nmt_pbt.keras_task(build_scheduled, *data(0), validation_data=DEV).build({})
    for seed, schedule in enumerate(("constant", "constant", "decay")):
        trainable.reset(seed)
        trainable.set_hyperparameters({"learning_rate": 0.01 * (1 + seed), "schedule": schedule})
        assert trainable.train(1)["train_loss"] > 0


def test_a_plateau_that_no_interval_is_long_enough_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ReduceLROnPlateau .* patience=3 and interval=3 never cuts the rate"):
        search(tuner(tmp_path, build, interval=3, epochs=3), callbacks=[keras.callbacks.ReduceLROnPlateau(patience=3)])


# --- folders ---


def test_a_folder_is_gone_on_with_by_the_same_search_alone(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = search(tuner(tmp_path, Live(), population_size=2, epochs=1))
    for changes, message in (
        ({"objective": keras_tuner.Objective("val_mae", "min")}, "search.objective was 'val_loss' and is 'val_mae'"),
        ({"epochs": 2}, "training.epochs was 1.0 and is 2.0"),
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"explore": np.copy}, "strategies"),
    ):
        with pytest.raises(UsageError, match=rf"the settings changed .*{message}.* another project_name"):
            tuner(tmp_path, Live(), **{"population_size": 2, "epochs": 1, **changes})
    capsys.readouterr()
    made.search(*data(0), validation_data=DEV)
    assert "this search is finished" in capsys.readouterr().out
    monkeypatch.setattr("nmt_pbt.tasks.keras.tuner.check_trackers", lambda names: None)
    search(tuner(tmp_path, Live(), population_size=2, epochs=1, track=["mlflow"]))
    assert "nothing was tracked; nmt-pbt report" in caplog.text
    (tmp_path / "project" / "oracle.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a project of another form"):
        tuner(tmp_path, Live(), population_size=2, epochs=1)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    with pytest.raises(UsageError, match=r"KERASTUNER_ORACLE_IP is set: .* give workers="):
        tuner(tmp_path / "other", Live())


def test_a_second_process_in_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    class Starts(Live):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            if len(self.began) == 1:
                other = tuner(tmp_path, Live(), population_size=2, epochs=1)
                with pytest.raises(UsageError, match=r"another process"):
                    search(other)
            return super().fit(hp, model, *args, **kwargs)

    made = search(tuner(tmp_path, Starts(), population_size=2, epochs=1))
    assert [trial.status for trial in trials(made)] == ["COMPLETED", "COMPLETED"]


def test_hyperparameters_of_a_loop_are_all_searched_from_the_beginning(tmp_path: Path) -> None:
    def layered(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,))])
        for layer in range(hp.Int("layers", 1, 3)):
            model.add(keras.layers.Dense(hp.Int(f"units_{layer}", 1, 8)))
        model.add(keras.layers.Dense(1))
        model.compile(keras.optimizers.Adam(rate(hp)), "mse", run_eagerly=True)
        return model

    made = tuner(tmp_path, layered, structural=["layers", "units_*"], population_size=2, epochs=1)
    assert {one.name for one in made.oracle.get_space().space} == {
        *("layers", "units_0", "units_1", "units_2", "learning_rate"),
    }
    with pytest.raises(UsageError, match=r"^layers, units_0 decide"):
        search(tuner(tmp_path / "undeclared", layered))


def test_a_variable_of_the_backend_that_a_model_holds_itself_is_inherited(tmp_path: Path) -> None:
    import tensorflow as tf

    seen: list[float] = []

    class Counts(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.steps = tf.Variable(0.0)

        def train_step(self, *args: Any, **kwargs: Any) -> Any:
            self.steps.assign_add(1.0)
            return super().train_step(*args, **kwargs)

    class Counted(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            inputs = keras.Input((4,))
            model = Counts(inputs=inputs, outputs=keras.layers.Dense(1)(inputs))
            model.compile(keras.optimizers.Adam(rate(hp)), "mse", run_eagerly=True)
            return model

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(float(model.steps))
            return model.fit(*args, **kwargs)

    search(tuner(tmp_path, Counted(), population_size=2, epochs=2))
    assert seen == [0.0, 0.0, 3.0, 3.0]
