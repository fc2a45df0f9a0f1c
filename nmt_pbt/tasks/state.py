"""Saved member states: the only file that knows the checkpoint format.

A state is one safetensors file: named arrays and a little text, nothing that runs when it is read. It is written to a
temporary name, fsynced and renamed, so that a file under its own name is always whole; a content hash tells whether it
is also the one that was asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nmt_pbt.base.errors import StateError, UsageError
from nmt_pbt.base.files import TEMPORARY, replace_file
from nmt_pbt.tasks.protocol import MemberState

VERSION = "1"
SUFFIX = ".safetensors"
WEIGHTS = "weights/"
OPTIMIZER = "optimizer/"
ITERATIONS = f"{OPTIMIZER}iterations"
AVERAGE = "average/"
START = "start"
"""Name of the weights that a run's models start from, in the run's folder."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]{0,199}")


def content_hash(state: MemberState) -> str:
    """Return the SHA-256 of a state: names, shapes, types and bytes of its arrays, in their order, and its age."""
    digest = hashlib.sha256(f"age {state.age}\n".encode())
    for name, array in state.arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()


def weights_of(state: MemberState) -> MemberState:
    """Return the weights of a state that were evaluated, as a state of age 0: their averages, where there are such."""
    weights = {name: array for name, array in state.arrays.items() if name.startswith(WEIGHTS)}
    averages = {name.removeprefix(AVERAGE): array for name, array in state.arrays.items() if name.startswith(AVERAGE)}
    return MemberState({name: averages.get(name.removeprefix(WEIGHTS), weights[name]) for name in weights}, 0)


class StateStore:
    """A folder of saved states.

    Args:
        folder: Where the states are; created when the first one is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, name: str) -> Path:
        """Return the file of a state.

        Args:
            name: The state's name.

        Raises:
            UsageError: The name is not a plain file name.
        """
        if not _PLAIN_NAME.fullmatch(name):
            raise UsageError(
                f"state name {name!r}: expected letters, digits and '_.=-', not starting with '.'; rename it"
            )
        return self.folder / f"{name}{SUFFIX}"

    def save(self, name: str, state: MemberState) -> str:
        """Write a state; it is whole and on the disk when this returns.

        Args:
            name: Under what name; a state of this name is replaced.
            state: What to write.

        Returns:
            The state's content hash.

        Raises:
            OSError: The disk is full or cannot be written; nothing under `name` has changed.
        """
        path = self.path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        content = content_hash(state)
        arrays = {key: np.asarray(array, order="C") for key, array in state.arrays.items()}
        metadata = {
            "format": VERSION,
            "age": str(state.age),
            "hash": content,
            # safetensors orders arrays by type and name; the order of a state is part of it
            "order": "\n".join(state.arrays),
        }
        replace_file(path, save(arrays, metadata))
        return content

    def load(self, name: str, expected_hash: str | None = None) -> MemberState:
        """Read a state back and check that it is undamaged.

        Args:
            name: The state's name.
            expected_hash: The content hash it must have; None accepts any that agrees with the file's own.

        Returns:
            The state.

        Raises:
            StateError: The file is missing, damaged, or holds another state. It is named.
        """
        path = self.path(name)
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != VERSION:
                    raise StateError(
                        f"{path}: state format {metadata.get('format')!r}, this program reads {VERSION!r}; "
                        "use the program version that wrote it"
                    )
                order = metadata["order"].split("\n")
                if sorted(order) != sorted(file.keys()):
                    raise StateError(f"{path}: damaged (arrays are missing or foreign); restore it from a copy")
                state = MemberState({key: file.get_tensor(key) for key in order}, int(metadata["age"]))
        except FileNotFoundError:
            raise StateError(f"{path}: this saved state is missing; restore it from a copy") from None
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise StateError(f"{path}: damaged ({error}); restore it from a copy") from None
        content = content_hash(state)
        if content != metadata.get("hash"):
            raise StateError(f"{path}: damaged (its content is not what was written); restore it from a copy")
        if expected_hash is not None and content != expected_hash:
            raise StateError(
                f"{path}: holds state {content[:12]}, not {expected_hash[:12]} as the journal says; "
                "restore it from a copy"
            )
        return state

    def exists(self, name: str) -> bool:
        """Return whether a state of this name is there."""
        return self.path(name).is_file()

    def names(self) -> set[str]:
        """Return the names of all states there."""
        if not self.folder.is_dir():
            return set()
        return {path.name[: -len(SUFFIX)] for path in self.folder.glob(f"[!.]*{SUFFIX}")}

    def problem(self, name: str, expected_hash: str) -> str | None:
        """Tell what is wrong with a state; None when it is there, undamaged, and the one with this content hash."""
        try:
            self.load(name, expected_hash)
        except StateError as error:
            return str(error)
        return None

    def drop(self, names: Set[str]) -> None:
        """Delete states; some may not be there."""
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def keep(self, names: Set[str]) -> None:
        """Delete all states but these, and what an interrupted save has left behind."""
        if not self.folder.is_dir():
            return
        self.drop(self.names() - names)
        for left in self.folder.glob(TEMPORARY):
            left.unlink(missing_ok=True)
