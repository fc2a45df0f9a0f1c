"""The report of a run under way, drawn again whenever the run has come further."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.run.journal import SearchEnded

EVERY = 30.0
"""Seconds from one look at the journal to the next: drawing takes seconds that the search would use."""


def watch(
    path: Path, drawn: Callable[[Path], None], every: float = EVERY, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Draw a run's report now, and again after every `every` seconds in which its journal grew, until the run is over.

    The page loads itself again as often, but for the last.

    Args:
        path: The run's directory.
        drawn: Told of the page each time it was drawn.
        every: Seconds between two looks at the journal.
        sleep: Waits so many seconds.

    Raises:
        UsageError: The directory is not a run.
        JournalError: Its journal is damaged.
    """
    seen = -1
    while True:
        size = (path / "journal.jsonl").stat().st_size if (path / "journal.jsonl").exists() else 0
        if size != seen:
            run = load_run(path)
            over = is_over(run)
            if not run.winners.empty:
                drawn(write_report(path, refresh=None if over else every))
            if over:
                return
            seen = size
        sleep(every)


def is_over(run: Run) -> bool:
    """Return whether every search that the run's settings name has ended and its winner, if any, was tested."""
    search = run.settings.get("search")
    search = search if isinstance(search, Mapping) else {}
    first, seeds = int(run.settings.get("seed", 0)), int(search.get("seeds", 1))
    planned = {(str(method), seed) for method in search.get("methods", []) for seed in range(first, first + seeds)}
    ended = {(record.method, record.seed) for record in run.records if isinstance(record, SearchEnded)}
    tested = {(record.method, record.seed) for record in run.tested}
    won = {(str(row["method"]), int(row["seed"])) for row in run.winners.to_dict("records")}
    return bool(ended) and planned <= ended and won <= tested
