"""What the terminal shows: progress bars while a search runs, and tables when it is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from nmt_pbt.base.types import Value
from nmt_pbt.run.greediness import Greediness
from nmt_pbt.run.manual import Tried
from nmt_pbt.run.records import Evaluated, Extended, Guessed, SearchEnded, SearchRecord, SearchStarted, Tested, now

CONSOLE = Console(stderr=True)
"""Progress goes to standard error: standard output is for results."""
RESULTS = Console(width=None if sys.stdout.isatty() else 160)
"""Tables that were asked for; whole where they go to a file or another program."""

_EVERY = 20.0  # seconds at least between two lots of sample translations, and between two lines of a search in a log


class SearchProgress:
    """A bar for each search, and now and then translations of its best model, fed with the journal's records.

    In a log, lines take the place of the bars: of each search one a generation at most, or as many intervals as a
    generation has; and translations are shown once, when the search is over. A context manager.

    Args:
        samples: Source and reference of the dev sentences whose translations an evaluation tells.
        greediness: Diagnoses the populations; alarms are told. None tells none.
        log: Whether to write a log; None: where standard error is no terminal.
    """

    def __init__(
        self,
        samples: Sequence[tuple[str, str]] = (),
        greediness: Greediness | None = None,
        log: bool | None = None,
    ) -> None:
        self._samples = tuple(samples)
        self._greediness = greediness
        self._log = not CONSOLE.is_terminal if log is None else log
        self._began = now()
        self._shown = float("-inf")
        self._lines: dict[tuple[str, int], tuple[int, float]] = {}  # generation and time of each search's last line
        self._best_samples: dict[tuple[str, int], Evaluated] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} pairs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"),
            console=CONSOLE,
            disable=self._log,
        )
        self._bars: dict[tuple[str, int], TaskID] = {}
        self._starts: dict[tuple[str, int], SearchStarted] = {}
        self._best: dict[tuple[str, int], float] = {}
        self._totals: dict[tuple[str, int], int] = {}
        self._spent: dict[tuple[str, int], int] = {}

    def __enter__(self) -> SearchProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, record: SearchRecord) -> None:
        """Show a record."""
        search = (record.method, record.seed)
        found = self._greediness.take(record) if self._greediness is not None else None
        if found is not None and found.alarms and record.method == "pbt":
            self._progress.console.print(
                f"{record.method}, seed {record.seed}: {' and '.join(found.alarms)} as early as generation "
                f"{found.generation}: the selection may be greedy, see the report"
            )
        match record:
            case SearchStarted():
                self._starts[search] = record
                # A search by hand has its first guess before its own start.
                total = self._totals[search] = self._totals.get(search, 0) + record.budget_pairs
                self._bars[search] = self._progress.add_task(
                    f"{record.method}, seed {record.seed}", total=total, best=""
                )
            case Guessed() | Extended():
                total = self._totals[search] = self._totals.get(search, 0) + record.pairs
                if search in self._bars:
                    self._progress.reset(self._bars[search], total=total, completed=self._spent.get(search, 0))
            case Evaluated():
                self._spent[search] = record.spent_pairs
                start = self._starts[search]
                score = record.metrics.get(start.objective)
                if score is not None:
                    better = max if start.direction == "max" else min
                    self._best[search] = better(score, self._best.get(search, score))
                best = f"best {start.objective} {self._best[search]:.2f}" if search in self._best else ""
                self._progress.update(self._bars[search], completed=record.spent_pairs, best=best)
                if self._log:
                    self._write_line(record, best)
                elif record.time >= max(self._began, self._shown + _EVERY):
                    self._show_samples(record, best)
            case SearchEnded():
                self._progress.update(self._bars[search], completed=record.spent_pairs)
                self._progress.stop_task(self._bars[search])
                if record.rule is not None and record.time >= self._began:
                    told = f"{record.method}, seed {record.seed}: stopped: {record.reason}"
                    self._progress.console.print(told, highlight=False, markup=False, soft_wrap=True)
                if self._log and search in self._best_samples and record.time >= self._began:
                    start = self._starts[search]
                    self._show_samples(self._best_samples[search], f"best {start.objective} {self._best[search]:.2f}")
            case Tested() if search in self._bars:
                tested = f"test BLEU {record.test['bleu']:.1f}"
                self._progress.update(self._bars[search], best=tested)
                if self._log and record.time >= self._began:
                    CONSOLE.print(f"{record.method}, seed {record.seed}: {tested}", highlight=False, soft_wrap=True)

    def _write_line(self, record: Evaluated, best: str) -> None:
        """Write how far a search is, sparingly; of a resumed run only what is new."""
        search, start = (record.method, record.seed), self._starts[record.method, record.seed]
        if record.samples:
            self._best_samples[search] = record
        generation = record.spent_pairs // (start.population * start.interval_pairs)
        last, at = self._lines.get(search, (0, float("-inf")))
        over = record.spent_pairs >= self._totals[search]
        if record.time < self._began or generation == last or not (over or record.time >= at + _EVERY):
            return
        self._lines[search] = generation, record.time
        share = f"{record.spent_pairs:,}/{self._totals[search]:,} pairs"
        told = f"{record.method}, seed {record.seed}: {share}{', ' if best else ''}{best}"
        CONSOLE.print(told, highlight=False, markup=False, soft_wrap=True)

    def _show_samples(self, record: Evaluated, best: str) -> None:
        """Show what the best model so far says."""
        if not record.samples:
            return
        self._shown = record.time
        lines = [f"{record.method}, seed {record.seed}, trial {record.trial}: {best}"]
        for (source, reference), translation in zip(self._samples, record.samples, strict=False):
            lines += [f"  source       {source}", f"  translation  {translation}", f"  reference    {reference}"]
        self._progress.console.print(Text("\n".join(lines)), soft_wrap=self._log)


class PreparationProgress:
    """A bar for a corpus that is cut into subwords; a context manager, called with the sentence pairs that are done.

    Args:
        pairs: Sentence pairs in all.
    """

    def __init__(self, pairs: int) -> None:
        self._pairs = pairs
        self._progress = Progress(
            TextColumn("Preparing {task.completed:,.0f} of {task.total:,.0f} sentence pairs"),
            BarColumn(),
            TimeRemainingColumn(),
            console=CONSOLE,
            transient=True,
        )

    def __enter__(self) -> PreparationProgress:
        if CONSOLE.is_terminal:
            self._bar = self._progress.add_task("", total=self._pairs)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, done: int) -> None:
        """Show how far it is."""
        if CONSOLE.is_terminal:
            self._progress.update(self._bar, completed=done)


class TranslationProgress:
    """A bar for text that is translated; a context manager. In a log, a line now and then takes its place.

    Args:
        sentences: Sentences in all.
        done: How many are done already.
    """

    def __init__(self, sentences: int, done: int) -> None:
        self._sentences = sentences
        self._done = done
        self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("Translating {task.completed:,.0f} of {task.total:,.0f} sentences"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=CONSOLE,
            disable=not CONSOLE.is_terminal,
            speed_estimate_period=600,  # parts end seldom, and several at a time
        )

    def __enter__(self) -> TranslationProgress:
        self._bar = self._progress.add_task("", total=self._sentences, completed=self._done)
        self._progress.start()
        if self._done and not CONSOLE.is_terminal:
            self._write_line()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, sentences: int) -> None:
        """Show that so many more are done."""
        self._done += sentences
        self._progress.update(self._bar, completed=self._done)
        over = self._done >= self._sentences
        if not CONSOLE.is_terminal and (over or time.monotonic() >= self._told + _EVERY):
            self._write_line()

    def _write_line(self) -> None:
        self._told = time.monotonic()
        CONSOLE.print(f"translated {self._done:,}/{self._sentences:,} sentences", highlight=False, soft_wrap=True)


class DownloadProgress:
    """A bar for each file that is downloaded; a context manager, called with (file, bytes done, bytes in all)."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=CONSOLE
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._progress.stop()

    def __call__(self, file: str, done: int, total: int | None) -> None:
        """Show how far a file is."""
        self._progress.start()  # only now: a refusal leaves the terminal as it was
        if file not in self._bars:
            self._bars[file] = self._progress.add_task(file, total=total)
        self._progress.update(self._bars[file], completed=done, total=total)


