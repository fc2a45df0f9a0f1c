"""A full disk for whoever needs one; which tests come first; and how property tests run: the same examples every time,
without a deadline.

`pytest --hypothesis-profile=thorough` looks further, with new examples each time.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "15")  # as the command line does, in all processes of tests

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("thorough", settings.get_profile("repeatable"), derandomize=False, max_examples=2000)
settings.load_profile("repeatable")

LONGEST = (
    "test_end_to_end.py",
    "test_schedules_end_to_end.py",
    "test_examples.py",
    "test_kills.py",
    "test_commands.py",
    "test_ray_driver.py",
    "test_ray_engine.py",
    "test_tuner.py",
)
"""Modules of few tests that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest modules: begun last, they would leave the other cores without work."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40k", "nmt-pbt-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
