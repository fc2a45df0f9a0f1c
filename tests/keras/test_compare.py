"""`nmt_pbt.compare` on small Keras models: what it returns, goes on with, and refuses; the same for any workers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

import nmt_pbt
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.journal import read_journal, without_times
from tests.keras.keras_models import data


def build_dropping(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A regression whose masks, initial weights and order of data all have to repeat."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5)),
            keras.layers.Dense(1),
        ]
    )
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"], run_eagerly=True)
    return model


def compared(folder: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "validation_data": data(1, 64),
        "test_data": data(2, 64),
        "methods": ("pbt", "random", "bayes"),
        "seeds": 1,
        "population": 3,
        "epochs": 2,
        "workers": 1,
        "directory": folder,
        "verbose": 0,
    }
    return nmt_pbt.compare(build_dropping, *data(0), **{**arguments, **changes})


def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in read_journal(folder / "journal.jsonl")[1:]:
        plain = without_times(record)
        found.setdefault(plain["method"], []).append(plain)
    return found


class Stop(keras.callbacks.Callback):
    """Stops the whole search, as Ctrl-C does, in its seventh interval."""

    begun = 0

    def on_train_begin(self, logs: Any = None) -> None:
        Stop.begun += 1
        if Stop.begun == 7:
            raise KeyboardInterrupt


@pytest.mark.timeout(900)
def test_a_comparison_is_the_same_for_one_and_two_workers_and_after_it_was_stopped(tmp_path: Path) -> None:
    found = compared(tmp_path / "one")
    assert (tmp_path / "one" / "report" / "index.html") == found.report
    assert set(found.models) == {"pbt", "random", "bayes"}
    for record in found.run.tested:
        dev = found.models[record.method].evaluate(*data(1, 64), verbose=0, return_dict=True)
        test = found.models[record.method].evaluate(*data(2, 64), verbose=0, return_dict=True)
        assert dev["loss"] == pytest.approx(record.dev["val_loss"], rel=1e-5)
        assert test == {name: pytest.approx(value, rel=1e-5) for name, value in record.test.items()}
    assert list(found.schedule) == ["epoch", "until", "dropout", "learning_rate"]
    assert found.schedule["until"].iloc[-1] <= 2
    page = found.report.read_text(encoding="utf-8")
    assert not [
        words for words in ("sentence pair", "test sentence", "beam search", "for translation") if words in page
    ]

    compared(tmp_path / "two", workers=2)
    assert records(tmp_path / "two") == records(tmp_path / "one")

    Stop.begun = 0
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path / "stopped", callbacks=[Stop()])
    assert len(records(tmp_path / "stopped")) < 4
    compared(tmp_path / "stopped", callbacks=[Stop()])
    assert records(tmp_path / "stopped") == records(tmp_path / "one")

    before = (tmp_path / "one" / "journal.jsonl").read_bytes()
    assert compared(tmp_path / "one").run.tested
    assert (tmp_path / "one" / "journal.jsonl").read_bytes() == before
    with pytest.raises(UsageError, match=r"training.epochs was 2.0 and is 4.0.* another directory="):
        compared(tmp_path / "one", epochs=4)
    with pytest.raises(UsageError, match="the data changed"):
        compared(tmp_path / "one", sample_weight=data(3)[1][:, 0], methods=("pbt", "random", "bayes", "grid"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("pbt", "randm")}, "no such method 'randm'; did you mean 'random'"),
        ({"population": 1}, "population=1: has to be a whole number, at least 2"),
        ({"epochs": 2.5}, r"epochs=2.5: Keras trains whole epochs"),
        ({"validation_data": None}, r"objective val_loss: .* give validation_data"),
        ({"initial_epoch": 2}, "initial_epoch: is set for each trial"),
        ({"settings": {"pbt": {"fracton": 0.2}}}, "search.pbt.fracton: no such setting; did you mean 'fraction'"),
        ({"callbacks": keras.callbacks.TerminateOnNaN()}, "callbacks: expected a list"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        compared(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_sent_to_workers_are_refused_with_how_to_give_them(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(data(0)).batch(32)
    with pytest.raises(UsageError, match=r"^x: what it is .* cannot be sent .* give a function .* workers=1"):
        nmt_pbt.compare(build_dropping, dataset, validation_data=data(1), workers=2, directory=tmp_path / "run")


def test_the_schedule_tells_what_callbacks_made_of_the_learning_rate(tmp_path: Path) -> None:
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    found = compared(tmp_path, methods=("pbt",), population=2, epochs=3, callbacks=[halving]).schedule
    assert list(found) == ["epoch", "until", "dropout", "learning_rate", "optimizer.learning_rate"]
    shares = found["optimizer.learning_rate"] / found["learning_rate"]
    assert math.isnan(shares[0])  # not changed yet
    assert list(shares[1:]) == pytest.approx([1 / 2, 1 / 4])


def test_searches_stop_by_rule_and_stay_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compared(tmp_path, methods=("pbt", "random"), stop={"target": 100.0}, verbose=1)
    assert list(first.run.searches["reason"]) == ["val_loss reached the target 100"] * 2
    assert capsys.readouterr().out.count("after 1 epoch, stopped: val_loss reached the target 100") == 2
    before = records(tmp_path)
    compared(tmp_path, methods=("pbt", "random"), stop={"target": 100.0})
    assert records(tmp_path) == before
    assert first.model("random").count_params() == 49


def test_a_rule_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"search\.stop\.patience: no such setting; did you mean 'patience_intervals'"):
        compared(tmp_path, stop={"patience": 3})
