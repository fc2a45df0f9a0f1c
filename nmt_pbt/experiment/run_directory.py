"""The folder of one run: where each file is, who may write, and what must agree before a run is continued."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt_pbt.errors import UsageError
from nmt_pbt.journal import Journal, RunStarted, read_journal
from nmt_pbt.settings import Settings, deciding_settings, dump_settings, load_settings, settings_hash
from nmt_pbt.yaml_text import dump_yaml, read_yaml

_PACKAGES = ("nmt-pbt", "tensorflow", "keras", "keras-tuner", "tensorflow-text", "sentencepiece", "sacrebleu", "numpy")


class RunDirectory:
    """Paths of a run's files.

    Args:
        path: The run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "settings.yaml"
        self.environment_file = path / "environment.json"
        self.journal_file = path / "journal.jsonl"
        self.subwords_file = path / "subwords.model"
        self.states = path / "states"
        self.models = path / "models"
        self.translations = path / "translations"

    def check_new(self) -> None:
        """Refuse a folder that already holds something, before anything is built.

        Raises:
            UsageError: The folder is a file, holds a run, holds anything else, or cannot be made.
        """
        above = next(parent for parent in (self.path, *self.path.absolute().parents) if parent.exists())
        if above is not self.path:
            if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
                raise UsageError(
                    f"{self.path}: cannot be made in {above}, which is no folder to write to; change --out"
                )
            return
        if self.journal_file.exists():
            raise UsageError(
                f"{self.path}: already holds a run; continue it with --resume {self.path}, or give another --out"
            )
        if not self.path.is_dir() or any(self.path.iterdir()):
            raise UsageError(f"{self.path}: already exists and is not a run; give another --out")

    def check_run(self) -> None:
        """Refuse a folder that holds no run.

        Raises:
            UsageError: It has no journal, or no settings.
        """
        if not self.journal_file.exists() or not self.settings_file.exists():
            raise UsageError(f"{self.path}: holds no run (no journal.jsonl or no settings.yaml); name a run's folder")

    def read_settings(self) -> Settings:
        """Read the settings of an existing run.

        Raises:
            UsageError: The folder holds no run, or one whose settings this version does not know.
        """
        self.check_run()
        return load_settings(self.settings_file)

    def check_same(self, settings: Settings) -> None:
        """Refuse to continue a run with settings that decide otherwise, or one whose settings were edited.

        Args:
            settings: The settings to go on with.

        Raises:
            UsageError: They are not those that the run was begun with; tells the first that differs.
            JournalError: The journal is damaged.
        """
        tree = read_yaml(self.settings_file)
        recorded = deciding_settings(self.read_settings().model_dump(mode="json"))
        wanted = deciding_settings(settings.model_dump(mode="json"))
        if difference := _first_difference(recorded, wanted):
            raise UsageError(
                f"{self.path}: the settings changed since the run was begun ({difference}); leave that out, "
                "or start a new run with another --out"
            )
        records = read_journal(self.journal_file)
        if records and isinstance(records[0], RunStarted) and records[0].settings != settings_hash(tree):
            raise UsageError(
                f"{self.settings_file}: not the settings that the run was begun with; restore the file, "
                "or start a new run with another --out"
            )

    @contextmanager
    def writing(self, settings: Settings, corpus_digest: str) -> Iterator[Journal]:
        """Open the journal, alone; a new run gets its settings, its environment and the journal's first line.

        Args:
            settings: The settings to go on with.
            corpus_digest: SHA-256 of the prepared corpus.

        Yields:
            The journal.

        Raises:
            UsageError: Another process writes this run, or settings or corpus are not those of the run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{self.path}: another process is writing this run; wait for it or stop it") from None
            if self.journal_file.exists():
                self.check_same(settings)
                self._extend(settings)
            else:
                self.settings_file.write_text(dump_settings(settings), encoding="utf-8")
                self.environment_file.write_text(json.dumps(environment(), indent=2) + "\n", encoding="utf-8")
            with Journal(self.journal_file) as journal:
                if not journal.records:
                    begun = settings_hash(read_yaml(self.settings_file))
                    journal.append(RunStarted(settings=begun, corpus=corpus_digest))
                first = journal.records[0]
                if isinstance(first, RunStarted) and first.corpus != corpus_digest:
                    raise UsageError(
                        f"{self.path}: the corpus changed since the run was begun; restore it, "
                        "or start a new run with another --out"
                    )
                yield journal

    def _extend(self, settings: Settings) -> None:
        """Note methods and seeds that were added to the run; the rest of the file stays as it is."""
        tree = read_yaml(self.settings_file)
        wanted = {"methods": list(settings.search.methods), "seeds": settings.search.seeds}
        if any(tree["search"].get(name) != value for name, value in wanted.items()):
            tree["search"] |= wanted
            self.settings_file.write_text(dump_yaml(tree), encoding="utf-8")


def _first_difference(before: object, now: object, name: str = "") -> str | None:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inside = f"{name}.{key}" if name else str(key)
            if difference := _first_difference(before.get(key), now.get(key), inside):
                return difference
        return None
    return None if before == now else f"{name} was {before!r} and is {now!r}"


def environment() -> dict[str, object]:
    """Return what a run ran on: versions, commit, machine."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from, marked when it was changed; None outside one."""
    here = Path(__file__).resolve().parent
    git = ["git", "-C", str(here)]
    try:
        inside = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if inside.returncode != 0:
            return None
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--", str(here)], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-changed" if changed.stdout.strip() else "")
