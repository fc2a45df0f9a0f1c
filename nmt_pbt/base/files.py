"""Files that are replaced whole: whoever looks finds the old content or the new one, also after a kill."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from nmt_pbt.base.errors import SearchError, UsageError

Bytes: TypeAlias = bytes | bytearray | memoryview

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Numbers of the errors that say the disk is full, or one's share of it."""

TEMPORARY = ".*.tmp"
"""Pattern of what a killed process may leave beside a file that it was replacing."""


def replace_file(path: Path, data: Bytes) -> None:
    """Write a file under a temporary name, bring it to the disk, and give it its own name.

    Args:
        path: The file; its folder exists.
        data: What it is to hold.

    Raises:
        OSError: The disk is full or cannot be written; the file is as it was. The error names it.
    """
    with replacing(path) as file:
        file.write(data)


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        otherwise: What to do where it is damaged.

    Raises:
        UsageError: It holds no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: damaged; {otherwise}")
    return found


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file as `replace_file` does, in parts.

    Args:
        path: The file; its folder exists.

    Yields:
        The file under its temporary name, open for writing. It gets its own name when all is written, and is removed
        when that fails.

    Raises:
        OSError: The disk is full or cannot be written; the file is as it was. The error names it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise named(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before anything is imported or built.

    Args:
        folder: The folder.

    Raises:
        UsageError: It exists, or what it is to be made in is no folder to write to.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder}: already exists; name a folder that does not")
    parent = folder.absolute().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: cannot be made in {parent}, which is no folder to write to; make it first")


@contextmanager
def held(lock: Path, otherwise: str) -> Iterator[None]:
    """Hold a lock, which a process that ends lets go.

    Args:
        lock: Its file; its folder exists.
        otherwise: What to say where another process holds it.

    Raises:
        UsageError: Another process holds it.
    """
    with open(lock, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(otherwise) from None
        yield


def refuse_links(folder: Path, *names: str) -> None:
    """Refuse to write through a link that somebody else's run may hold: into what lies outside it.

    Args:
        folder: A run's folder, which may be a link itself.
        *names: What is to be written, relative to it; none of them: all that lies directly in it.

    Raises:
        UsageError: One of them is a link.
    """
    for path in [folder / name for name in names] or sorted(folder.iterdir()):
        if path.is_symlink():
            raise UsageError(f"{path}: is a link, which a run does not hold; put in its place what it leads to")


def named(error: OSError, path: Path | str) -> OSError:
    """Return an error that says which file could not be written, which the system's own of a full disk does not."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def cannot_write(error: OSError) -> SearchError:
    """Return the error of a search whose disk is full or cannot be written."""
    where = f"{error.filename}: " if error.filename else ""
    return SearchError(
        f"{where}{error.strerror or error}; everything before is whole: mend that, then search again in the same "
        "directory and project"
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder, and needs no such thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
