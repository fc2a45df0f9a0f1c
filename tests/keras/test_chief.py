"""The chief's server and a worker's client, in one process."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner.src.distribute.oracle_client import OracleClient

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.tasks.keras import chief
from nmt_pbt.tasks.keras.oracle import PBTOracle


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: tuple[str, int] = free.getsockname()
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", found[0])
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(found[1]))
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    monkeypatch.setattr(chief, "_LINGER", 0.5)
    monkeypatch.setattr(chief, "_RETRY", 0.05)
    return found


def oracle(folder: Path) -> PBTOracle:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 0.6, sampling="log")
    made = PBTOracle(keras_tuner.Objective("score", "max"), 2, 1, 2, hyperparameters=hp, seed=0)
    made._set_project_dir(str(folder), "project")
    made.verbose = 0
    return made


class Chief(threading.Thread):
    """Serves an oracle, and keeps the error that ended it."""

    def __init__(self, served: PBTOracle) -> None:
        super().__init__(daemon=True)
        self.served = served
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            chief.serve(self.served)
        except (SearchError, UsageError) as error:
            self.error = error


def client(folder: Path) -> Any:
    made = OracleClient(oracle(folder))
    chief.patient(made)
    return made


def step(worker: Any, status: str = "COMPLETED") -> str:
    trial = worker.create_trial("worker0")
    if trial.status == "RUNNING":
        if status == "COMPLETED":
            worker.update_trial(trial.trial_id, {"score": 1.0}, step=1)
        trial.status = status
        worker.end_trial(trial)
        return str(trial.trial_id)
    return str(trial.status)


def test_the_chief_leaves_soon_after_the_last_worker_and_still_answers_it_until_then(tmp_path: Path) -> None:
    served = Chief(oracle(tmp_path))
    served.start()
    worker = client(tmp_path)
    assert [step(worker) for _ in range(5)] == ["0", "1", "2", "3", "STOPPED"]
    assert [trial.score for trial in worker.get_best_trials(2)] == [1.0, 1.0]
    began = time.monotonic()
    served.join(20)
    assert not served.is_alive()
    assert served.error is None
    assert time.monotonic() - began < 10
    # Over the wire go 32 bits; what the oracle knows stays as it was.
    assert all(0 < trial.hyperparameters.values["rate"] <= 0.6 for trial in served.served.trials.values())


def test_a_search_that_fails_ends_chief_and_worker_with_the_reason(tmp_path: Path) -> None:
    served = Chief(oracle(tmp_path))
    served.start()
    worker = client(tmp_path)
    step(worker, "FAILED")
    with pytest.raises(SearchError, match=r"the chief could not go on: the latest trials of all 2 members failed"):
        step(worker, "FAILED")
    served.join(20)
    assert not served.is_alive()
    assert isinstance(served.error, SearchError)


def test_a_worker_waits_for_a_chief_that_starts_late_and_asks_again_when_a_call_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Chief(oracle(tmp_path))
    threading.Timer(1.0, served.start).start()
    worker = client(tmp_path)
    create = worker.stub._stub.CreateTrial
    broken = 2

    def breaks_off(*args: Any, **kwargs: Any) -> Any:
        nonlocal broken
        answer = create(*args, **kwargs)
        if broken:
            broken -= 1
            raise Unavailable
        return answer

    worker.stub._stub.CreateTrial = breaks_off
    assert [step(worker) for _ in range(5)] == ["0", "1", "2", "3", "STOPPED"]
    assert broken == 0
    served.join(20)
    assert not served.is_alive()


class Unavailable(chief.grpc.RpcError):
    """The connection was lost after the chief had heard the question."""

    def code(self) -> Any:
        return chief.grpc.StatusCode.UNAVAILABLE


def test_the_chief_says_whom_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chief, "_WITHOUT_COMPARISON", 0.3)
    served = Chief(oracle(tmp_path))
    served.start()
    worker = client(tmp_path)
    worker.create_trial("worker0")
    end = time.monotonic() + 20
    while not caplog.text and time.monotonic() < end:
        time.sleep(0.05)
    assert (
        "worker0 has been at trial 0 for 0 s; if it was killed, start it again with KERASTUNER_TUNER_ID" in caplog.text
    )
    assert [step(worker) for _ in range(5)] == ["0", "1", "2", "3", "STOPPED"]
    served.join(20)
    assert not served.is_alive()


def test_a_trial_is_said_to_take_long_when_it_takes_ten_times_as_long_as_any_before_and_seldom_again() -> None:
    now = 0.0
    watch = chief.Watch(lambda: now)
    said: list[tuple[float, str]] = []
    for second in range(2000):
        now = float(second)
        # A worker's trials take 20 s each; another's one never ends.
        under_way = {"worker0": str(second // 20), **({"worker1": "lost"} if second >= 100 else {})}
        said += [(now, message.split(";")[0]) for message in watch.look(under_way)]
    assert said == [(100.0 + taken, f"worker1 has been at trial lost for {taken} s") for taken in (200, 400, 800, 1600)]


def test_short_trials_are_given_a_minute_and_the_first_ones_ten() -> None:
    now = 0.0
    watch = chief.Watch(lambda: now)
    assert watch.look({"worker0": "0"}) == []
    now = 599.0
    assert watch.look({"worker0": "0"}) == []
    now = 600.0
    assert len(watch.look({"worker0": "0"})) == 1
    quick = chief.Watch(lambda: now)
    quick.look({"worker0": "0"})
    now = 601.0
    quick.look({"worker0": "1"})
    now = 660.0
    assert quick.look({"worker0": "1"}) == []
    now = 661.0
    assert len(quick.look({"worker0": "1"})) == 1


def test_an_address_that_is_taken_is_an_error(tmp_path: Path, address: tuple[str, int]) -> None:
    with socket.socket() as taken:
        taken.bind(address)
        taken.listen()
        with pytest.raises(UsageError, match=rf"127.0.0.1:{address[1]}: cannot be listened at"):
            chief.serve(oracle(tmp_path))
