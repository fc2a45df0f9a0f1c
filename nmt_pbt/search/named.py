"""Exploit strategies and explorers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.search.exploit import Backtrack, Bootstrap, Exploit, Tournament, Truncation, TTest
from nmt_pbt.search.explore import Explorer, Perturb

Made = TypeVar("Made")


def _pb2() -> Explorer:
    from nmt_pbt.search.pb2 import PB2  # scikit-learn takes a second to import

    return PB2()


EXPLOITS: dict[str, Callable[[], Exploit]] = {
    "truncation": Truncation,
    "tournament": Tournament,
    "ttest": TTest,
    "bootstrap": Bootstrap,
    "backtrack": Backtrack,
}
EXPLORERS: dict[str, Callable[[], Explorer]] = {"perturb": Perturb, "pb2": _pb2}


def exploit_named(name: str) -> Exploit:
    """Return a strategy with its default arguments.

    Raises:
        UsageError: There is none of that name.
    """
    return _named("exploit strategy", name, EXPLOITS)


def explorer_named(name: str) -> Explorer:
    """Return an explorer with its default arguments.

    Raises:
        UsageError: There is none of that name.
    """
    return _named("explorer", name, EXPLORERS)


def _named(kind: str, name: str, known: Mapping[str, Callable[[], Made]]) -> Made:
    if name not in known:
        raise UsageError(f"no {kind} '{name}'{suggest(name, known)}")
    return known[name]()
