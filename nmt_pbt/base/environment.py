"""What a run ran on: versions, the program's own code, the machine; and whether it is still so."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from nmt_pbt.base.files import read_json

_PACKAGES = ("nmt-pbt", "tensorflow", "keras", "keras-tuner", "tensorflow-text", "sentencepiece", "sacrebleu", "numpy")
_PACKAGE = Path(__file__).resolve().parents[1]
DECIDES_NOTHING = ("report", "cli", "testing")
"""Rooms that no other room imports, so that a search never calls them: see tests/test_architecture.py."""


def environment() -> dict[str, object]:
    """Return what a run runs on: versions, the digest of the code that decides, its commit, the machine."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "code": code_digest(),
        "commit": _commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
    }


def environment_changes(file: Path) -> list[str]:
    """Tell what is no longer as a run's environment says: of the code that decides, and of the libraries it calls.

    Python and the machine are left out: results are the same on them, or the journal tells at the next decision.

    Args:
        file: The `environment.json` of a run. What it does not say is not compared.

    Returns:
        One text for each difference, for instance `tensorflow was '2.20.0' and is '2.21.0'`.

    Raises:
        UsageError: The file is damaged.
    """
    return changes_since(_in_force(read_json(file, "restore it from a copy")))


def changes_since(recorded: Mapping[str, object]) -> list[str]:
    """Tell what is no longer as a recorded environment says; see `environment_changes`.

    Args:
        recorded: What `environment` returned then.
    """
    then, now = _decisive(recorded), _decisive(environment())
    changed = [name for name in now if then.get(name) not in (None, now[name])]
    return [f"{name} was {then[name]!r} and is {now[name]!r}" for name in changed]


def _in_force(recorded: Mapping[str, object]) -> Mapping[str, object]:
    """Return the latest change that was accepted, else what the run was begun with."""
    accepted = recorded.get("changed")
    latest = accepted[-1] if isinstance(accepted, list) and accepted else None
    return latest if isinstance(latest, Mapping) else recorded


def with_change(file: Path, records: int) -> dict[str, object] | None:
    """Return a run's environment with a change that was accepted: what is in force now, and from where on.

    Args:
        file: The run's `environment.json`; it may be missing.
        records: Records that the journal held before the change.

    Returns:
        What the file is to hold; None when nothing has changed.

    Raises:
        UsageError: The file is damaged.
    """
    if not file.exists():
        return environment()
    if not environment_changes(file):
        return None
    recorded = read_json(file, "restore it from a copy")
    accepted = recorded.get("changed")
    earlier = accepted if isinstance(accepted, list) else []
    return {**recorded, "changed": [*earlier, {"after_records": records, **environment()}]}


def _decisive(found: Mapping[str, object]) -> dict[str, object]:
    packages = found.get("packages")
    code = found.get("code")
    shown = code[:12] if isinstance(code, str) else None
    return {**(packages if isinstance(packages, Mapping) else {}), "the code": shown}


@cache
def code_digest() -> str:
    """Return the SHA-256 of the program's files that a search depends on, by their names and content."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        name = path.relative_to(_PACKAGE)
        if path.suffix in (".py", ".yaml") and name.parts[0].removesuffix(".py") not in DECIDES_NOTHING:
            content = path.read_bytes()
            digest.update(f"{name.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from, marked when it was changed; None outside one."""
    git = ["git", "-C", str(_PACKAGE)]
    try:
        inside = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if inside.returncode != 0:
            return None
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--", str(_PACKAGE)], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-changed" if changed.stdout.strip() else "")
