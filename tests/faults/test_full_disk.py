"""A full disk stops a run in one line; everything before is whole, and it goes on when there is room."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from pathlib import Path

import pytest

from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, cheap_settings, inline, opened, search

SETTINGS = cheap_settings()
METHODS = ("pbt", "random", "hyperband")


def run(folder: Path, method: str) -> None:
    with opened(folder) as journal:
        search(method, SETTINGS, CheapTask(), inline(folder, CheapTask()), journal)


def story(folder: Path) -> list[dict[str, object]]:
    return [without_times(record) for record in read_journal(folder / "journal.jsonl")]


def check_whole(folder: Path) -> None:
    """Every file that a stopped run left is whole, and none is half of one."""
    states = StateStore(folder / "states")
    for name in states.names():
        states.load(name)
    assert not list(folder.rglob("*.tmp"))
    assert (folder / "journal.jsonl").read_bytes().endswith(b"\n")


class FullAt:
    """Lets so many syncs through, and refuses those that follow: the room is used up."""

    def __init__(self, calls: int) -> None:
        self._left, self._sync, self.refused = calls, os.fsync, 0

    def __call__(self, handle: int) -> None:
        self._left -= 1
        if self._left < 0:
            self.refused = 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(handle)


@pytest.mark.parametrize("method", METHODS)
def test_a_disk_that_is_full_at_any_write_loses_nothing(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", method)
    rng = random.Random(0)
    refused = 0
    for number in range(4):
        folder = tmp_path / str(number)
        for _ in range(8):
            with monkeypatch.context() as patch, contextlib.suppress(OSError):
                full = FullAt(rng.randint(1, 12))
                patch.setattr(os, "fsync", full)
                try:
                    run(folder, method)
                finally:
                    refused += full.refused
            check_whole(folder)
        run(folder, method)
        assert story(folder) == story(tmp_path / "whole")
    assert refused >= 12


def test_on_a_disk_that_is_really_full_a_run_stops_and_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    run(tmp_path / "whole", "pbt")
    folder = small_disk / "run"
    (small_disk / "somebody else's").write_bytes(bytes(20 * 1024))
    with pytest.raises(OSError, match="No space left") as error:
        run(folder, "pbt")
    assert str(folder) in str(error.value.filename)
    check_whole(folder)
    assert story(folder) == story(tmp_path / "whole")[: len(story(folder))]
    (small_disk / "somebody else's").unlink()
    subprocess.run(["mount", "-o", "remount,size=400k", str(small_disk)], check=True, capture_output=True)
    run(folder, "pbt")
    assert story(folder) == story(tmp_path / "whole")
