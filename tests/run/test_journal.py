"""The journal: what is appended is read back, a torn last line is dropped, and damage is named."""

from __future__ import annotations

import errno
import json
import math
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import JournalError
from nmt_pbt.run.journal import Journal, read_journal, without_times
from nmt_pbt.run.records import (
    VERSION,
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Seconds,
    Tested,
)

START = RunStarted(settings="aa", data="bb")
ASSIGNED = Assigned(method="pbt", seed=0, trial="1", worker="0", values={"dropout": 0.25, "batch_size": 16}, pairs=500)
EVALUATED = Evaluated(
    method="pbt", seed=0, trial="1", interval_index=0, trained_pairs=500, spent_pairs=500, metrics={"val_bleu": 12.5}
)
ENDED = Ended(method="pbt", seed=0, trial="1", status="completed")
RECORDS: list[AnyRecord] = [START, ASSIGNED, EVALUATED, ENDED]

_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_COUNT = st.integers(0, 2**40)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_TIME = st.floats(0, 1e10)
_NUMBERS = st.dictionaries(_TEXT, _FINITE, max_size=3)
_OF_A_SEARCH: dict[str, st.SearchStrategy[Any]] = {"time": _TIME, "method": _TEXT, "seed": st.integers(0, 2**63)}
AFTER_THE_START: st.SearchStrategy[AnyRecord] = st.one_of(
    st.builds(
        SearchStarted,
        **_OF_A_SEARCH,
        objective=_TEXT,
        direction=st.sampled_from(["min", "max"]),
        budget_pairs=_COUNT,
        interval_pairs=_COUNT,
        pairs_per_epoch=_COUNT,
        population=_COUNT,
    ),
    st.builds(
        Assigned,
        **_OF_A_SEARCH,
        trial=_TEXT,
        worker=_TEXT,
        member=st.none() | _COUNT,
        generation=_COUNT,
        parent=st.none() | _TEXT,
        inherited=st.booleans(),
        values=st.dictionaries(_TEXT, _TEXT | _FINITE | st.integers() | st.booleans(), max_size=4),
        pairs=_COUNT,
    ),
    st.builds(
        Evaluated,
        **_OF_A_SEARCH,
        trial=_TEXT,
        interval_index=_COUNT,
        trained_pairs=_COUNT,
        spent_pairs=_COUNT,
        metrics=st.dictionaries(_TEXT, st.none() | st.floats(), max_size=3),
        started=st.none() | _TEXT,
        state=st.none() | _TEXT,
        failure=st.none() | _TEXT,
        seconds=st.builds(Seconds, train=_FINITE, idle=_FINITE),
    ),
    st.builds(Ended, **_OF_A_SEARCH, trial=_TEXT, status=st.sampled_from(["completed", "failed"]), reason=_TEXT),
    st.builds(
        Tested,
        **_OF_A_SEARCH,
        trial=_TEXT,
        interval_index=_COUNT,
        trained_pairs=_COUNT,
        dev=_NUMBERS,
        test=_NUMBERS,
        signatures=st.dictionaries(_TEXT, _TEXT, max_size=2),
        outputs=st.none() | _TEXT,
        seconds=_FINITE,
    ),
    st.builds(SearchEnded, **_OF_A_SEARCH, spent_pairs=_COUNT, reason=_TEXT),
)


def written(path: Path, records: list[AnyRecord]) -> Path:
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for record in records:
            journal.append(record)
    return path


def same(one: AnyRecord, other: AnyRecord) -> bool:
    """Equality down to the type of each value: True is not 1, and 1 is not 1.0."""
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return written(tmp_path / "journal.jsonl", RECORDS)


def damage(path: Path) -> str:
    """The one line with which reading and opening both refuse a journal, without its path."""
    before = path.read_bytes()
    with pytest.raises(JournalError) as reading:
        read_journal(path)
    with pytest.raises(JournalError) as opening:
        Journal(path)
    assert str(opening.value) == str(reading.value)
    assert str(reading.value).isprintable()
    assert path.read_bytes() == before
    return str(reading.value).removeprefix(str(path))


# What is appended


