"""Errors: one line each, with the nearest name for a misspelt one."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base import errors
from nmt_pbt.base.errors import NmtPbtError, UsageError, suggest

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_can_be_caught_as_this_packages(kind: type[Exception]) -> None:
    assert issubclass(kind, NmtPbtError)


@given(text=st.text())
def test_an_error_is_told_in_one_line_without_control_characters(text: str) -> None:
    told = str(UsageError(text))
    assert told.isprintable()
    if text.isprintable():
        assert told == text


def test_what_cannot_be_shown_is_shown_by_its_escape() -> None:
    assert str(UsageError("a\nb\x1b[31m\x85c \udc80 é")) == r"a\nb\x1b[31m\x85c \udc80 é"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_to_another_process(kind: type[Exception]) -> None:
    again = pickle.loads(pickle.dumps(kind("what\nwhere")))  # noqa: S301 - its own
    assert type(again) is kind
    assert str(again) == r"what\nwhere"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("droput", "; did you mean 'dropout'?"),
        ("Dropout", "; did you mean 'dropout'?"),
        ("batchsize", "; did you mean 'batch_size'?"),
        ("zzz", "; known: batch_size, dropout, units"),
        ("", "; known: batch_size, dropout, units"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_known_one_or_else_all(name: str, hint: str) -> None:
    assert suggest(name, ["units", "dropout", "batch_size"]) == hint


def test_known_names_may_come_from_anything_that_can_be_gone_through_once() -> None:
    assert suggest("zzz", iter(["b", "a"])) == "; known: a, b"


@given(name=st.text(max_size=10), known=st.lists(st.text(max_size=10), min_size=1, max_size=5))
def test_a_hint_names_only_what_is_known(name: str, known: list[str]) -> None:
    hint = suggest(name, known)
    assert hint in {f"; did you mean '{one}'?" for one in known} | {f"; known: {', '.join(sorted(known))}"}
