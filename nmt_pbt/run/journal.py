"""The journal: the append-only record of one run, from which it is resumed and reported.

One JSON object a line, in the file as soon as it is appended. The records of one search are the same whenever the same
settings run again with the same seed, on any engine and number of workers, but for `time`, `seconds` and `worker`.
Searches stand side by side in it. Journals of version 1 can be read.
"""

from __future__ import annotations

import json
import math
import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from nmt_pbt.base.errors import JournalError
from nmt_pbt.base.files import named
from nmt_pbt.base.types import Value
from nmt_pbt.run.journal_version_1 import from_version_1

VERSION = 2
StopRule = Literal["seconds", "patience_intervals", "target"]
"""A rule of `search.stop` by which a whole search ends."""


class Record(BaseModel):
    """What all records share. `time` is seconds since the epoch, when the record was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    time: float = Field(default_factory=lambda: round(time.time(), 3))


class RunStarted(Record):
    """The first line of every journal.

    `settings` is the SHA-256 of the settings that decide results, `data` that of what the task trains and tests on.
    """

    event: Literal["run"] = "run"
    version: int = VERSION
    settings: str
    data: str


class SearchStarted(Record):
    """One method begins its search with one seed.

    `budget_pairs` is what the whole search trains, `interval_pairs` what lies between two evaluations.
    """

    event: Literal["search"] = "search"
    method: str
    seed: int
    objective: str
    direction: Literal["min", "max"]
    budget_pairs: int
    interval_pairs: int
    pairs_per_epoch: int
    population: int


class Assigned(Record):
    """The oracle gave out a trial.

    `parent` is the trial whose final state this one starts from; `inherited` says that the parent was another
    member's (an exploit). `values` are the trial's hyperparameters, `pairs` how many training pairs it will train.
    `worker` is the one it was given to, in version 1; since then it may be any, which each evaluation tells.
    """

    event: Literal["assigned"] = "assigned"
    method: str
    seed: int
    trial: str
    worker: str = ""
    member: int | None = None
    generation: int = 0
    parent: str | None = None
    inherited: bool = False
    values: dict[str, Value]
    pairs: int


class Guessed(Record):
    """Somebody added a guess by hand, which the search by hand tries next; its budget grows by `pairs`.

    `values` are the guess's hyperparameters, which may lie outside the searched range.
    """

    event: Literal["guessed"] = "guessed"
    method: str
    seed: int
    values: dict[str, Value]
    pairs: int


class Extended(Record):
    """A search goes on: its budget grows by `pairs`."""

    event: Literal["extended"] = "extended"
    method: str
    seed: int
    pairs: int


class Seconds(BaseModel):
    """Wall-clock of one interval, itemised, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    load: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0
    decide: float = 0.0
    idle: float = 0.0