@given(start=st.builds(RunStarted, time=_TIME, settings=_TEXT, data=_TEXT), rest=st.lists(AFTER_THE_START, max_size=4))
def test_every_record_is_read_back_as_it_was_written(start: RunStarted, rest: list[AnyRecord], tmp_path: Path) -> None:
    records: list[AnyRecord] = [start, *rest]
    path = written(tmp_path / "journal.jsonl", records)
    again = read_journal(path)
    assert len(again) == len(records)
    assert all(map(same, again, records))
    with Journal(path) as journal:
        assert all(map(same, journal.records, records))


def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for count, record in enumerate(RECORDS, start=1):
            journal.append(record)
            assert read_journal(path) == RECORDS[:count] == journal.records


def test_a_line_is_one_json_object_that_names_its_event(journal_file: Path) -> None:
    lines = journal_file.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["run", "assigned", "evaluated", "ended"]
    assert json.loads(lines[0])["version"] == VERSION


def test_an_opened_journal_goes_on_where_it_ended(journal_file: Path) -> None:
    before = journal_file.read_bytes()
    with Journal(journal_file) as journal:
        assert journal.records == RECORDS
        journal.append(ENDED)
    assert journal_file.read_bytes().startswith(before)
    assert read_journal(journal_file) == [*RECORDS, ENDED]


def test_an_open_journal_holds_none_of_its_records_in_memory(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(START)
        tracemalloc.start()
        try:
            for trial in range(1000):
                journal.append(EVALUATED.model_copy(update={"trial": str(trial)}), durable=False)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < 20_000
        assert sum(1 for _ in journal) == len(journal.records) == 1001


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_null_in_the_record_and_in_the_file(value: float, tmp_path: Path) -> None:
    record = Evaluated(**{**EVALUATED.model_dump(), "metrics": {"val_loss": value, "val_bleu": 1.0}})
    assert record.metrics == {"val_loss": None, "val_bleu": 1.0}
    path = written(tmp_path / "journal.jsonl", [START, record])
    assert json.loads(path.read_text().splitlines()[1])["metrics"] == {"val_loss": None, "val_bleu": 1.0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_other_number_may_be_other_than_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Assigned(**{**ASSIGNED.model_dump(), "values": {"dropout": value}})
    with pytest.raises(ValueError, match="finite"):
        Seconds(train=value)


def test_a_record_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="status"):
        Ended(method="pbt", seed=0, trial="1", status="maybe")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surprise"):
        Ended(method="pbt", seed=0, trial="1", status="failed", surprise=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="seed"):
        Ended(method="pbt", seed="0", trial="1", status="failed")  # type: ignore[arg-type]


# What a crash leaves


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_last_line_is_dropped_and_cut_off_when_the_journal_is_opened(cut: int, journal_file: Path) -> None:
    data = journal_file.read_bytes()
    journal_file.write_bytes(data[:-cut])
    assert read_journal(journal_file) == RECORDS[:-1]
    assert journal_file.read_bytes() == data[:-cut]
    with Journal(journal_file) as journal:
        assert journal.records == RECORDS[:-1]
        journal.append(ENDED)
    assert read_journal(journal_file) == RECORDS


def test_a_journal_cut_anywhere_is_a_beginning_of_itself(journal_file: Path) -> None:
    data = journal_file.read_bytes()
    for length in range(len(data) + 1):
        journal_file.write_bytes(data[:length])
        assert read_journal(journal_file) == RECORDS[: data[:length].count(b"\n")]


def test_a_torn_line_of_zero_bytes_is_dropped(journal_file: Path) -> None:
    with journal_file.open("ab") as file:
        file.write(b"\0" * 4096)
    assert read_journal(journal_file) == RECORDS


# What is refused


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize(
    "line", [b"", b"{}", b"null", b"\0\0", b"\xff\xfe", b'{"event": "evaluated"', b'{"event": "flown"}']
)
def test_a_damaged_line_is_named_even_when_it_is_the_last(number: int, line: bytes, journal_file: Path) -> None:
    lines = journal_file.read_bytes().split(b"\n")
    lines[number - 1] = line
    journal_file.write_bytes(b"\n".join(lines))
    message = damage(journal_file)
    assert message.startswith(f", line {number}: damaged (")
    assert message.endswith("); restore the file from a copy, or start a new run")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", "0"),
        ("seed", None),
        ("trained_pairs", 1.5),
        ("metrics", {"val_bleu": "high"}),
        ("metrics", {"val_bleu": [1]}),
        ("metrics", [1]),
        ("metrics", None),
        ("time", "now"),
        ("surprise", 1),
    ],
)
def test_a_field_of_another_kind_is_damage_and_is_named(field: str, value: Any, journal_file: Path) -> None:
    lines = journal_file.read_text().split("\n")
    lines[2] = json.dumps({**json.loads(lines[2]), field: value})
    journal_file.write_text("\n".join(lines))
    assert damage(journal_file).startswith(f", line 3: damaged (evaluated.{field}")


