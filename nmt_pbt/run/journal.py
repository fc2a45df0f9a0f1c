"""The journal: the append-only record of one run, from which it is resumed and reported.

Each line is one JSON object, in the file as soon as it is appended. The records (`records.py`) of a search are the same
whenever the same settings run again with the same seed, on any engine and number of workers, except for `time`,
`seconds` and `worker`. The records of several searches are interleaved. Journals of version 1 can be read.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from nmt_pbt.base.errors import JournalError
from nmt_pbt.base.files import named
from nmt_pbt.run.records import VERSION, AnyRecord, RunStarted, SearchRecord

_READER: TypeAdapter[AnyRecord] = TypeAdapter(Annotated[AnyRecord, Field(discriminator="event")])

_RENAMED_SINCE_1 = {
    "run": {"corpus": "data"},
    "search": {"budget": "budget_pairs", "interval": "interval_pairs", "epoch": "pairs_per_epoch"},
    "evaluated": {
        "interval": "interval_index",
        "age": "trained_pairs",
        "spent": "spent_pairs",
        "counts": "evidence",
    },
    "tested": {"interval": "interval_index", "age": "trained_pairs", "translations": "outputs"},
    "search_ended": {"spent": "spent_pairs"},
}
"""Names of fields in version 1, and what they are called now."""
_LEFT_OUT_SINCE_1 = "diagnosed"
"""An event of version 1 that only repeats what the other records tell."""


class Journal:
    """An open journal to append to. Only the driver's side of a run writes it.

    It keeps no records in memory, only where those of each search begin: a search may write millions of them.

    Args:
        path: The file; created when missing. A torn last line, as a crash leaves it, is cut off.
        writable: Whether to append to it. If not, the file has to exist and is not changed.

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
        """Write one record; it is in the file when this returns, even if this process is then killed.

        Args:
            record: What to append.
            durable: Write it and all before it through to the disk, so that they survive a crash of the machine.

        Raises:
            OSError: The disk is full or cannot be written; the journal is unchanged. The error names it.
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
        """Read the records of one search in order, without reading those of others.

        Args:
            method: The search's method.
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
    """Read only the first record of a journal; None if there is none.

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
                current = line if version == VERSION else _from_version_1(line)
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


def _from_version_1(line: bytes) -> bytes | None:
    """Return a line of version 1 with the names of today; None for one that is left out now."""
    try:
        old = json.loads(line)
    except (ValueError, RecursionError):
        return line  # named as damaged when it is read as a record
    if not isinstance(old, dict):
        return line
    event = old.get("event")
    if event == _LEFT_OUT_SINCE_1:
        return None
    renamed = _RENAMED_SINCE_1.get(event, {}) if isinstance(event, str) else {}
    return json.dumps({renamed.get(name, name): value for name, value in old.items()}).encode("utf-8")


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
    """Return a record as plain data without its times and its worker, to compare two runs."""
    plain = json.loads(record.model_dump_json())
    for name in ("time", "seconds", "worker"):
        plain.pop(name, None)
    return dict(plain)