class Evaluated(Record):
    """A trial finished one interval and was evaluated.

    `interval_index` counts the trial's intervals from 0, `worker` ran this one. `trained_pairs` are the pairs that this
    state's weights were trained on along the lineage, `spent_pairs` what the whole search has trained so far (its
    place on the budget axis). `state` is the content hash of the saved state and `started` that of the state the
    interval began with (None: fresh weights). A metric that is not finite is recorded as null. `failure` says why the
    interval failed (`nan`, `out of memory`): it then has no state, and its trial ends. `evidence` is what the task can
    say of the score in more detail, packed by `evidence.pack`; it is kept only where the search decides by it.
    `samples` are texts by which the task shows what the model does, kept where this is the best evaluation so far.
    """

    event: Literal["evaluated"] = "evaluated"
    method: str
    seed: int
    trial: str
    interval_index: int
    worker: str = ""
    trained_pairs: int
    spent_pairs: int
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=True)] | None]
    started: str | None = None
    state: str | None = None
    failure: str | None = None
    evidence: str | None = None
    samples: list[str] = []
    seconds: Seconds = Seconds()

    @field_validator("metrics")
    @classmethod
    def _finite(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        return {name: value if value is not None and math.isfinite(value) else None for name, value in metrics.items()}


class Ended(Record):
    """A trial ended. `reason` tells why one failed or was stopped early; it is empty for one that took its time."""

    event: Literal["ended"] = "ended"
    method: str
    seed: int
    trial: str
    status: Literal["completed", "failed"]
    reason: str = ""


class OtherTest(BaseModel):
    """What one more test set says of a winner; its fields are those of `Tested`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    test_set: str
    test: dict[str, float]
    signatures: dict[str, str] = {}
    outputs: str | None = None


class Tested(Record):
    """A search's winner, tested once on the test split.

    `trial` and `interval_index` name the state that won on dev; `dev` and `test` are metrics by name, `signatures` tell
    how some of the test metrics were computed. `outputs` is a file of what the winner made of the test split, relative
    to the run; None where the task keeps none. Where the task has several test sets, `test_set` names the one that
    methods are compared by, which all this is about, and `others` tell the same of the others.
    """

    event: Literal["tested"] = "tested"
    method: str
    seed: int
    trial: str
    interval_index: int
    trained_pairs: int
    dev: dict[str, float]
    test: dict[str, float]
    signatures: dict[str, str] = {}
    outputs: str | None = None
    test_set: str | None = None
    others: list[OtherTest] = []
    seconds: float = 0.0


class SearchEnded(Record):
    """One method's search for one seed is over; `spent_pairs` is what it trained in all.

    `reason` says why, and `rule` which of the settings' stop rules ended it; None where none did.
    """

    event: Literal["search_ended"] = "search_ended"
    method: str
    seed: int
    spent_pairs: int
    reason: str = "budget spent"
    rule: StopRule | None = None


SearchRecord = SearchStarted | Guessed | Extended | Assigned | Evaluated | Ended | Tested | SearchEnded
"""What belongs to one search."""

AnyRecord = RunStarted | SearchRecord

_READER: TypeAdapter[AnyRecord] = TypeAdapter(Annotated[AnyRecord, Field(discriminator="event")])


class Journal:
    """An open journal to append to. Only the driver's side of a run writes it.

    It holds no records in memory, but where those of each search lie: a search may write millions of them.

    Args:
        path: The file; created when missing. A torn last line, which is what a crash leaves, is cut off.
        writable: Whether to append to it; otherwise it is there, and stays as it is.

    Raises:
        JournalError: A line other than a torn last one is damaged, or the version is not known. The line is named.
    """

    def __init__(self, path: Path, writable: bool = True) -> None:
        self.path = path
        whole = 0
        self._places: dict[tuple[str, int], array[int]] = {}  # where the lines of each search begin
        for record, size in _read(path) if path.exists() else ():
            if isinstance(record, RunStarted) and record.version != VERSION:
                raise JournalError(
                    f"{path}: was begun by an earlier version of this program, and can be read but not continued; "
                    "go on with that version (see environment.json), or start a new run"
                )
            self._index(record, whole)
            whole += size
        # Unbuffered: what cannot be written must not be tried again behind our back when the file is closed.
        self._file = open(path, "ab" if writable else "rb", buffering=0)
        self._whole = whole
        if writable:
            self._file.truncate(whole)

    def append(self, record: AnyRecord, durable: bool = True) -> None:
        """Write one record; it is in the file when this returns, whatever becomes of this process.

        Args:
            record: What to append.
            durable: Bring it and all before it to the disk, so that it outlives the machine, too.

        Raises:
            OSError: The disk is full or cannot be written; the journal is as it was. The error names it.
        """
        line = memoryview(record.model_dump_json().encode("utf-8") + b"\n")
        try:
            written = 0
            while written < len(line):  # a disk that is nearly full takes a part
                written += self._file.write(line[written:])
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._whole)
            raise named(error, self.path) from error
        self._index(record, self._whole)
        self._whole += len(line)

    def _index(self, record: AnyRecord, place: int) -> None:
        if not isinstance(record, RunStarted):
            self._places.setdefault((record.method, record.seed), array("Q")).append(place)

    def __iter__(self) -> Iterator[AnyRecord]:
        """Read back what the journal holds, one record at a time."""
        return (record for record, _ in _read(self.path))

    def of(self, method: str, seed: int) -> Iterator[SearchRecord]:
        """Read back the records of one search alone, in order; those of other searches are not read.

        Args:
            method: Whose search.
            seed: Its seed.
        """
        with open(self.path, "rb") as file:
            for place in list(self._places.get((method, seed), ())):
                file.seek(place)
                record = _READER.validate_json(file.readline())
                assert not isinstance(record, RunStarted), "the first line is of no search"
                yield record

    @property
    def records(self) -> list[AnyRecord]:
        """All that the journal holds, read back."""
        return list(self)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> list[AnyRecord]:
    """Read a journal without changing it.

    Args:
        path: The `journal.jsonl` of a run.

    Returns:
        Its records in order; a torn last line is left out.

    Raises:
        JournalError: There is no such file, a line other than a torn last one is damaged, or the version is not known.
            The line is named.
    """
    try:
        return [record for record, _ in _read(path)]
    except FileNotFoundError:
        raise JournalError(f"{path}: no such journal; name the folder of a run") from None


def read_start(path: Path) -> RunStarted | None:
    """Read the first record of a journal and no further; None where there is not even that.

    Args:
        path: The file.

    Raises:
        JournalError: It is damaged, or the version is not known.
    """
    first = next((record for record, _ in _read(path)), None)
    assert first is None or isinstance(first, RunStarted), "what is read first is checked to be the start"
    return first


def _read(path: Path) -> Iterator[tuple[AnyRecord, int]]:
    """Yield each record and the number of bytes up to its end since the one before, without a torn last line."""
    with open(path, "rb") as file:
        version, size = VERSION, 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # torn by a crash in mid-write; what it would have said never took effect
            if number == 1:
                version = _version(path, line)
            size += len(line)
            try:
                current = line if version == VERSION else from_version_1(line)
                if current is None:
                    continue
                record = _READER.validate_json(current)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "the line"
                raise JournalError(
                    f"{path}, line {number}: damaged ({where}: {first['msg']}); restore the file from a copy, "
                    "or start a new run"
                ) from None
            if isinstance(record, RunStarted) != (number == 1):
                problem = "not the start of a journal" if number == 1 else "the start of another journal"
                raise JournalError(f"{path}, line {number}: {problem}; restore the file from a copy")
            yield record, size
            size = 0


def _version(path: Path, line: bytes) -> int:
    """Return a journal's version by its first line, and refuse one that is not known.

    A line that is damaged is left to be named as that when it is read as a record.
    """
    try:
        start = json.loads(line)
    except (ValueError, RecursionError):
        return VERSION
    version = start.get("version") if isinstance(start, dict) and start.get("event") == "run" else VERSION
    if version not in (1, VERSION):
        raise JournalError(
            f"{path}, line 1: journal version {version}, this program reads versions 1 and {VERSION}; "
            "use the program version that wrote it (see environment.json)"
        )
    return int(version)


def without_times(record: AnyRecord) -> dict[str, Any]:
    """Return a record as plain data without its times and its worker, to compare two runs by."""
    plain = json.loads(record.model_dump_json())
    for name in ("time", "seconds", "worker"):
        plain.pop(name, None)
    return dict(plain)
