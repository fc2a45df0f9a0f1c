"""Lines in and out."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.decoding.decoder import NOTHING, Translation
from nmt_pbt.tasks.translation.decoding.text import (
    in_chunks,
    n_best_lines,
    read_arriving,
    read_lines,
    read_translations,
)


def lines(data: bytes) -> list[str]:
    return list(read_lines(io.BytesIO(data), "standard input"))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b"a\r\n\r\n", ["a", ""]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\n".encode(), ["a\u2028b\x0bc"]),
    ],
)
def test_only_a_line_feed_ends_a_line_and_blank_lines_stay(data, found):
    assert lines(data) == found


def test_what_is_not_utf_8_is_named_by_its_line():
    with pytest.raises(UsageError, match="standard input, line 3: not UTF-8"):
        lines(b"a\n\nna\xefve\n")


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xef\xbb\xbf", "ä ".encode()])), st.integers(1, 4))
def test_lines_that_arrive_together_are_the_same_lines(parts, size):
    text = b"".join(parts)
    chunks = list(read_arriving(io.BytesIO(text), "standard input", size))
    assert [line for chunk in chunks for line in chunk] == lines(text)
    assert all(len(chunk) == size for chunk in chunks[:-1])


def test_a_line_of_a_slow_pipe_does_not_wait_for_the_next():
    ours, its = os.pipe()
    with open(ours, "rb") as file, open(its, "wb", buffering=0) as writer:
        chunks = read_arriving(file, "standard input", 2048, patience=0.01)
        for text, found in ((b"a\n", ["a"]), (b"b\n\nc", ["b", ""]), (b"d\r\n", ["cd"])):
            writer.write(text)
            assert next(chunks) == found
        writer.write("ä".encode())
        writer.close()
        assert next(chunks) == ["ä"]
        assert next(chunks, None) is None


def test_lines_of_a_fast_pipe_come_together_however_they_are_cut():
    ours, its = os.pipe()
    text = "".join(f"line {number}\n" for number in range(5000)).encode()

    def write():
        with open(its, "wb", buffering=0) as writer:
            for start in range(0, len(text), 1001):
                writer.write(text[start : start + 1001])

    thread = threading.Thread(target=write)
    thread.start()
    with open(ours, "rb") as file:
        chunks = list(read_arriving(file, "standard input", 2048, patience=60.0))
    thread.join()
    assert list(map(len, chunks)) == [2048, 2048, 904]
    assert [line for chunk in chunks for line in chunk] == lines(text)


def test_a_line_waits_no_longer_than_it_has_patience_though_others_keep_coming():
    ours, its = os.pipe()
    done = threading.Event()

    def write():
        with open(its, "wb", buffering=0) as writer:
            while not done.wait(0.02):
                writer.write(b"a\n")

    thread = threading.Thread(target=write)
    thread.start()
    with open(ours, "rb") as file:
        begin = time.monotonic()
        first = next(read_arriving(file, "standard input", 2048, patience=0.2))
        assert time.monotonic() - begin < 5
        assert 1 <= len(first) < 250
        done.set()
        thread.join()


def test_a_line_that_arrives_and_is_not_utf_8_is_named():
    with pytest.raises(UsageError, match="standard input, line 3: not UTF-8"):
        list(read_arriving(io.BytesIO(b"a\nb\nna\xefve\n"), "standard input", 2))


@given(st.lists(st.text()), st.integers(1, 5))
def test_chunks_are_the_lines_in_their_order(text, size):
    chunks = list(in_chunks(text, size))
    assert [line for chunk in chunks for line in chunk] == text
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(chunks)


def test_an_n_best_list_numbers_sentences_and_holds_one_translation_a_line():
    found = [[Translation("a\tb", -1.0, -0.5, (4, 3)), Translation("c", -2.123456, -1.25, (5, 3))], [NOTHING]]
    assert list(n_best_lines(found, first=7)) == [
        "7 ||| a b ||| -1.0000 ||| -0.5000",
        "7 ||| c ||| -2.1235 ||| -1.2500",
        "8 |||  ||| 0.0000 ||| 0.0000",
    ]


def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def write() -> None:
        for line in (b"one\n", b"two\n"):
            time.sleep(0.3)
            os.write(writing, line)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    with open(reading, "rb") as file:
        chunks = list(read_arriving(file, "standard input", 2048, patience=0.01))
    writer.join()
    assert [line for chunk in chunks for line in chunk] == ["one", "two"]


PACKED = gzip.compress(b"\xef\xbb\xbfa\r\n\n") + gzip.compress("ä".encode())  # as by `cat one.gz two.gz`


def test_what_is_compressed_is_read_wherever_it_comes_from(tmp_path: Path) -> None:
    assert lines(PACKED) == ["a", "", "ä"]
    assert list(read_arriving(io.BytesIO(PACKED), "standard input", 2)) == [["a", ""], ["ä"]]
    (tmp_path / "text").write_bytes(PACKED)
    assert read_translations(tmp_path / "text") == ["a", "", "ä"]
    with open(tmp_path / "text", "rb") as file:
        assert list(read_arriving(file, "standard input", 2048)) == [["a", "", "ä"]]


@pytest.mark.parametrize("damage", [slice(0, -9), slice(0, 5)])
def test_a_damaged_compressed_text_is_named(damage: slice) -> None:
    data = gzip.compress(b"a line\n" * 100)[damage]
    for read in (lines, lambda data: list(read_arriving(io.BytesIO(data), "standard input", 2048))):
        with pytest.raises(UsageError, match=r"^standard input: damaged gzip file"):
            read(data)
