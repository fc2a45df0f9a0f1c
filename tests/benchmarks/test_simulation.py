"""The simulation of many workers: what it is for, at a size that takes seconds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "simulate.py"
    spec = importlib.util.spec_from_file_location("simulate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module  # where its data classes look for their types
    spec.loader.exec_module(module)
    return module


def test_asynchronous_workers_are_never_without_work_and_no_member_starves(
    simulation: ModuleType, tmp_path: Path
) -> None:
    cluster = simulation.Cluster(workers=8, uneven=10.0, deaths=0.05, failures=0.02)
    found = simulation.simulate(simulation.settings_for(40, 10, synchronous=False), cluster, tmp_path)
    assert found.until_given_out > 0.999
    assert found.decisions == 400
    assert found.finished == 40
    assert found.lag <= 3
    assert found.lost > 0
    assert found.states <= 2 * 40 + 2


def test_synchronous_workers_wait_for_the_slowest(simulation: ModuleType, tmp_path: Path) -> None:
    cluster = simulation.Cluster(workers=8, uneven=10.0)
    found = simulation.simulate(simulation.settings_for(40, 6, synchronous=True), cluster, tmp_path)
    assert found.finished == 40
    assert found.lag == 1
    assert 0.4 < found.utilisation < 0.95
