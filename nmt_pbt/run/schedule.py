"""Schedules: the values one model was trained with, segment by segment, as a file to replay them from.

What PBT finds is a model and the schedule that its weights went through. The schedule belongs to a *lineage*: where a
member adopted another's weights, the values those weights were trained with come before its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from nmt_pbt.base.errors import JournalError, UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.base.types import Value
from nmt_pbt.base.yaml_text import dump_yaml, read_yaml
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, RunStarted, SearchEnded, SearchStarted
from nmt_pbt.search.segments import Segment
from nmt_pbt.settings.loading import checked


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Source(_Plain):
    """Which search found a schedule.

    Attributes:
        run: Name of the run's folder.
        method: Whose search.
        seed: Its seed.
        trial: The trial whose evaluation won: the last one of the lineage.
        objective: The dev metric that decided.
        score: Its value then.
        pairs_per_epoch: Training pairs in one epoch.
    """

    run: str
    method: str
    seed: int
    trial: str
    objective: str
    score: float
    # `epoch` is what files of version 0.1 say.
    pairs_per_epoch: Annotated[int, Field(ge=1, validation_alias=AliasChoices("pairs_per_epoch", "epoch"))]


class RecordedSegment(_Plain):
    """Constant values for so long.

    Attributes:
        epochs: How long, in epochs.
        pairs: The same in sentence pairs of the source; None in a file written by hand.
        trial: The trial that this was; None in a file written by hand.
        adopted: The weights came from another member when it began.
        values: The hyperparameters in force.
    """

    epochs: Annotated[float, Field(gt=0.0)]
    pairs: Annotated[int, Field(ge=1)] | None = None
    trial: str | None = None
    adopted: bool = False
    values: Annotated[dict[str, Value], Field(min_length=1)]


class Schedule(_Plain):
    """The values one model was trained with, from fresh weights on.

    Attributes:
        source: Where it comes from; None in a file written by hand.
        segments: In the order of training.
    """

    source: Source | None = None
    # `stretches` is what files of version 0.1 say.
    segments: Annotated[
        list[RecordedSegment], Field(min_length=1, validation_alias=AliasChoices("segments", "stretches"))
    ]

    @property
    def epochs(self) -> float:
        """How long it is, in epochs."""
        return math.fsum(segment.epochs for segment in self.segments)

    @property
    def plain(self) -> list[Segment]:
        """The segments as settings hold them."""
        return [Segment(epochs=segment.epochs, values=segment.values) for segment in self.segments]


def found_schedule(records: Iterable[AnyRecord], method: str, seed: int, run: str) -> Schedule | None:
    """Return what the winner of a search was trained with, along its lineage, up to the winning evaluation.

    Args:
        records: The journal's records.
        method: Whose search.
        seed: Its seed.
        run: Name of the run, to be told as the source.

    Returns:
        One segment for each interval between two evaluations; None when the search has no evaluation to choose from.

    Raises:
        JournalError: A parent is missing from the journal.
    """
    start: SearchStarted | None = None
    given: dict[str, Assigned] = {}
    points: dict[str, list[Evaluated]] = {}
    best: tuple[float, Evaluated] | None = None
    for record in records:
        if isinstance(record, RunStarted) or (record.method, record.seed) != (method, seed):
            continue
        if isinstance(record, SearchStarted):
            start = record
        elif isinstance(record, Assigned):
            given[record.trial] = record
        elif isinstance(record, Evaluated) and record.failure is None and start is not None:
            points.setdefault(record.trial, []).append(record)
            score = record.metrics.get(start.objective)
            if score is not None and (best is None or _better(score, best[0], start)):
                best = score, record
    if start is None or best is None:
        return None
    score, won = best
    return Schedule(
        source=Source(
            run=run,
            method=method,
            seed=seed,
            trial=won.trial,
            objective=start.objective,
            score=score,
            pairs_per_epoch=start.pairs_per_epoch,
        ),
        segments=_segments(given, points, won, start.pairs_per_epoch),
    )


def _better(score: float, than: float, start: SearchStarted) -> bool:
    return score > than if start.direction == "max" else score < than


def _segments(
    given: dict[str, Assigned], points: dict[str, list[Evaluated]], won: Evaluated, epoch: int
) -> list[RecordedSegment]:
    lineage: list[tuple[Assigned, list[Evaluated]]] = []
    trial: str | None = won.trial
    while trial is not None:
        if trial not in given or trial not in points:
            raise JournalError(
                f"{won.method}, seed {won.seed}: trial {trial}, from which the winner descends, is not in the journal; "
                "restore the journal from a copy"
            )
        until = won.interval_index if trial == won.trial else math.inf
        lineage.append((given[trial], [point for point in points[trial] if point.interval_index <= until]))
        trial = given[trial].parent
    segments: list[RecordedSegment] = []
    age = 0
    for assigned, evaluated in reversed(lineage):
        for number, point in enumerate(evaluated):
            segments.append(
                RecordedSegment(
                    epochs=(point.trained_pairs - age) / epoch,
                    pairs=point.trained_pairs - age,
                    trial=assigned.trial,
                    adopted=assigned.inherited and number == 0,
                    values=assigned.values,
                )
            )
            age = point.trained_pairs
    return segments


def schedule_of_run(folder: Path, method: str | None = None, seed: int | None = None) -> Schedule:
    """Return the schedule of a run's winner.

    Args:
        folder: The run.
        method: Whose; None takes PBT's.
        seed: Of which search; None takes the best on dev.

    Returns:
        The schedule.

    Raises:
        UsageError: The folder is no run, holds no such search, or that is not finished or has no winner.
        JournalError: The journal is damaged.
    """
    records = read_journal(folder / "journal.jsonl")
    over = [(record.method, record.seed) for record in records if isinstance(record, SearchEnded)]
    if not over:
        raise UsageError(f"{folder}: no search is finished yet; continue it with nmt-pbt compare --resume {folder}")
    wanted = method or "pbt"
    methods = list(dict.fromkeys(name for name, _ in over))
    if wanted not in methods:
        hint = suggest(wanted, methods) if method is not None else f"; give --method, one of: {', '.join(methods)}"
        raise UsageError(f"{folder}: holds no finished search by {wanted}{hint}")
    seeds = [its for name, its in over if name == wanted]
    if seed is not None and seed not in seeds:
        raise UsageError(
            f"{folder}: {wanted} has no finished search of seed {seed}{suggest(str(seed), map(str, seeds))}"
        )
    chosen = [its for its in seeds if seed in (None, its)]
    found = [found_schedule(records, wanted, its, folder.resolve().name) for its in chosen]
    schedules = [schedule for schedule in found if schedule is not None]
    if not schedules:
        raise UsageError(f"{folder}: no trial of {wanted} succeeded, so there is no schedule; see its report")
    sign = -1 if any(isinstance(record, SearchStarted) and record.direction == "min" for record in records) else 1
    return max(schedules, key=lambda schedule: sign * schedule.source.score if schedule.source else 0.0)


def read_schedule(path: Path, check: Callable[[Sequence[Segment]], None]) -> Schedule:
    """Read a schedule from a YAML file, as a report holds them or as written by hand.

    Args:
        path: The file.
        check: Of the task: raises ValueError for segments that it cannot train with.

    Returns:
        The schedule.

    Raises:
        UsageError: The file is missing, is no such YAML, or its values cannot be used.
    """
    schedule = checked(Schedule, read_yaml(path), str(path))
    try:
        check(schedule.plain)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    source = schedule.source
    for number, segment in enumerate(schedule.segments, start=1):
        if (
            source is not None
            and segment.pairs is not None
            and abs(segment.epochs * source.pairs_per_epoch - segment.pairs) > 0.5
        ):
            raise UsageError(
                f"{path}: segment {number} has {counted(segment.pairs, 'pair')}, which is not "
                f"{counted(segment.epochs, 'epoch')} of {counted(source.pairs_per_epoch, 'pair')}; correct one, or "
                "remove the pairs"
            )
    return schedule


def dump_schedule(schedule: Schedule) -> str:
    """Return a schedule as YAML text, which `read_schedule` reads back to the same."""
    return dump_yaml(schedule.model_dump(mode="json", exclude_none=True))
