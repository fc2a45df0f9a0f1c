"""Which search a worker serves; workers that die: the scheduler gives their jobs to others."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nmt_pbt.base.errors import SearchError
from nmt_pbt.run.jobs import Engine, Job, Result, Undone
from nmt_pbt.run.scheduler import Scheduler
from tests.run.cheap import CheapTask, PassingOn, cheap_settings, driver, inline, opened, search
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


class Noting(PassingOn):
    """An engine that notes which search each worker serves."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.served: dict[str, list[str]] = {}

    def submit(self, worker: str, job: Job) -> None:
        self.served.setdefault(worker, []).append(job.save_as.partition("-trial")[0])
        super().submit(worker, job)


def switches(served: list[str]) -> int:
    return sum(before != after for before, after in itertools.pairwise(served))


def test_a_worker_stays_with_the_search_whose_models_it_has_built(tmp_path: Path) -> None:
    settings, task = cheap_settings("training.epochs=6"), CheapTask()
    engine = Noting(inline(tmp_path, task, workers=2))
    methods, seeds = ("pbt", "random", "bayes"), range(3)
    with opened(tmp_path) as journal:
        searches = [driver(method, settings, task, journal, seed) for method in methods for seed in seeds]
        for one in searches:
            one.begin()
        Scheduler(engine).run(searches)
    lengths = [len(served) for served in engine.served.values()]
    assert sum(lengths) == 9 * 4 * 6
    assert max(lengths) - min(lengths) <= 2  # none was without work in the end
    assert [served[0] for served in engine.served.values()] == ["bayes-seed0", "bayes-seed1"]
    assert (
        sum(switches(served) for served in engine.served.values()) <= 36
    )  # of 216; 211 if the most urgent search were always served
