"""Workers that die at awkward moments, with a stand-in for Ray: which moment it is is decided here."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.run import ray_engine
from nmt_pbt.run.jobs import MAX_DEATHS
from nmt_pbt.run.ray_engine import RayEngine
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, cheap_settings, inline, opened, search

SETTINGS = cheap_settings()


class Trouble(Exception):
    """What Ray says when it cannot go on itself, for instance without room on the disk."""


class Died(Trouble):
    """What Ray says of an actor whose process is gone."""


class Reference:
    """Holds an answer, or the error that stands for it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class Call:
    """A method of an actor; it does not answer when the actor is dead, or is to die at this call."""

    def __init__(self, ray: StandIn, actor: SimpleNamespace, name: str) -> None:
        self._ray, self._actor, self._name = ray, actor, name

    def remote(self, *args: Any) -> Reference:
        if self._ray.deaths and self._ray.deaths[0] == self._name:
            self._ray.deaths.popleft()
            self._actor.dead = True
        if self._ray.trouble == self._name:
            return Reference(Trouble("no room on the disk\nand more"))
        if self._actor.dead:
            return Reference(Died("the actor died\nand more"))
        return Reference(getattr(self._actor.made, self._name)(*args))


class StandIn:
    """As much of Ray as the engine calls, in this process.

    Args:
        deaths: At which of its calls, `ready` or `run`, an actor dies, one after the other.
    """

    exceptions = SimpleNamespace(
        RayError=Trouble, RayActorError=Died, OutOfMemoryError=MemoryError, RayTaskError=ArithmeticError
    )

    def __init__(self, *deaths: str) -> None:
        self.deaths = deque(deaths)
        self.started = 0
        self.trouble = ""  # at which call Ray itself fails

    def init(self, **_: Any) -> None:
        """Nothing to start."""

    def shutdown(self) -> None:
        """Nothing to stop."""

    def put(self, task: CheapTask) -> CheapTask:
        return task

    def remote(self, kind: Any) -> SimpleNamespace:
        def start(name: str, task: CheapTask) -> SimpleNamespace:
            self.started += 1
            actor = SimpleNamespace(made=kind(name, task), dead=False)
            actor.ready, actor.run = Call(self, actor, "ready"), Call(self, actor, "run")
            return actor

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def wait(self, references: list[Reference], num_returns: int) -> tuple[list[Reference], list[Reference]]:
        return references[:num_returns], references[num_returns:]

    def get(self, reference: Reference) -> Any:
        if isinstance(reference.answer, Exception):
            raise reference.answer
        return reference.answer


def results(folder: Path, monkeypatch: pytest.MonkeyPatch, ray: StandIn) -> list[Any]:
    """Return what a search on one worker comes to."""
    monkeypatch.setattr(ray_engine, "_import_ray", lambda: ray)
    engine = RayEngine(CheapTask(), StateStore(folder / "states"), workers=1)
    with opened(folder) as journal:
        search("pbt", SETTINGS, CheapTask(), engine, journal)
        return [record.state for record in journal.records if record.event == "evaluated"]


@pytest.mark.parametrize("deaths", [(), ("run",), ("ready",), ("run", "ready"), ("ready", "run", "ready")], ids=str)
def test_a_worker_that_dies_at_work_or_while_it_comes_up_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: tuple[str, ...]
) -> None:
    with opened(tmp_path / "alone") as journal:
        search("pbt", SETTINGS, CheapTask(), inline(tmp_path / "alone", CheapTask()), journal)
        alone = [record.state for record in journal.records if record.event == "evaluated"]
    ray = StandIn(*deaths)
    assert results(tmp_path / "run", monkeypatch, ray) == alone
    assert ray.started == 1 + len(deaths)


def test_a_machine_too_busy_for_ray_to_come_up_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nand more")  # as Ray does

    ray = StandIn()
    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(UsageError, match=r"cannot be reached \(The current node timed out during startup\.\)"):
        results(tmp_path, monkeypatch, ray)


@pytest.mark.parametrize("moment", ["run", "ready"])
def test_what_ray_itself_cannot_do_ends_the_search_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    ray = StandIn()
    ray.trouble = moment
    with pytest.raises(SearchError, match=r"^worker0: Ray could not go on \(no room on the disk\); .*resume the run"):
        results(tmp_path, monkeypatch, ray)


@pytest.mark.parametrize("moment", ["run", "ready"])
def test_workers_that_die_again_and_again_end_the_search_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    told = "3 workers died at it" if moment == "run" else r"died before it was up \(the actor died\)"
    with pytest.raises(SearchError, match=told):
        results(tmp_path, monkeypatch, StandIn(*[moment] * MAX_DEATHS))