def tried_table(tried: Sequence[Tried], objective: str) -> Table:
    """Return what a run has tried, one row each, the best marked.

    Args:
        tried: In the order to show, the best first.
        objective: The dev metric that decides.
    """
    names = list(dict.fromkeys(name for one in tried for name in one.values))
    table = Table(title="Tried so far, the best first")
    table.add_column("")
    for heading in ("method", "seed", "trial"):
        table.add_column(heading)
    for heading in (objective, "epochs", *names):
        table.add_column(heading, justify="right")
    table.add_column("")
    for place, one in enumerate(tried):
        score = "" if one.score is None else f"{one.score:.3f}" if objective == "val_loss" else f"{one.score:.2f}"
        values = [_value(one.values.get(name)) for name in names]
        mark = "*" if place == 0 and one.score is not None else ""
        table.add_row(mark, one.method, str(one.seed), one.trial, score, f"{one.epochs:g}", *values, one.note)
    return table


def _value(value: Value | None) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def results_table(records: Iterable[Tested], objective: str) -> Table:
    """Return the final table: each method's winner on dev and on test.

    Args:
        records: What was tested, in the order to show.
        objective: The dev metric that decided.

    Returns:
        The table; of several test sets, it has BLEU of each.
    """
    records = list(records)
    others = list(dict.fromkeys(other.test_set for record in records for other in record.others))
    test = next((record.test_set for record in records if record.test_set is not None), "test")
    table = Table(title="Winners: the first score is what the search saw, test was decoded once")
    for heading, justify in (("method", "left"), ("seed", "right"), (objective, "right"), (f"{test} BLEU", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in (f"{test} chrF", *(f"{name} BLEU" for name in others)):
        table.add_column(heading, justify="right")
    table.add_column("trial", justify="right")
    for record in records:
        dev = record.dev.get(objective)
        beside = {other.test_set: f"{other.test['bleu']:.2f}" for other in record.others}
        table.add_row(
            record.method,
            str(record.seed),
            f"{dev:.2f}" if dev is not None else "",
            f"{record.test['bleu']:.2f}",
            f"{record.test['chrf']:.2f}",
            *(beside.get(name, "") for name in others),
            record.trial,
        )
    return table
