"""What models are fitted with: what may be sent, what is made where it is used, what tells two sets of data apart."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.keras.data import FitArguments

X = np.arange(6.0).reshape(3, 2)


def test_a_function_that_returns_data_is_called_once() -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return X

    arguments = FitArguments((make,), {"validation_data": make, "steps": 3})
    (x,), named = arguments.made()
    arguments.made()
    assert x is X
    assert named == {"validation_data": X, "steps": 3} or named["validation_data"] is X
    assert len(calls) == 2  # one for each argument


def test_a_function_that_returns_a_generator_is_called_each_time() -> None:
    def batches() -> Iterator[np.ndarray]:
        yield X

    arguments = FitArguments((batches,))
    assert [len(list(arguments.made()[0][0])) for _ in range(2)] == [1, 1]


def test_a_generator_is_refused() -> None:
    arguments = FitArguments(((X for _ in range(3)),))
    with pytest.raises(UsageError, match="x: a generator is used up by the first model; give a function"):
        arguments.check(sent=False)


def test_what_cannot_be_sent_is_refused_where_it_would_be_sent() -> None:
    arguments = FitArguments((X,), {"lock": threading.Lock()})
    arguments.check(sent=False)
    with pytest.raises(UsageError, match=r"^lock: what it is \(lock\) cannot be sent to worker processes"):
        arguments.check(sent=True)


def test_other_data_have_another_digest_and_callbacks_do_not_matter() -> None:
    first = FitArguments((X,), {"validation_data": (X, X)}).digest()
    assert FitArguments((X.copy(),), {"validation_data": (X, X), "callbacks": []}).digest() == first
    assert FitArguments((X + 1,), {"validation_data": (X, X)}).digest() != first
    assert FitArguments((X,), {"validation_data": (X, X + 1)}).digest() != first
    assert FitArguments(({"a": X},)).digest() != FitArguments(({"b": X},)).digest()
