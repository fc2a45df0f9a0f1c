"""Workers that die: the scheduler gives their jobs to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.base.errors import SearchError
from nmt_pbt.run.jobs import Job, Result, Undone
from tests.run.cheap import CheapTask, PassingOn, cheap_settings, inline, opened, search
from tests.run.test_ray_driver import story


class Dying(PassingOn):
    """An engine whose workers die at certain jobs.

    Args:
        folder: Where states are saved.
        workers: How many workers there are.
        jobs: At which of all jobs given out, counted from 1, a worker dies.
        comes_back: Whether another worker takes its place.
    """

    def __init__(self, folder: Path, workers: int, jobs: set[int], comes_back: bool) -> None:
        super().__init__(inline(folder, CheapTask(), workers))
        self._jobs, self._comes_back = jobs, comes_back
        self._given = 0
        self._dead: list[str] = []
        self._gone: set[str] = set()

    @property
    def workers(self) -> tuple[str, ...]:
        return tuple(worker for worker in self.engine.workers if worker not in self._gone)

    def submit(self, worker: str, job: Job) -> None:
        self._given += 1
        if self._given in self._jobs:
            self._dead.append(worker)
        else:
            super().submit(worker, job)

    def wait(self) -> Result | Undone | None:
        if not self._dead:
            return super().wait()
        worker = self._dead.pop()
        if not self._comes_back:
            self._gone.add(worker)
        return Undone(worker, "SIGKILL")


@pytest.mark.parametrize("method", ["pbt", "random", "bayes"])
@pytest.mark.parametrize(("workers", "comes_back"), [(1, True), (2, True), (2, False)])
def test_the_job_of_a_worker_that_dies_is_done_by_another(
    tmp_path: Path, method: str, workers: int, comes_back: bool
) -> None:
    settings = cheap_settings()
    with opened(tmp_path / "whole") as journal:
        search(method, settings, CheapTask(), inline(tmp_path / "whole", CheapTask()), journal)
    with opened(tmp_path / "died") as journal:
        search(method, settings, CheapTask(), Dying(tmp_path / "died", workers, {4}, comes_back), journal)
    assert story(tmp_path / "died") == story(tmp_path / "whole")


def test_deaths_at_different_jobs_do_not_add_up(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        search("random", cheap_settings(), CheapTask(), Dying(tmp_path, 1, {1, 3, 5, 7, 9}, True), journal)


def test_a_job_at_which_three_workers_died_is_given_to_no_further_one(tmp_path: Path) -> None:
    with opened(tmp_path) as journal, pytest.raises(SearchError, match=r"trial .*: 3 workers died at it \(SIGKILL\)"):
        search("random", cheap_settings(), CheapTask(), Dying(tmp_path, 1, {1, 2, 3}, True), journal)
