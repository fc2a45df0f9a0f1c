"""The states of one project directory: one file for each trial that can still be needed."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from nmt_pbt.base.files import TEMPORARY
from nmt_pbt.tasks.keras.oracle import writing
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore, content_hash

_LEFT_BEHIND = 600.0  # seconds after which a file that is being written is taken for one of a killed process


class ProjectStates:
    """Saves and loads the states of trials.

    The content hash is part of a file's name, so that a state is never taken for another.

    Args:
        folder: Where the states are.
    """

    def __init__(self, folder: Path) -> None:
        self._store = StateStore(folder)
        self._turn: TextIO | None = None

    def save(self, trial: str, state: MemberState) -> str:
        """Write the state that a trial ended with, whole or not at all, in place of any other of that trial.

        Returns:
            Its content hash.

        Raises:
            SearchError: The disk is full or cannot be written.
        """
        content = content_hash(state)
        name = _name(trial, content)
        for other in self._store.names() - {name}:
            if _trial(other) == trial:
                self._store.path(other).unlink(missing_ok=True)  # of a worker that was killed right after saving it
        with writing():
            return self._store.save(name, state)

    def enter(self) -> None:
        """Wait for one's turn to save a state and tell the oracle: one worker at a time, so that states stay few.

        Raises:
            SearchError: The disk is full or cannot be written.
        """
        with writing():
            self._store.folder.mkdir(parents=True, exist_ok=True)
            self._turn = open(self._store.folder.with_name("turn"), "w", encoding="utf-8")
        fcntl.flock(self._turn, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Let the next worker save; does nothing when it is not one's turn."""
        if self._turn is not None:
            self._turn.close()
            self._turn = None

    def load(self, trial: str, content: str) -> MemberState:
        """Return the state that a trial ended with.

        Args:
            trial: The trial.
            content: The content hash it must have.

        Raises:
            StateError: It is missing, damaged, or another one.
        """
        return self._store.load(_name(trial, content), content)

    def exists(self, trial: str, content: str) -> bool:
        """Tell whether a state is there."""
        return self._store.exists(_name(trial, content))

    def keep(self, needed: Mapping[str, str], under_way: set[str]) -> None:
        """Delete all states but those that can be needed.

        Args:
            needed: Content hashes by trial.
            under_way: Trials whose states may be there before the oracle knows of them.
        """
        names = {_name(trial, content) for trial, content in needed.items()}
        for name in self._store.names() - names:
            if _trial(name) not in under_way:
                self._store.path(name).unlink(missing_ok=True)
        # Not `StateStore.keep`: other workers may be writing their files at this moment.
        for left in self._store.folder.glob(TEMPORARY):
            with contextlib.suppress(FileNotFoundError):  # it has just got its own name
                if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
                    left.unlink()


def _name(trial: str, content: str) -> str:
    return f"{trial}-{content[:16]}"


def _trial(name: str) -> str:
    return name.partition("-")[0]
