"""Tracking a run: while it is searched, or afterwards. The journal has it all, so what is missed can be sent later."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.driver import Listener, combined_listener
from nmt_pbt.run.records import RunStarted, SearchRecord, now
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.track.feed import Feed, Tracker
from nmt_pbt.track.names import TRACKERS, check_trackers, sending_command


def open_tracker(name: str, run: RunDirectory) -> Tracker:
    """Return a tracker by its name.

    Args:
        name: Of `names.TRACKERS`.
        run: The run, after whose folder what it keeps is called.

    Raises:
        UsageError: There is no such tracker, or it is not installed, or cannot be reached.
    """
    check_trackers([name])
    module = importlib.import_module(f"nmt_pbt.track.{name}_tracker")
    try:
        tracker: Tracker = getattr(module, TRACKERS[name])(run.path.resolve().name)
    except Exception as error:
        raise UsageError(f"tracker {name!r}: {_reason(error)}; correct where it sends to") from error
    return tracker


@contextmanager
def tracking(names: Sequence[str], run: RunDirectory, warn: Callable[[str], None]) -> Iterator[Listener]:
    """Open trackers of a run, and close them in the end.

    Args:
        names: Of trackers.
        run: The run.
        warn: Told in a line when a tracker fails: the search goes on without it.

    Yields:
        A listener to the search, which tells them.

    Raises:
        UsageError: A tracker cannot be had.
    """
    live = [_Live(name, open_tracker(name, run), run, warn) for name in dict.fromkeys(names)]
    try:
        yield combined_listener(*live)
    finally:
        for one in live:
            one.close()


def send(name: str, run: RunDirectory) -> None:
    """Send a tracker what it does not have of a run.

    Args:
        name: Of the tracker.
        run: The run.

    Raises:
        UsageError: The tracker cannot be had, or fails.
    """
    tracker = open_tracker(name, run)
    try:
        _feed_journal(tracker, run)
        tracker.close()
    except Exception as error:
        raise UsageError(f"tracker {name!r}: {_reason(error)}; what was sent stays") from error


def _feed_journal(tracker: Tracker, run: RunDirectory, before: float = float("inf")) -> Feed:
    """Tell a tracker what was recorded before a time, and return what goes on telling it."""
    records = run.records()
    start = records[0]
    feed = Feed(tracker, hashlib.sha256(start.model_dump_json().encode()).hexdigest()[:12])
    for record in records:
        if not isinstance(record, RunStarted) and record.time < before:
            feed(record)
    return feed


class _Live:
    """Tells one tracker what happens in a run, and first what an earlier process found in it."""

    def __init__(self, name: str, tracker: Tracker, run: RunDirectory, warn: Callable[[str], None]) -> None:
        self._name, self._tracker, self._run, self._warn = name, tracker, run, warn
        self._began = now()
        self._feed: Feed | None = None
        self._failed = False

    def __call__(self, record: SearchRecord) -> None:
        if not self._failed:
            self._try(lambda: self._take(record))

    def close(self) -> None:
        if not self._failed:
            self._try(self._tracker.close)

    def _take(self, record: SearchRecord) -> None:
        if self._feed is None:
            self._feed = _feed_journal(self._tracker, self._run, self._began)
        if record.time >= self._began:  # those before are only replayed
            self._feed(record)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - of a library or a server: no search shall end by it
            self._failed = True
            self._warn(
                f"tracker {self._name!r}: {_reason(error)}; the search goes on without it. "
                f"`{sending_command(self._run, [self._name])}` sends what is missing"
            )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