def test_a_missing_field_is_damage_and_is_named(journal_file: Path) -> None:
    lines = journal_file.read_text().split("\n")
    record = json.loads(lines[1])
    del record["pairs"]
    lines[1] = json.dumps(record)
    journal_file.write_text("\n".join(lines))
    assert damage(journal_file).startswith(", line 2: damaged (assigned.pairs: Field required)")


def test_a_name_with_a_line_break_in_it_is_told_in_one_line(journal_file: Path) -> None:
    lines = journal_file.read_text().split("\n")
    lines[2] = json.dumps({**json.loads(lines[2]), "a\nb": 1})
    journal_file.write_text("\n".join(lines))
    assert r"evaluated.a\nb" in damage(journal_file)


@pytest.mark.parametrize("version", [0, VERSION + 1, "1", None])
def test_another_version_is_refused_even_when_its_records_have_other_fields(version: Any, journal_file: Path) -> None:
    lines = journal_file.read_text().split("\n")
    lines[0] = json.dumps({"event": "run", "version": version, "project": "new"})
    lines[1] = json.dumps({"event": "flown"})
    journal_file.write_text("\n".join(lines))
    assert damage(journal_file) == (
        f", line 1: journal version {version}, this program reads versions 1 and {VERSION}; "
        "use the program version that wrote it (see environment.json)"
    )


def test_a_journal_without_its_start_is_refused(journal_file: Path) -> None:
    journal_file.write_bytes(b"".join(journal_file.read_bytes().splitlines(keepends=True)[1:]))
    assert damage(journal_file) == ", line 1: not the start of a journal; restore the file from a copy"


def test_two_journals_in_one_file_are_refused(journal_file: Path) -> None:
    journal_file.write_bytes(journal_file.read_bytes() * 2)
    assert damage(journal_file) == ", line 5: the start of another journal; restore the file from a copy"


@pytest.mark.parametrize("text", ["hello\n", "\n", "[" * 100_000 + "\n", '{"a":' * 100_000 + "\n", "\x00\n"])
def test_a_file_that_is_no_journal_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text)
    assert damage(path).startswith(", line 1: damaged (the line: Invalid JSON")


def test_a_missing_journal_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal\.jsonl: no such journal; name the folder of a run$"):
        read_journal(tmp_path / "journal.jsonl")


@given(data=st.binary(max_size=60), at=st.integers(0, 2000), over=st.integers(0, 60))
def test_any_bytes_anywhere_give_records_or_one_line_never_a_traceback(
    data: bytes, at: int, over: int, tmp_path: Path
) -> None:
    path = written(tmp_path / "journal.jsonl", RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + data + whole[at + over :])
    try:
        read_journal(path)
    except JournalError as error:
        message = str(error)
    else:
        message = ""
    assert message == "" or (message.isprintable() and ", line " in message)


# Comparing two runs


def test_two_runs_are_compared_without_their_times() -> None:
    one = Evaluated(**{**EVALUATED.model_dump(), "time": 1.0, "seconds": Seconds(train=3.0)})
    two = Evaluated(**{**EVALUATED.model_dump(), "time": 2.0, "seconds": Seconds(train=4.0)})
    assert without_times(one) == without_times(two)
    assert without_times(one) != without_times(Evaluated(**{**EVALUATED.model_dump(), "trained_pairs": 501}))
    assert "seconds" not in without_times(one)


def test_records_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ENDED.trial = "2"  # type: ignore[misc]


def test_on_a_full_disk_the_journal_stays_as_it_was_and_can_go_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    record = RunStarted(settings="a", data="b")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(path) as journal:
        journal.append(record)
        whole = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left") as caught:
                journal.append(SearchEnded(method="pbt", seed=0, spent_pairs=1))
        assert caught.value.filename == str(path)
        assert path.read_bytes() == whole
        assert journal.records == [record]
        journal.append(SearchEnded(method="pbt", seed=0, spent_pairs=1))
    assert len(read_journal(path)) == 2
