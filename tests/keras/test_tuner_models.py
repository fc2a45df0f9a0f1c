"""`PopulationBasedTraining` on models that Keras builds late, models and spaces of all kinds; `PBTOracle` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import keras
import keras_tuner
import pytest

import nmt_pbt
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.worker import TrainablePool
from nmt_pbt.search.oracles.pbt import AGE
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.keras.trainable import KerasTrainable
from tests.keras.keras_models import Live, build, build_with_units, data, search, trials, tuner

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


class OfManyShapes(keras_tuner.HyperModel):
    """A live model of each of many widths."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 64))])
        model.compile("sgd", "mse")
        return model

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        """Nothing changes in training."""


def test_live_models_of_shapes_that_were_not_used_for_long_are_let_go() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 64)
    objective = keras_tuner.Objective("val_loss", "min")
    task = KerasTask(OfManyShapes(), hp, FitArguments(), objective, structural=frozenset({"units"}))
    pool = TrainablePool(task)

    def model_of(units: int) -> keras.Model:
        trainable = cast(KerasTrainable, pool.get({"units": units}).trainable)
        trainable.reset(0)
        trainable.set_hyperparameters({"units": units})
        return trainable.model

    kept = [model_of(units) for units in range(1, 20)]
    assert model_of(19) is kept[-1]
    assert model_of(16) is kept[-4]
    assert model_of(1) is not kept[0]
    assert len(pool._live) == 4
    assert model_of(16) is kept[-4]
