"""Searches of Keras models on several workers: the same records as on one, whatever dies, on a cluster too."""

from __future__ import annotations

import importlib.util
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

import nmt_pbt
from nmt_pbt.comparison import METHODS
from tests.keras.keras_models import data
from tests.keras.test_compare import build_dropping, compared, records

pytestmark = pytest.mark.slow


class Dies(keras.callbacks.Callback):
    """Kills the process of the worker that comes to the fourth interval, as a lack of memory does; once."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.notes = notes

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        if len(self.notes.read_text().split()) >= 4:  # another worker may have written in between
            with suppress(FileExistsError):
                self.notes.with_suffix(".killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(900)
def test_every_method_finds_the_same_on_one_worker_on_four_and_on_two_of_which_one_is_killed(tmp_path: Path) -> None:
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    common: dict[str, Any] = {"methods": METHODS, "epochs": 3, "population": 2}
    compared(tmp_path / "one", callbacks=[halving], **common)
    one = records(tmp_path / "one")
    assert set(one) == set(METHODS)
    compared(tmp_path / "two", workers=2, callbacks=[halving, Dies(tmp_path / "notes")], **common)
    assert len(set((tmp_path / "notes").read_text().split())) == 3  # processes: of the two, one was started again
    compared(tmp_path / "four", workers=4, callbacks=[halving], **common)
    for folder in ("two", "four"):
        found = records(tmp_path / folder)
        for method in METHODS:
            assert found[method] == one[method], (folder, method)


@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_workers_of_a_ray_cluster_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # read at the import: the loopback address alone
    from ray.cluster_utils import Cluster

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:  # sent by its code
        return build_dropping(hp)

    def tuned(folder: str, **where: Any) -> nmt_pbt.PopulationBasedTraining:
        made = nmt_pbt.PopulationBasedTraining(
            build,
            "val_loss",
            population_size=2,
            epochs=2,
            synchronous=True,
            seed=0,
            directory=tmp_path,
            project_name=folder,
            **where,
        )
        made.search(*data(0), validation_data=data(1, 64), verbose=0)
        return made

    here = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **here})
    try:
        common: dict[str, Any] = {"methods": ("pbt", "random"), "population": 2}
        compared(tmp_path / "ray", workers=2, address=cluster.address, **common)
        on_ray = tuned("tuned-ray", workers=2, address=cluster.address)
    finally:
        cluster.shutdown()
    compared(tmp_path / "here", **common)
    assert records(tmp_path / "ray") == records(tmp_path / "here")
    assert on_ray.history().equals(tuned("tuned-here").history())
