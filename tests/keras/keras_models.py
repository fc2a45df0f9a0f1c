"""Small Keras models to tune, and data for them."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

import nmt_pbt
from nmt_pbt.base.randomness import generator

# KerasTuner collects garbage before each build, and looks at all objects of TensorFlow and of the test run each time.
gc.freeze()

CALLS = {"build": 0, "trace": 0}
"""How often a model was built, and its training step traced, since a test set these to 0."""


def data(seed: int = 0, count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return points [count, 4] and a smooth function of them [count, 1]."""
    x = generator(seed, "test data").normal(size=(count, 4)).astype("float32")
    return x, np.sin(x.sum(axis=1, keepdims=True))


class Counted(keras.Model):
    """A functional model that counts traces."""

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        CALLS["trace"] += 1
        return super().train_step(*args, **kwargs)


def build(hp: keras_tuner.HyperParameters, units: int = 8, eager: bool = True) -> keras.Model:
    """Build a regression with a searched learning rate; tracing one takes longer than training it."""
    CALLS["build"] += 1
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(1)(keras.layers.Dense(units, activation="tanh")(inputs))
    model = Counted(inputs, outputs)
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"], run_eagerly=eager)
    return model


def build_with_units(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Build a regression whose width is searched too."""
    return build(hp, hp.Int("units", 2, 32))


class Rebuilt(keras_tuner.HyperModel):
    """Rebuilds for each trial, and remembers the state each of them began with."""

    def __init__(self, eager: bool = True) -> None:
        super().__init__()
        self.eager = eager
        self.began: list[dict[str, Any]] = []

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return build(hp, eager=self.eager)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        optimizer = model.optimizer
        self.began.append(
            {
                "values": dict(hp.values),
                "weights": [weight.copy() for weight in model.get_weights()],
                "slots": [slot.numpy() for slot in optimizer.variables if slot.name != "learning_rate"],
                "learning_rate": float(optimizer.learning_rate),
            }
        )
        return model.fit(*args, **kwargs)


class Live(Rebuilt):
    """Keeps one live model."""

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        model.optimizer.learning_rate = hp.get("learning_rate")


class Held(keras.layers.Layer):
    """Scales by a hyperparameter that it keeps as a weight."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = self.add_weight(initializer=keras.initializers.Constant(scale), trainable=False, name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale


class Scaled(keras_tuner.HyperModel):
    """Keeps `scale` and the learning rate in variables; assigns only some of them, and holds a constant besides."""

    def __init__(self, assigned: set[str]) -> None:
        super().__init__()
        self.assigned = assigned

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        inputs = keras.Input((4,))
        scale, rate = hp.Float("scale", 0.5, 2.0), hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        hp.Choice("constant", [0.5, 1.0])
        hidden = Held(1.0)(Held(scale)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=True)
        return model

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        if "scale" in self.assigned:
            model.layers[1].scale.assign(hp.get("scale"))
        if "learning_rate" in self.assigned:
            model.optimizer.learning_rate = hp.get("learning_rate")


def tuner(folder: Path, hypermodel: Any, **changes: Any) -> nmt_pbt.PopulationBasedTraining:
    """Return a small tuner with seed 0."""
    arguments: dict[str, Any] = {
        "objective": "val_loss",
        "population_size": 3,
        "epochs": 3,
        "seed": 0,
        "directory": folder,
        "project_name": "project",
    }
    return nmt_pbt.PopulationBasedTraining(hypermodel, **{**arguments, **changes})


def search(made: nmt_pbt.PopulationBasedTraining, **kwargs: Any) -> nmt_pbt.PopulationBasedTraining:
    """Run a tuner quietly on the data."""
    made.search(*data(0), validation_data=data(1, 64), verbose=0, **kwargs)
    return made


def trials(made: nmt_pbt.PopulationBasedTraining) -> list[Any]:
    """Return a tuner's trials in the order they were given out."""
    return [made.oracle.trials[trial] for trial in made.oracle.start_order]


def story(made: nmt_pbt.PopulationBasedTraining) -> list[tuple[str, dict[str, Any], float | None, str]]:
    """What happened: each trial with its values, score and status."""
    return [(trial.trial_id, trial.hyperparameters.values, trial.score, trial.status) for trial in trials(made)]
