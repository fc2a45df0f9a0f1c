"""Workers give back what they have no use for, and are counted by what is theirs alone."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from mmap import ACCESS_READ, mmap
from pathlib import Path

import psutil
import pytest

from nmt_pbt.base import memory
from nmt_pbt.run.engines import own_memory, workers_here
from nmt_pbt.run.worker import TrainablePool, Worker
from tests.run.cheap import CheapTask
from tests.run.test_handover import JOB


def test_a_worker_gives_memory_back_after_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("nmt_pbt.run.worker.give_back_memory", lambda: given.append(1))

    class Nowhere:
        def load(self, name: str, expected_hash: str) -> None: ...

        def save(self, name: str, state: object) -> str:
            return "0"

    worker = Worker("worker0", TrainablePool(CheapTask()), Nowhere())
    worker.run(JOB)
    worker.run(JOB)
    assert len(given) == 2


@pytest.mark.skipif(memory._trim() is None, reason="another C library")
def test_freed_memory_between_pieces_in_use_goes_back_to_the_system() -> None:
    code = (
        "import psutil\n"
        "from nmt_pbt.base.memory import give_back_memory\n"
        "pieces = [bytearray(60_000) for _ in range(2000)]\n"
        "kept = pieces[::10]\n"
        "del pieces\n"
        "before = psutil.Process().memory_info().rss\n"
        "give_back_memory()\n"
        "print(before - psutil.Process().memory_info().rss)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 50_000_000


def test_where_the_c_library_cannot_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory._trim.cache_clear()
    try:
        memory.give_back_memory()
    finally:
        memory._trim.cache_clear()


def test_what_is_mapped_from_a_file_is_not_a_worker_s_own(tmp_path: Path) -> None:
    (tmp_path / "corpus").write_bytes(b"x" * 64_000_000)
    with open(tmp_path / "corpus", "rb") as file:
        mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
    resident, own = psutil.Process().memory_info().rss, own_memory()
    assert mapped.find(b"y") < 0
    assert psutil.Process().memory_info().rss - resident > 50_000_000
    assert own_memory() - own < 10_000_000
    assert workers_here(1, 1).bytes_each < 3 * own_memory()


def test_garbage_is_collected_rarely_within_a_block_alone() -> None:
    before = gc.get_threshold()
    with memory.garbage_collected_rarely():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
