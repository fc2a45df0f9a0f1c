"""The report of a run under way, drawn again whenever the run has come further."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.run.preflight import searches_over

EVERY = 30.0
"""Seconds from one look at the journal to the next: drawing takes seconds that the search would use."""


def watch(
    path: Path,
    drawn: Callable[[Path], None],
    every: float = EVERY,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Draw a run's report now, and again after every `every` seconds in which its journal grew, until the run is over.

    The page loads itself again as often, but for the last.

    Args:
        path: The run's directory.
        drawn: Called with the page each time it was drawn.
        every: Seconds between two looks at the journal.
        sleep: Waits so many seconds.
        tell: Called with what `write_report` tells, once with each text.

    Raises:
        UsageError: The directory is not a run.
        JournalError: Its journal is damaged.
    """
    seen, told = -1, set[str]()

    def tell_once(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    while True:
        size = (path / "journal.jsonl").stat().st_size if (path / "journal.jsonl").exists() else 0
        if size != seen:
            run = load_run(path)
            over = is_over(run)
            if not run.winners.empty:
                drawn(write_report(path, refresh=None if over else every, tell=tell_once))
            if over:
                return
            seen = size
        sleep(every)


def is_over(run: Run) -> bool:
    """Return whether every search that the run's settings name is over: see `preflight.searches_over`."""
    search = run.settings.get("search")
    search = search if isinstance(search, Mapping) else {}
    first, seeds = int(run.settings.get("seed", 0)), int(search.get("seeds", 1))
    planned = [(str(method), seed) for seed in range(first, first + seeds) for method in search.get("methods", [])]
    replay = search.get("replay")
    scheduled = isinstance(replay, Mapping) and bool(replay.get("schedule"))
    return bool(planned) and searches_over(run.records, planned, scheduled)
