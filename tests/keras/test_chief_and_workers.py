"""`PBTOracle` in KerasTuner's own distributed mode: a chief, two workers, a tuner of one's own."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.search.oracles.pbt import INHERITED, PARENT

ROOT = Path(__file__).parents[2]
EPOCHS, MEMBERS = 4, 4
PROGRAM = f"""
import json, os, pathlib, sys, time
import keras_tuner
import nmt_pbt

folder = pathlib.Path(sys.argv[1])
worker = os.environ["KERASTUNER_TUNER_ID"]


class Climber(keras_tuner.Tuner):
    def run_trial(self, trial, *args, **kwargs):
        values = trial.hyperparameters.values
        parent = values["pbt/parent"]
        x = json.loads((folder / f"state_{{parent}}.json").read_text())["x"] if parent else 1.0
        for _ in range(int(values["search/epochs"])):
            x -= values["rate"] * x
            time.sleep(0.1)
        (folder / f"state_{{trial.trial_id}}.json").write_text(json.dumps({{"x": x, "worker": worker}}))
        return {{"height": 1 - x**2}}


hp = keras_tuner.HyperParameters()
hp.Float("rate", 1e-3, 0.3, sampling="log")
oracle = nmt_pbt.PBTOracle(
    keras_tuner.Objective("height", "max"), population_size={MEMBERS}, interval=1, epochs={EPOCHS}, seed=0,
    hyperparameters=hp,
)
tuner = Climber(oracle=oracle, directory=folder, project_name="project")  # the chief stays in here
(folder / f"ready_{{worker}}").touch()
while len(list(folder.glob("ready_*"))) < 2:
    time.sleep(0.1)
tuner.search(verbose=0)
print(tuner.get_best_hyperparameters()[0].get("rate"))
"""


def start(folder: Path, name: str, port: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }
    return subprocess.Popen(
        [sys.executable, "program.py", str(folder)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_workers_of_keras_tuners_chief_go_on_from_one_anothers_states(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[subprocess.Popen[str]] = []
    try:
        for name in ("chief", "worker0", "worker1"):
            started.append(start(tmp_path, name, port))
        for worker in started[1:]:
            told, wrong = worker.communicate(timeout=240)
            assert worker.returncode == 0, wrong[-3000:]
            assert 1e-3 <= float(told.split()[-1]) <= 0.3
    finally:
        for process in started:
            process.kill()  # the chief would look for lost workers for 20 s
            process.communicate()

    trials: dict[str, dict[str, Any]] = {
        file.parent.name.removeprefix("trial_"): json.loads(file.read_text())
        for file in (tmp_path / "project").glob("trial_*/trial.json")
    }
    state = {trial: json.loads((tmp_path / f"state_{trial}.json").read_text()) for trial in trials}
    assert len(trials) == MEMBERS * EPOCHS
    assert {trial["status"] for trial in trials.values()} == {"COMPLETED"}
    assert {each["worker"] for each in state.values()} == {"worker0", "worker1"}
    values = {name: trial["hyperparameters"]["values"] for name, trial in trials.items()}
    assert any(each[INHERITED] for each in values.values())
    children = [name for name in trials if values[name][PARENT]]
    assert any(state[name]["worker"] != state[values[name][PARENT]]["worker"] for name in children)
    for name, trial in trials.items():
        lineage = [name]
        while parent := values[lineage[-1]][PARENT]:
            lineage.append(parent)
        x = math.prod(1 - values[each]["rate"] for each in lineage)
        assert trial["score"] == pytest.approx(1 - x**2, rel=1e-5)  # values are sent with 32 bits
