"""Jobs on processes: each is done once, whichever worker dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nmt_pbt.base.errors import NmtPbtError, UsageError
from nmt_pbt.run.process_pool import ProcessPool


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; dies at some, as often as it can leave a trace of, and refuses negative ones.

    Attributes:
        folder: Holds a file for each death.
        deaths: How often it dies at 3.
    """

    folder: Path
    deaths: int = 0

    def __call__(self, name: str) -> Callable[[int], int]:
        def double(number: int) -> int:
            if number < 0:
                raise UsageError(f"{number}: is negative; give another")
            died = len(list(self.folder.glob("died-*")))
            if number == 3 and died < self.deaths:
                (self.folder / f"died-{died}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return 2 * number

        return double


@pytest.mark.parametrize(("workers", "deaths"), [(1, 0), (2, 2), (3, 1)])
def test_each_job_is_done_once_on_any_number_of_workers_whoever_dies(tmp_path: Path, workers: int, deaths: int) -> None:
    with ProcessPool(Doubling(tmp_path, deaths), workers) as pool:
        assert len(pool.workers) == workers
        found = list(pool.do_all(range(1, 9)))
        assert sorted(found) == [(number, 2 * number) for number in range(1, 9)]
        assert len(list(tmp_path.iterdir())) == deaths
        assert list(pool.do_all([])) == []


def test_a_job_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    with (
        ProcessPool(Doubling(tmp_path, 9), 1) as pool,
        pytest.raises(NmtPbtError, match=r"^3: 3 workers died at it \(SIGKILL\)"),
    ):
        list(pool.do_all([3]))


def test_an_error_of_a_job_comes_here(tmp_path: Path) -> None:
    with ProcessPool(Doubling(tmp_path), 1) as pool, pytest.raises(UsageError, match="-1: is negative"):
        list(pool.do_all([1, -1]))
