"""A run of a task of one's own, begun from Python: its arguments, its settings, and what it prints."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import FULL, cannot_write
from nmt_pbt.base.text import counted
from nmt_pbt.run.compare import compare
from nmt_pbt.run.driver import Listener, combined_listener
from nmt_pbt.run.preflight import check_engine, ended_by_rules, is_finished
from nmt_pbt.run.records import Evaluated, Extended, SearchEnded, SearchRecord, SearchStarted, Tested, now
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.methods.registry import build_method, check_methods, method_spec
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment
from nmt_pbt.settings.own_task import OwnTaskSettings, own_task_settings
from nmt_pbt.space.domains import Choice
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.answers import check_complete, declared
from nmt_pbt.tasks.protocol import Objective, SearchableTask

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle

_LOG = logging.getLogger("nmt_pbt")


def say_nothing(text: object) -> None:
    """Print nothing."""


def run_searches(
    run: RunDirectory, settings: OwnTaskSettings, task: SearchableTask, verbose: int, listener: Listener = say_nothing
) -> bool:
    """Search with each method and seed, or go on with that.

    Args:
        run: The folder of a run, or of one to begin.
        settings: What is searched.
        task: What is trained.
        verbose: 0 prints nothing, 1 a line for each search, 2 for each interval.
        listener: Told every record, replayed ones too.

    Returns:
        Whether anything was left to do.

    Raises:
        UsageError: These searches cannot be run, or the folder holds something else.
        SearchError: Every trial of every method failed.
    """
    space = task.search_space
    check_methods(replace(settings.search_plan(), space=space))
    check_engine(settings.engine)
    if settings.engine.name != "inline":
        task.check_sendable()

    def build_oracle(
        name: str, plan: SearchPlan, seed: int, pairs_per_epoch: int, segments: Sequence[Segment]
    ) -> JournaledOracle:
        return build_method(name, replace(plan, space=space), seed, pairs_per_epoch, segments)

    if run.started() is None:
        run.check_new()
        if getattr(task, "finds_structural", False) and _changes_values(settings):
            tell_words_that_change(space)
    else:
        records = run.records()
        for told in ended_by_rules(records, run.elsewhere) if verbose else ():
            say(told)
        if is_finished(records, settings):
            run.check_same(settings)
            return False
    tell = combined_listener(Progress(bool(verbose), verbose > 1, settings.unit), listener)
    with telling_full_disks():
        compare(run, settings, task, tell, say if verbose else say_nothing, build_oracle)
    return True


def _changes_values(settings: OwnTaskSettings) -> bool:
    """Return whether a method changes values in mid-training."""
    return any(method_spec(name, settings.search).kind == "population" for name in settings.search.methods)


def tell_words_that_change(space: Space) -> None:
    """Say which words and truth values explore may change: no model's shapes tell whether weights belong to them.

    Args:
        space: With what is structural or frozen.
    """
    held = space.structural | space.frozen
    words = [
        domain.name
        for domain in space.domains
        if isinstance(domain, Choice) and isinstance(domain.values[0], (str, bool)) and domain.values[1:]
    ]
    changing = tuple(name for name in dict.fromkeys(words) if name not in held)
    if changing:
        _LOG.warning(
            "%s: Population Based Training may change %s in mid-training, under weights that were trained with "
            "another value; if they belong together, declare structural=%r",
            ", ".join(changing),
            "them" if changing[1:] else "this",
            changing,
        )


def task_settings(task: SearchableTask, tree: Mapping[str, Any]) -> OwnTaskSettings:
    """Return the settings of a run that searches a task.

    Args:
        task: What is trained.
        tree: What the task does not say, as plain data; `task` and `start_from` where they are called otherwise.

    Raises:
        UsageError: The task declares what cannot be used, or one of the settings cannot.
    """
    check_complete(task)
    return own_task_settings(
        declared(task, "search_space", Space),
        declared(task, "searched_objective", Objective),
        {
            "task": declared(task, "name", str),
            **tree,
            "unit": declared(task, "unit", str),
            "start_from": task.start_from or tree.get("start_from"),
            "start_digest": task.start_digest,
        },
    )


def check_count(name: str, value: Any, least: int = 0) -> None:
    """Refuse what is no whole number.

    Args:
        name: The argument.
        value: It.
        least: The smallest that is allowed.

    Raises:
        UsageError: It is none, or a smaller one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name}={value!r}: has to be a whole number, at least {least}")


def check_counts(seeds: int, population: int, workers: int, seed: int) -> None:
    """Refuse numbers of a comparison that are none, or too small; see `check_count`."""
    for name, count, least in (
        ("seeds", seeds, 1),
        ("population", population, 2),
        ("workers", workers, 0),
        ("seed", seed, 0),
    ):
        check_count(name, count, least)


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


def say(text: object) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """Prints a line for each interval that ends, and for each search.

    Args:
        show: Whether to print at all.
        intervals: Whether intervals have a line each.
        unit: A word for what is trained in: an epoch, or another.
    """

    def __init__(self, show: bool, intervals: bool, unit: str = "epoch") -> None:
        self._show = show
        self._began = now()
        self._intervals = intervals
        self._unit = unit
        self._best: dict[tuple[str, int], float] = {}
        self._started: dict[tuple[str, int], SearchStarted] = {}

    def __call__(self, record: SearchRecord) -> None:
        """Take note of a record."""
        live = record.time >= self._began  # those written before are only replayed
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
            say(f"{record.method}, seed {record.seed}: {best} after {counted(record.spent_pairs, self._unit)}{stopped}")
        elif isinstance(record, Tested) and live and self._show and record.test:
            told = ", ".join(f"{name} {value:.4g}" for name, value in record.test.items())
            say(f"{record.method}, seed {record.seed}: on test data {told}")

    def _evaluated(self, record: Evaluated, live: bool) -> None:
        key = record.method, record.seed
        start = self._started[key]
        if record.failure is not None:
            if live:
                _LOG.warning("trial %s failed: %s", record.trial, record.failure)
            return
        score = record.metrics.get(start.objective)
        if score is None:
            return
        better = max if start.direction == "max" else min
        self._best[key] = better(score, self._best.get(key, score))
        if live and self._show and self._intervals:
            done = record.spent_pairs / start.budget_pairs
            say(
                f"{done:4.0%}  trial {record.trial}: {start.objective} {score:.4g} at {self._unit} "
                f"{record.trained_pairs}, best {self._best[key]:.4g}",
            )
