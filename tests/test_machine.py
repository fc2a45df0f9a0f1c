"""How much memory and how many cores there are, where a container allows less than the machine has."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from nmt_pbt.base import machine
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.engines import workers_that_fit
from nmt_pbt.run.preflight import Need, check_memory
from nmt_pbt.settings.tree import EngineSettings

MEGABYTE = 1024**2


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the system's control groups."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    return tmp_path


def test_without_a_container_it_is_what_the_machine_has(groups: Path) -> None:
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text("1\n")
    assert machine.memory_here().total_bytes == psutil.virtual_memory().total
    assert machine.cores_here() >= 1


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_a_containers_limit_counts_for_what_is_refused_and_for_how_many_workers_fit(
    groups: Path, limit: str, used: str
) -> None:
    (groups / "memory").mkdir()
    (groups / limit).write_text(f"{1000 * MEGABYTE}\n")
    (groups / used).write_text(f"{950 * MEGABYTE}\n")
    assert machine.memory_here() == machine.Memory(1000 * MEGABYTE, 50 * MEGABYTE)
    assert workers_that_fit(20 * MEGABYTE, 1, 100).fitting == 2
    need = Need(states=1, models=1, state=30 * MEGABYTE)
    check_memory(need, EngineSettings(workers=3))
    with pytest.raises(UsageError, match=r"its container has 1,000\.0 MB of memory, training needs 1,184\.0 MB"):
        check_memory(need, EngineSettings(workers=4))


def test_more_used_than_a_container_allows_leaves_nothing_free(groups: Path) -> None:
    (groups / "memory.max").write_text("100")
    (groups / "memory.current").write_text("200")
    assert machine.memory_here().free_bytes == 0
    assert workers_that_fit(1, 1, 5).count == 1


def test_a_containers_share_of_processor_time_is_its_cores(groups: Path) -> None:
    (groups / "cpu.max").write_text("100000 100000\n")
    assert machine.cores_here() == 1
