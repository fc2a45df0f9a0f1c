"""Population Based Training of an ordinary Keras model, next to Hyperband: one line differs.

Recognises handwritten digits that scikit-learn ships, from few examples, so that the rate of dropout matters.

    python examples/keras_model.py
"""

from __future__ import annotations

import tempfile
import time

import keras
import keras_tuner
import numpy as np
from sklearn.datasets import load_digits

import nmt_pbt

EPOCHS = 8


class AdjustableDropout(keras.layers.Layer):
    """Dropout whose rate can change in training: Keras's own keeps the rate it was traced with."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = self.add_weight(initializer=keras.initializers.Constant(rate), trainable=False, name="rate")
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        """Drop inputs in training, and scale up the rest."""
        if not training:
            return inputs
        kept = keras.random.uniform(keras.ops.shape(inputs), seed=self.seed_generator) >= self.rate
        return keras.ops.where(kept, inputs / (1 - self.rate), 0.0)


class Digits(keras_tuner.HyperModel):
    """A network with one hidden layer."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build it, as for any tuner."""
        model = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(128, activation="relu"),
                AdjustableDropout(hp.Float("dropout", 0.0, 0.8)),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        """Put other values in force in a live model. Optional: it saves building and tracing a model for each trial."""
        model.optimizer.learning_rate = hp.get("learning_rate")
        model.layers[1].rate.assign(hp.get("dropout"))


def main() -> None:
    """Search with both, and test the best model of each on examples that neither saw."""
    digits = load_digits()
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(digits.data))
    x, y = (digits.data[order] / 16).astype("float32"), digits.target[order]
    train, dev, test = slice(0, 300), slice(300, 700), slice(700, None)

    with tempfile.TemporaryDirectory() as folder:
        common = {"objective": "val_loss", "seed": 0, "directory": folder}
        tuners = {
            "Hyperband": keras_tuner.Hyperband(Digits(), max_epochs=EPOCHS, project_name="hyperband", **common),
            "PBT": nmt_pbt.PopulationBasedTraining(
                Digits(), epochs=EPOCHS, population_size=6, project_name="pbt", **common
            ),
        }
        for name, tuner in tuners.items():
            keras.utils.set_random_seed(0)  # PBT seeds weights by itself
            began = time.perf_counter()
            tuner.search(
                x[train], y[train], validation_data=(x[dev], y[dev]), validation_batch_size=len(x[dev]), verbose=0
            )
            seconds = time.perf_counter() - began
            score = tuner.oracle.get_best_trials(1)[0].score
            loss, accuracy = tuner.get_best_models()[0].evaluate(x[test], y[test], verbose=0)
            print(
                f"{name:10} dev loss {score:.3f}, test loss {loss:.3f}, test accuracy {accuracy:.1%}, "
                f"{epochs_trained(tuner)} epochs trained in {seconds:.0f} s"
            )
        print("\nThe schedule that PBT found:")
        columns = ["epoch", "until", "dropout", "learning_rate", "score", "inherited"]
        print(tuners["PBT"].schedule()[columns].round(4).to_string(index=False))


def epochs_trained(tuner: keras_tuner.Tuner) -> int:
    """Return the epochs that all trials of a tuner trained together."""
    values = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    if "search/epochs" in values[0]:
        return sum(round(trial["search/epochs"]) for trial in values)
    return sum(trial["tuner/epochs"] - trial["tuner/initial_epoch"] for trial in values)


if __name__ == "__main__":
    main()
