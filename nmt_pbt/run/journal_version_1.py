"""Journals of version 1, in the words of today."""

from __future__ import annotations

import json

_RENAMED = {
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
_LEFT_OUT = "diagnosed"
"""An event of version 1 that only repeats what the other records tell."""


def from_version_1(line: bytes) -> bytes | None:
    """Return a line of version 1 with the names of today; None for one that is left out now."""
    try:
        old = json.loads(line)
    except (ValueError, RecursionError):
        return line  # named as damaged when it is read as a record
    if not isinstance(old, dict):
        return line
    event = old.get("event")
    if event == _LEFT_OUT:
        return None
    renamed = _RENAMED.get(event, {}) if isinstance(event, str) else {}
    return json.dumps({renamed.get(name, name): value for name, value in old.items()}).encode("utf-8")
