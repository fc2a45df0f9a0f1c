"""A run of Keras models: its settings, its folder, and the models it keeps."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from nmt_pbt.base.errors import StateError
from nmt_pbt.base.types import Value
from nmt_pbt.run.journal import Evaluated, Extended, SearchEnded, SearchRecord, SearchStarted, Tested
from nmt_pbt.tasks.keras.oracle import cannot_write
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.keras.trainable import FULL
from nmt_pbt.tasks.state import StateStore


def engine_settings(workers: int, address: str | None) -> dict[str, Any]:
    """Return where jobs run, as settings.

    Args:
        workers: How many processes; 1 trains in this process, 0 takes as many as cores and memory allow.
        address: Of a Ray cluster; None for this machine.
    """
    if address is not None:
        return {"name": "ray", "workers": workers, "address": address}
    return {"name": "inline"} if workers == 1 else {"name": "processes", "workers": workers}


def run_name(name: str) -> str | None:
    """Return a name as one of a run; None where nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].strip("-.") or None


def one_thread_each() -> None:
    """Let TensorFlow take one thread in this process, as in workers, where it has not begun to work yet."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")


@contextmanager
def telling_full_disks() -> Iterator[None]:
    """Stop, in one line, when the disk is full: no fault of any trial's values.

    Raises:
        SearchError: Says which file, why, and how to go on.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise cannot_write(error) from error
        raise


def load_model(
    task: KerasTask, folder: Path, names: Iterator[tuple[Path, str]], values: Mapping[str, Value], content: str
) -> keras.Model:
    """Build a model and give it a saved state.

    Args:
        task: Builds it.
        folder: The run's.
        names: Folders and names under which the state may be.
        values: The hyperparameters.
        content: The state's content hash.

    Raises:
        StateError: The state is not kept.
    """
    for where, name in names:
        store = StateStore(where)
        if store.exists(name) and store.problem(name, content) is None:
            trainable = task.build({})
            trainable.load(store.load(name, content))
            trainable.set_hyperparameters(values)
            return trainable.model
    raise StateError(f"{folder}: this state is no longer kept; ask for fewer models")


def say(text: object) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_nothing(text: object) -> None:
    """Print nothing."""


class Progress:
    """Prints a line for each interval that ends, and for each search.

    Args:
        show: Whether to print at all.
        skip: Records that were written before, and are only replayed.
        intervals: Whether intervals have a line each.
        failed: Told the trial and the reason where one failed.
    """

    def __init__(self, show: bool, skip: int, intervals: bool, failed: Callable[[str, str], None]) -> None:
        self._show = show
        self._skip = skip
        self._intervals = intervals
        self._failed = failed
        self._best: dict[tuple[str, int], float] = {}
        self._started: dict[tuple[str, int], SearchStarted] = {}

    def __call__(self, record: SearchRecord) -> None:
        """Take note of a record."""
        live = self._skip <= 0
        self._skip -= 1
        key = record.method, record.seed
        if isinstance(record, SearchStarted):
            self._started[key] = record
        elif isinstance(record, Extended):
            start = self._started[key]
            self._started[key] = start.model_copy(update={"budget_pairs": start.budget_pairs + record.pairs})
        elif isinstance(record, Evaluated):
            self._evaluated(record, live)
        elif isinstance(record, SearchEnded) and live and self._show:
            start = self._started[key]
            best = f"best {start.objective} {self._best[key]:.4g}" if key in self._best else record.reason
            stopped = f", stopped: {record.reason}" if record.rule is not None else ""
            say(f"{record.method}, seed {record.seed}: {best} after {record.spent_pairs} epochs{stopped}")
        elif isinstance(record, Tested) and live and self._show and record.test:
            told = ", ".join(f"{name} {value:.4g}" for name, value in record.test.items())
            say(f"{record.method}, seed {record.seed}: on test data {told}")

    def _evaluated(self, record: Evaluated, live: bool) -> None:
        key = record.method, record.seed
        start = self._started[key]
        if record.failure is not None:
            if live:
                self._failed(record.trial, record.failure)
            return
        score = record.metrics.get(start.objective)
        if score is None:
            return
        better = max if start.direction == "max" else min
        self._best[key] = better(score, self._best.get(key, score))
        if live and self._show and self._intervals:
            done = record.spent_pairs / start.budget_pairs
            say(
                f"{done:4.0%}  trial {record.trial}: {start.objective} {score:.4g} at epoch {record.trained_pairs}, "
                f"best {self._best[key]:.4g}",
            )
