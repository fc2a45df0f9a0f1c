"""Real SIGKILLs at random points: every search resumes to the journal of one that was never killed.

Each search runs in a forked child, which kills itself at a random call of what makes a run durable (write, fsync,
rename, delete) or is killed from outside after a random time, over and over until it gets through.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.search.methods.registry import METHODS
from tests.run.cheap import CheapTask, cheap_settings, inline, opened, search

GUESSES = "search.manual.guesses=[{dropout: 0.1}, {dropout: 0.4}, {learning_rate: 0.001}]"
SETTINGS = cheap_settings("search.bayes.initial_points=2", GUESSES)
LARGER = cheap_settings("search.population=8")  # that its variants can divide
KILLS = 14
DURABLE = ("fsync", "replace", "unlink")


def run(folder: Path, method: str) -> None:
    with opened(folder) as journal:
        search(
            method,
            LARGER if METHODS.get(method).overrides else SETTINGS,
            CheapTask(),
            inline(folder, CheapTask()),
            journal,
        )


def in_child(work: Callable[[], None], kill_after: float | None) -> bool:
    """Run work in a forked child, killed after some seconds; return whether it got through."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)  # whatever happens, a child must not run the rest of the tests
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the search failed instead of being killed"
    return not os.WIFSIGNALED(status)


def dying_at(call: int, work: Callable[[], None]) -> Callable[[], None]:
    """Return work during which this process kills itself before the call of that number to `DURABLE`."""

    def dying() -> None:
        left = call

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return counted

        for name in DURABLE:
            setattr(os, name, counting(getattr(os, name)))
        work()

    return dying


KILLED = [pytest.param(spec.name, marks=[pytest.mark.slow] if spec.overrides else []) for spec in METHODS]
"""All methods; those that differ from another one in settings alone are slow tests."""


@pytest.mark.parametrize("method", KILLED)
def test_a_search_killed_at_random_points_ends_with_the_journal_of_one_that_never_was(
    tmp_path: Path, method: str
) -> None:
    run(tmp_path / "whole", method)
    began = time.perf_counter()
    run(tmp_path / "again", method)  # the first run also imported the method's libraries
    took = time.perf_counter() - began
    whole = [without_times(record) for record in read_journal(tmp_path / "whole" / "journal.jsonl")]

    rng = random.Random(METHODS.names.index(method))
    kills = attempt = 0
    while kills < KILLS:
        attempt += 1
        folder = tmp_path / f"killed{attempt}"
        through = False
        work = functools.partial(run, folder, method)
        while not through:
            if rng.random() < 0.5:
                through = in_child(dying_at(rng.randint(1, 60), work), None)
            else:
                through = in_child(work, rng.uniform(0.0, took))
            kills += not through
        found = [without_times(record) for record in read_journal(folder / "journal.jsonl")]
        assert found == whole


@pytest.mark.parametrize("torn", [1, 20, 200])
def test_a_torn_last_line_is_dropped_and_done_again(tmp_path: Path, torn: int) -> None:
    run(tmp_path / "whole", "pbt")
    journal = tmp_path / "whole" / "journal.jsonl"
    whole = [without_times(record) for record in read_journal(journal)]
    folder = tmp_path / "torn"
    assert not in_child(dying_at(40, lambda: run(folder, "pbt")), None)
    file = folder / "journal.jsonl"
    file.write_bytes(file.read_bytes() + journal.read_bytes().splitlines()[-1][:torn])
    run(folder, "pbt")
    assert [without_times(record) for record in read_journal(file)] == whole
