"""Jobs on processes: each is done once, whichever worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.errors import NmtPbtError, UsageError
from nmt_pbt.run.process_pool import ProcessPool

ROOT = Path(__file__).parents[2]


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


class Telling:
    """Tells of the process that does a job: a word of its environment, a random number, and whether it was forked."""

    def __call__(self, name: str) -> Callable[[str], tuple[str | None, float, bool]]:
        def tell(word: str) -> tuple[str | None, float, bool]:
            number = float(np.random.random())  # noqa: NPY002 - the global generator is what is tested
            return os.environ.get(word), number, os.getppid() == int(os.environ["NMT_PBT_TEST_PID"])

        return tell


def test_workers_have_todays_environment_and_random_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_PBT_TEST_PID", str(os.getpid()))
    numbers = []
    for word in ("one", "another"):  # the server that workers are forked from was started with the first at the latest
        monkeypatch.setenv("NMT_PBT_TEST_WORD", word)
        with ProcessPool(Telling(), 2, imports=["numpy"]) as pool:
            for worker in pool.workers:
                pool.submit(worker, "NMT_PBT_TEST_WORD")
            for _ in pool.workers:
                answer = pool.wait()
                assert isinstance(answer, tuple)
                found, number, child = answer[1]
                assert found == word
                assert child == (sys.platform != "linux")
                numbers.append(number)
    assert len(set(numbers)) == 4


LOUD = """
from nmt_pbt.run.process_pool import ProcessPool
from tests.run.test_process_pool import Doubling
import pathlib
if __name__ == "__main__":
    with ProcessPool(Doubling(pathlib.Path(".")), 1, imports=["tests.run.loud"]) as pool:
        print(list(pool.do_all([1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_what_a_module_writes_when_imported_for_workers_does_not_reach_the_terminal(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(LOUD, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NMT_PBT_TEST_LOUD": str(tmp_path / "imported")}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[(1, 2)]\n"
    assert done.stderr == ""
    assert (tmp_path / "imported").read_text() != "", "it was not imported at all"
