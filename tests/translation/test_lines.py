"""Lines in and out."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.errors import UsageError
from nmt_pbt.training.text_decoder import NOTHING, Translation
from nmt_pbt.translation.lines import in_chunks, n_best_lines, read_lines


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
