"""Keras models on JAX, without TensorFlow. Needs an environment in which JAX is installed beside this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTensorFlow())
import keras, numpy
import nmt_pbt
from nmt_pbt.run.journal import read_journal, without_times

def build(hp):
    dropout = keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), dropout, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), "mse")
    return model

def data(seed, count):
    x = numpy.random.default_rng(seed).normal(size=(count, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)

if __name__ == "__main__":
    found = nmt_pbt.compare(
        build, *data(0, 64), validation_data=data(1, 64), test_data=data(2, 64), methods=("pbt", "random"), seeds=1,
        population=3, epochs=3, workers=int(sys.argv[1]), directory=sys.argv[2], verbose=0,
    )
    dev = found.models["pbt"].evaluate(*data(1, 64), verbose=0)
    by_search = {}
    for record in read_journal(found.run.path / "journal.jsonl")[1:]:
        plain = without_times(record)
        by_search.setdefault(plain["method"], []).append(plain)
    print(json.dumps([keras.backend.backend(), dev, found.run.tested[0].dev["val_loss"], by_search]))
"""


def compared(folder: Path, workers: int) -> list[object]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"}
    arguments = [sys.executable, "program.py", str(workers), f"run{workers}"]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.peer
@pytest.mark.timeout(900)
def test_models_on_jax_are_compared_without_tensorflow_on_any_number_of_workers(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    backend, dev, recorded, one = compared(tmp_path, 1)
    assert backend == "jax"
    assert dev == pytest.approx(recorded, rel=1e-5)
    assert compared(tmp_path, 2)[3] == one
