"""Keras models that start from given weights: of a file, or of another run's winner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import nmt_pbt
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.keras.model_state import capture, start_with
from nmt_pbt.tasks.state import START, StateStore, content_hash, weights_of
from tests.keras.keras_models import build, build_with_units, data
from tests.keras.test_compare import compared, records


class Frozen(keras.optimizers.SGD):
    """Leaves weights as they are, so that a trained model tells what it started from."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move nothing."""


class Unmoved(keras_tuner.HyperModel):
    """A regression that does not move, with a hyperparameter in a variable."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        rate = Rate(hp.Float("rate", 0.0, 0.5))
        model = keras.Sequential([keras.Input((4,)), rate, keras.layers.Dense(1)])
        model.compile(Frozen(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), "mse", run_eagerly=True)
        return model


class Rate(keras.layers.Layer):
    """Keeps a rate in a variable, and multiplies with what is left."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = self.add_weight(initializer=keras.initializers.Constant(rate), trainable=False, name="rate")

    def call(self, inputs: Any) -> Any:
        """Shrink."""
        return inputs * (1 - self.rate)


def saved(folder: Path, name: str) -> tuple[Path, np.ndarray]:
    """Save weights that no initializer draws."""
    model = Unmoved().build(keras_tuner.HyperParameters())
    model.layers[1].kernel.assign(np.array([[1.0], [2.0], [3.0], [4.0]]))
    path = folder / name
    (model.save_weights if name.endswith("h5") else model.save)(path)
    return path, model.layers[1].kernel.numpy()


@pytest.mark.parametrize("name", ["given.weights.h5", "given.keras"])
@pytest.mark.timeout(600)
def test_every_model_starts_from_the_weights_of_a_file_and_keeps_its_own_values(tmp_path: Path, name: str) -> None:
    path, kernel = saved(tmp_path, name)
    found = nmt_pbt.compare(
        Unmoved(),
        *data(0),
        validation_data=data(1, 64),
        methods=("pbt", "random"),
        seeds=1,
        population=2,
        epochs=1,
        workers=2 if name == "given.keras" else 1,
        directory=tmp_path / "run",
        start_from=path,
        verbose=0,
    )
    for method, model in found.models.items():
        assert np.array_equal(model.layers[1].kernel.numpy(), kernel)
        won = found.run.winners.set_index("method").loc[method]
        assert float(model.layers[0].rate) == pytest.approx(won["rate"])
    kept = StateStore(tmp_path / "run").load(START)
    assert found.run.settings["start_digest"] == content_hash(kept)


def test_a_run_goes_on_only_with_the_weights_it_was_begun_with(tmp_path: Path) -> None:
    compared(tmp_path / "first", methods=("random",))
    arguments = {"methods": ("random",), "start_from": tmp_path / "first"}
    compared(tmp_path / "second", **arguments)
    before = records(tmp_path / "second")
    assert before != records(tmp_path / "first")
    best = weights_of(StateStore(tmp_path / "first" / "models").load("random-seed0"))
    assert content_hash(StateStore(tmp_path / "second").load(START)) == content_hash(best)
    compared(tmp_path / "second", **arguments)
    assert records(tmp_path / "second") == before
    with pytest.raises(UsageError, match=r"the settings changed since the run was begun \(start_digest was"):
        compared(tmp_path / "second", methods=("random",))


def test_population_based_training_starts_from_a_run(tmp_path: Path) -> None:
    def tuned(folder: str, **arguments: Any) -> nmt_pbt.PopulationBasedTraining:
        lengths = {"population_size": 2, "epochs": 1, "seed": 0}
        where = {"directory": tmp_path, "project_name": folder}
        found = nmt_pbt.PopulationBasedTraining(build, "val_loss", **lengths, **where, **arguments)
        found.search(*data(0), validation_data=data(1, 64), verbose=0)
        return found

    tuned("first")
    second = tuned("second", start_from=tmp_path / "first")
    assert second.history()["val_loss"].max() < tuned("first").history()["val_loss"].min()
    assert tuned("second", start_from=tmp_path / "first").history().equals(second.history())
    assert RunDirectory(tmp_path / "second").started() is not None


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "given.weights.h5")
    for source, message in (
        (path, "these weights do not fit the model"),
        (tmp_path / "missing.keras", r"no folder of a run, and no \.weights\.h5 or \.keras file"),
        (tmp_path, "holds no run"),
    ):
        with pytest.raises(UsageError, match=message) as refused:
            compared(tmp_path / "run", start_from=source)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_hyperparameters_that_change_shapes_are_refused_where_they_differ(tmp_path: Path) -> None:
    model = build_with_units(keras_tuner.HyperParameters())
    model.save_weights(tmp_path / "given.weights.h5")
    with pytest.raises(UsageError, match=r"start_from: these weights do not fit the model of this trial .* hp\.Fixed"):
        nmt_pbt.compare(
            build_with_units,
            *data(0),
            validation_data=data(1, 64),
            methods=("random",),
            seeds=1,
            population=3,
            epochs=1,
            workers=1,
            directory=tmp_path / "run",
            start_from=tmp_path / "given.weights.h5",
            verbose=0,
        )


def test_adapted_normalization_is_taken_and_single_numbers_are_not() -> None:
    def normalizing(rate: float) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), keras.layers.Normalization(), Rate(rate), keras.layers.Dense(1)])

    adapted, fresh = normalizing(0.1), normalizing(0.3)
    adapted.layers[0].adapt(np.arange(40.0).reshape(10, 4))
    start_with(fresh, weights_of(capture(adapted, 5)))
    assert float(fresh.layers[1].rate) == pytest.approx(0.3)
    x = data(0)[0]
    assert np.allclose(fresh.layers[0](x), adapted.layers[0](x))
