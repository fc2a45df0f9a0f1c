"""Lines are split where sentences end, and nothing of them is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.decoding.long_lines import LongLines, SentenceSplitter


@pytest.mark.parametrize(
    ("language", "line", "sentences"),
    [
        ("en", "One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("en", "Mr. Smith met J. Doe. They left.", ["Mr. Smith met J. Doe.", "They left."]),
        ("en", "See No. 5. No. Yes.", ["See No. 5.", "No.", "Yes."]),
        ("en", "It costs 3.50 or so ... maybe. It does.", ["It costs 3.50 or so ... maybe.", "It does."]),
        ("en", 'He said "Go!" "Why?" she asked.', ['He said "Go!"', '"Why?" she asked.']),
        ("de", "Am 3. Mai kam Dr. Weiß. Er ging.", ["Am 3. Mai kam Dr. Weiß.", "Er ging."]),
        ("de-AT", "Am 3. Mai kam Dr. Weiß, z.B. Äpfel. Er ging.", ["Am 3. Mai kam Dr. Weiß, z.B. Äpfel.", "Er ging."]),
        ("zh", "你好。再见！好", ["你好。", "再见！", "好"]),
        ("ja", "「行く。」と言った。彼は行った。", ["「行く。」と言った。", "彼は行った。"]),
        ("xx", "A b. C d.", ["A b.", "C d."]),
        ("en", "", [""]),
        ("en", "  ", [""]),
        ("en", "...", ["..."]),
    ],
)
def test_a_line_is_split_at_the_ends_of_its_sentences(language: str, line: str, sentences: list[str]) -> None:
    assert SentenceSplitter(language, "de").split(line) == sentences


@pytest.mark.parametrize("line", ["Contents " + "." * 200_000 + "12", "Mr. Smith " * 20_000])
def test_a_line_of_very_many_stops_is_split_in_a_moment(line: str) -> None:
    began = time.process_time()
    assert SentenceSplitter("en", "de").split(line) == [line.strip()]
    assert time.process_time() - began < 5


@given(st.text(st.sampled_from("aB1 .!?。'\"()\t\u3000")))
def test_nothing_is_lost(line: str) -> None:
    sentences = SentenceSplitter("en", "de").split(line)
    assert "".join("".join(sentences).split()) == "".join(line.split())


def test_sentences_are_joined_as_the_language_does() -> None:
    assert SentenceSplitter("zh", "en").join(["Hello.", "", "Bye."]) == "Hello. Bye."
    assert SentenceSplitter("en", "zh").join(["你好。", "再见！"]) == "你好。再见！"


@pytest.mark.parametrize("language", ["zh-CN", "zh_Hant", "jpn", "th"])
def test_a_region_or_a_longer_code_changes_nothing_of_how_a_language_is_joined(language: str) -> None:
    assert SentenceSplitter("en", language).join(["你好。", "再见！"]) == "你好。再见！"


def test_long_lines_are_counted_over_all_that_is_translated() -> None:
    long = LongLines(10)
    long.count([3, 10, 11])
    assert long.told(split=False) is not None
    long.count([40, 2])
    assert long.told(split=True) == (
        "2 sentences longer than any in training (up to 40 subwords; in training 10 at most): translations may lack a "
        "part; cut them"
    )
    assert LongLines(10).told(split=False) is None
