"""Errors a user can cause or has to know about: one line each, saying what, where and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NmtPbtError(Exception):
    """Base of every error this package raises on purpose. Its text is one line, fit to be shown to a user."""

    def __str__(self) -> str:
        # Names of files and settings, and a corpus's text, may hold line breaks or a terminal's control sequences.
        return "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
            for character in super().__str__()
        )


class UsageError(NmtPbtError):
    """Wrong use or bad input: a setting, a file, a name. The command line exits with 2."""


class JournalError(NmtPbtError):
    """The journal is damaged, of an unknown version, or does not replay as it was recorded."""


class StateError(NmtPbtError):
    """A trial's state that has to exist is missing, damaged, or not the one that was asked for."""


class HandoverError(NmtPbtError):
    """A member that adopted another's state does not hold what it should: weights, optimizer slots or values."""


class OutOfMemoryError(NmtPbtError):
    """Training or decoding did not fit into memory. A search counts the trial as failed and goes on."""


class TrialFailedError(NmtPbtError):
    """One trial cannot be trained, for a reason that other trials need not share. A search goes on without it."""


class SearchError(NmtPbtError):
    """The search cannot go on, for instance because every member failed."""


NOT_FINITE = "nan"
"""Why a trial failed whose loss or metric is no finite number."""
OUT_OF_MEMORY = "out of memory"
"""Why a trial failed that did not fit into memory."""
NARROW = "narrow the search space, for instance to smaller learning rates or batches"
"""What to do where the values of hyperparameters are why trials failed."""
_MEND = (
    "mend that, or narrow the search space if it comes of the values; then search afresh in another folder: this one "
    "remembers how it ended"
)


class AllFailedError(SearchError):
    """So many trials of one search failed that it is given up; other searches of the run go on."""

    @classmethod
    def of(cls, failed_trials: str, reason: str | None) -> AllFailedError:
        """Return the error with what to do about it.

        Args:
            failed_trials: Which failed.
            reason: Why the last one did; None where that is not known.
        """
        advice = NARROW if reason in (None, NOT_FINITE, OUT_OF_MEMORY) else _MEND
        return cls(f"{failed_trials} failed, the last one with: {reason or 'unknown'}; {advice}")


def first_line(text: object, otherwise: str) -> str:
    """Return the first line of what a library says, which is what an error of ours can quote.

    Args:
        text: An exception, or a text.
        otherwise: What to quote where it says nothing.
    """
    return (str(text).strip().splitlines() or [otherwise])[0]


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt name.

    Args:
        name: What was written.
        known: What could have been written.

    Returns:
        `"; did you mean 'x'?"` when a known name is near, else `"; known: a, b, c"`.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(names))}"
