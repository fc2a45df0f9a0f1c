"""Counts in sentences."""

from __future__ import annotations

import pytest

from nmt_pbt.base.text import counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "model", "1 model"),
        (0, "model", "0 models"),
        (1014, "sentence pair", "1,014 sentence pairs"),
        (1.0, "epoch", "1 epoch"),
        (0.5, "epoch", "0.5 epochs"),
        (24.0, "epoch", "24 epochs"),
    ],
)
def test_only_exactly_one_is_in_the_singular(count: float, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_a_plural_of_its_own_is_taken() -> None:
    assert [counted(count, "search", "searches") for count in (1, 2)] == ["1 search", "2 searches"]
