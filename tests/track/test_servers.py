"""MLflow and Weights & Biases, as they are. Needs an environment with both beside this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.run.compare import compare
from nmt_pbt.run.records import Evaluated, SearchRecord, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.track.tracking import send, tracking
from tests.run.cheap import CheapTask
from tests.track.test_tracking import searches, told

pytestmark = pytest.mark.peer


def interrupted_and_gone_on_with(run: RunDirectory, name: str) -> None:
    """Compare with a tracker: stopped after five evaluations, and again to the end."""
    evaluations = 0

    def stop_in_the_midst(record: SearchRecord) -> None:
        nonlocal evaluations
        track(record)
        evaluations += isinstance(record, Evaluated)
        if evaluations == 5:
            raise KeyboardInterrupt

    with tracking([name], run, pytest.fail) as track, pytest.raises(KeyboardInterrupt):
        compare(run, searches(), CheapTask(), stop_in_the_midst)
    with tracking([name], run, pytest.fail) as track:
        compare(run, searches(), CheapTask(), track)


def test_mlflow_has_each_interval_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    run = RunDirectory(tmp_path / "study")
    interrupted_and_gone_on_with(run, "mlflow")
    send("mlflow", run)
    client = mlflow.tracking.MlflowClient()
    experiment = client.get_experiment_by_name("study")
    runs = client.search_runs([experiment.experiment_id])
    expected = told(run)
    assert {one.info.run_name for one in runs} == set(expected)
    for one in runs:
        assert one.info.status == "FINISHED"
        history = client.get_metric_history(one.info.run_id, "val_loss")
        assert [point.value for point in sorted(history, key=lambda point: point.step)] == [
            metrics["val_loss"] for metrics in expected[one.info.run_name]
        ]
        assert "hyperparameters/learning_rate" in one.data.metrics
    won = {one.data.tags["method"]: one.data.metrics["test/loss"] for one in runs if "winner" in one.data.tags}
    assert won == {one.method: one.test["loss"] for one in run.records() if isinstance(one, Tested)}
    assert any(key.startswith("adopted/") for one in runs for key in one.data.tags)


def test_weights_and_biases_takes_a_run_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run = RunDirectory(tmp_path / "study")
    with tracking(["wandb"], run, pytest.fail) as track:
        compare(run, searches(), CheapTask(), track)
    files = [path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb")]
    for model in told(run):
        assert any(model.encode() in content and b"hyperparameters/dropout" in content for content in files), model
    assert any(b"test/loss" in content for content in files)
