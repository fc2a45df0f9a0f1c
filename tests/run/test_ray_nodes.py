"""A Ray cluster of two nodes, one of which is lost while it trains."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nmt_pbt.run.jobs import Job
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.ray_engine import RayEngine
from nmt_pbt.run.records import Evaluated
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, inline, opened, search
from tests.run.ray_program import SETTINGS
from tests.run.test_ray_driver import story

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.slow
def test_the_job_of_a_node_that_is_lost_is_done_by_another(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    with opened(tmp_path / "whole") as journal:
        search("pbt", SETTINGS, CheapTask(), inline(tmp_path / "whole", CheapTask()), journal)
    task = CheapTask(seconds=0.3)
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    other = cluster.add_node(**node)
    engine = RayEngine(task, StateStore(tmp_path / "lost" / "states"), workers=2, address=cluster.address)
    try:
        while len(engine.workers) < 2:
            engine.wait()
        submit, given = engine.submit, []

        def losing(worker: str, job: Job) -> None:
            submit(worker, job)
            given.append(job)
            if len(given) == 6:
                cluster.remove_node(other, allow_graceful=False)

        engine.submit = losing  # type: ignore[method-assign]
        with opened(tmp_path / "lost") as journal:
            search("pbt", SETTINGS, task, engine, journal)
    finally:
        engine.close()
        cluster.shutdown()
    assert story(tmp_path / "lost") == story(tmp_path / "whole")
    evaluated = [
        record for record in read_journal(tmp_path / "lost" / "journal.jsonl") if isinstance(record, Evaluated)
    ]
    assert {record.worker for record in evaluated[:4]} == {"worker0", "worker1"}  # both nodes were at work
    assert len({record.worker for record in evaluated[-4:]}) == 1
