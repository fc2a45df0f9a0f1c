"""Exploit strategies and explorers by name."""

from __future__ import annotations

from collections.abc import Callable

from nmt_pbt.errors import UsageError, suggest
from nmt_pbt.search.exploit import Backtrack, Exploit, Tournament, Truncation
from nmt_pbt.search.explore import Explorer, Perturb
from nmt_pbt.search.significant import Bootstrap, TTest


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
    if name not in EXPLOITS:
        raise UsageError(f"no exploit strategy '{name}'{suggest(name, EXPLOITS)}")
    return EXPLOITS[name]()


def explorer_named(name: str) -> Explorer:
    """Return an explorer with its default arguments.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in EXPLORERS:
        raise UsageError(f"no explorer '{name}'{suggest(name, EXPLORERS)}")
    return EXPLORERS[name]()
