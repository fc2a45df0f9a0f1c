"""The folder of one run: where each file is, who may write, and what must agree before a run is continued."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from nmt_pbt.base.environment import environment, environment_changes, with_change
from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import TEMPORARY, held, refuse_links, replace_file
from nmt_pbt.base.yaml_text import dump_yaml, read_yaml
from nmt_pbt.run.journal import Journal, read_journal, read_start
from nmt_pbt.run.records import AnyRecord, RunStarted
from nmt_pbt.settings.fingerprint import deciding_settings, settings_hash, undecided
from nmt_pbt.settings.loading import JOURNAL_FILE, LOCK_FILE, SETTINGS_FILE, dump_settings, load
from nmt_pbt.settings.tree import RunSettings

Settings = TypeVar("Settings", bound=RunSettings)

_SHOWN = 4  # differences told in one line


class RunDirectory:
    """Paths of a run's files.

    Args:
        path: The run's folder.
        accept_changes: Go on with a run under another version of this program or of the libraries it stands on.
        elsewhere: How a new run is begun in another folder, for errors.
    """

    def __init__(self, path: Path, accept_changes: bool = False, elsewhere: str = "another --out") -> None:
        self.path = path
        self.elsewhere = elsewhere
        self._accept_changes = accept_changes
        self.lock_file = path / LOCK_FILE
        self.settings_file = path / SETTINGS_FILE
        self.environment_file = path / "environment.json"
        self.journal_file = path / JOURNAL_FILE
        self.states = path / "states"
        self.models = path / "models"
        self.prepared = path / "prepared"

    @property
    def report_command(self) -> str:
        """The command that draws the run's report."""
        return f"nmt-pbt report {shlex.quote(str(self.path))}"

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
                f"{self.path}: already holds a run; continue it with --resume {self.path}, or give {self.elsewhere}"
            )
        if not self.path.is_dir() or any(file.name not in self._before_the_journal() for file in self.path.iterdir()):
            raise UsageError(f"{self.path}: already exists and is not a run; give {self.elsewhere}")
        self.check_free()

    def _before_the_journal(self) -> set[str]:
        """Return the files of a run that was killed before it had a journal: nothing is lost with them."""
        if not self.lock_file.exists():
            return set()
        left = {file.name for file in self.path.glob(TEMPORARY)}
        own = (self.lock_file, self.environment_file, self.settings_file, self.prepared)
        return left | {file.name for file in own}

    def check_free(self) -> None:
        """Refuse a run that another process writes, before anything heavy is imported.

        Raises:
            UsageError: Another process writes this run.
        """
        if self.lock_file.exists():
            with self._alone():
                pass

    @contextmanager
    def _alone(self) -> Iterator[None]:
        refuse_links(self.path)
        with held(self.lock_file, f"{self.path}: another process is writing this run; wait for it or stop it"):
            yield

    @contextmanager
    def preparing(self) -> Iterator[Path]:
        """Make the folder for what the run's task prepares for its workers, and keep others out meanwhile.

        Yields:
            The folder.

        Raises:
            UsageError: Another process writes this run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._clear_temporary()
            self.prepared.mkdir(exist_ok=True)
            refuse_links(self.prepared)
            yield self.prepared

    def started(self) -> RunStarted | None:
        """Return the journal's first record, reading no further; None where the run was killed before it had one.

        Raises:
            JournalError: It is damaged.
        """
        return read_start(self.journal_file) if self.journal_file.exists() else None

    def records(self) -> list[AnyRecord]:
        """Return what the journal holds; nothing where the run was killed before it had one.

        Raises:
            JournalError: It is damaged.
        """
        return read_journal(self.journal_file) if self.journal_file.exists() else []

    def clear_finished(self) -> None:
        """Remove what a run that is finished needs no more: what was prepared for its workers, and saved states.

        A kill at the last moment leaves such states behind.

        Raises:
            UsageError: Another process writes this run.
        """
        from nmt_pbt.tasks.state import StateStore

        with self._alone():
            StateStore(self.states).keep(frozenset())
        self.clear_prepared()

    def clear_prepared(self) -> None:
        """Remove what was prepared for a run's workers; nothing of this process may use it any more.

        Raises:
            UsageError: Another process writes this run.
        """
        with self._alone():
            if self.prepared.exists():
                refuse_links(self.path, self.prepared.name)
                shutil.rmtree(self.prepared)

    def check_run(self, kind: type[RunSettings] | None = None) -> None:
        """Refuse a folder that holds no run, or one of another kind.

        Args:
            kind: The class of the settings that it has to have; None takes any run.

        Raises:
            UsageError: It has no settings, or no journal and no sign that it was about to get one; or it is of another
                kind: says of which one, and how it is continued.
        """
        begun = self.journal_file.exists() or self.lock_file.exists()
        if not begun or not self.settings_file.exists():
            raise UsageError(f"{self.path}: holds no run (no journal.jsonl or no settings.yaml); name a run's folder")
        if kind is not None and kind.of_others & (written := read_yaml(self.settings_file)).keys():
            raise UsageError(f"{self.path}: is {_kind_and_command(written, self.path)}")

    def read_settings(self, kind: type[Settings]) -> Settings:
        """Read the settings of an existing run.

        Args:
            kind: Their class.

        Raises:
            UsageError: The folder holds no run, or one whose settings this version does not know.
        """
        self.check_run(kind)
        return load(kind, self.settings_file)

    def check_same(self, settings: RunSettings) -> None:
        """Refuse to continue a run with settings or a program that may decide otherwise, or with edited settings.

        Args:
            settings: The settings to go on with.

        Raises:
            UsageError: They, or the program, are not those that the run was begun with; tells what differs.
            JournalError: The journal is damaged.
        """
        self._check_settings(settings)
        self._check_environment()
        self._check_journal(type(settings))

    def _check_settings(self, settings: RunSettings) -> None:
        kind = type(settings)
        recorded = deciding_settings(self.read_settings(kind).model_dump(mode="json"), kind)
        wanted = deciding_settings(settings.model_dump(mode="json"), kind)
        if differences := list(_differences(recorded, wanted)):
            raise UsageError(
                f"{self.path}: the settings changed since the run was begun ({_listed(differences)}); leave that out, "
                f"or start a new run with {self.elsewhere}"
            )

    def _check_environment(self) -> None:
        if self._accept_changes:
            return
        if not self.environment_file.exists():
            raise UsageError(
                f"{self.environment_file}: is missing, so that nobody knows what the run was begun with; restore it "
                "from a copy, or add --accept-changes"
            )
        if changes := environment_changes(self.environment_file):
            raise UsageError(
                f"{self.path}: the program changed since the run was begun ({_listed(changes)}); go back to what it "
                "was, or add --accept-changes: what was decided has to come out again all the same, but later scores "
                "may not be what they would have been"
            )

    def _check_journal(self, kind: type[RunSettings]) -> None:
        started = self.started()
        if started is not None and started.settings != settings_hash(read_yaml(self.settings_file), kind):
            raise UsageError(
                f"{self.settings_file}: not the settings that the run was begun with; restore the file, "
                f"or start a new run with {self.elsewhere}"
            )

    @contextmanager
    def writing(self, settings: RunSettings, data_digest: str) -> Iterator[Journal]:
        """Open the journal, alone; a new run gets its settings, its environment and the journal's first line.

        Args:
            settings: The settings to go on with.
            data_digest: SHA-256 of what the task trains and tests on.

        Yields:
            The journal.

        Raises:
            UsageError: Another process writes this run, or settings, data or program are not those of the run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._clear_temporary()
            if self.settings_file.exists():
                self.check_same(settings)
                self._extend(settings)
            else:
                # The settings come last: a folder that has them can be gone on with.
                self._write_environment(environment())
                replace_file(self.settings_file, dump_settings(settings).encode("utf-8"))
            with Journal(self.journal_file) as journal:
                started = self.started()
                if started is None:
                    begun = settings_hash(read_yaml(self.settings_file), type(settings))
                    started = RunStarted(settings=begun, data=data_digest)
                    journal.append(started)
                if started.data != data_digest:
                    raise UsageError(
                        f"{self.path}: the data changed since the run was begun; restore them, "
                        f"or start a new run with {self.elsewhere}"
                    )
                if self._accept_changes:
                    changed = with_change(self.environment_file, sum(1 for _ in journal))
                    if changed is not None:
                        self._write_environment(changed)
                yield journal

    def _clear_temporary(self) -> None:
        for left in (*self.path.glob(TEMPORARY), *self.path.glob(f"*/{TEMPORARY}")):
            left.unlink()

    def _write_environment(self, found: dict[str, object]) -> None:
        replace_file(self.environment_file, (json.dumps(found, indent=2) + "\n").encode("utf-8"))

    def _extend(self, settings: RunSettings) -> None:
        """Note added methods and seeds, and where the data lie now; what decides results stays as it is."""
        before = read_yaml(self.settings_file)
        after = undecided(before, settings)
        if after != before:
            replace_file(self.settings_file, dump_yaml(after).encode("utf-8"))


def _kind_and_command(written: Mapping[str, object], path: Path) -> str:
    """Return of which kind a run is, by its settings, and how it is continued."""
    task = written.get("task")
    if task is None:
        return f"a translation run, not one of a task of your own; continue it with nmt-pbt compare --resume {path}"
    if ":" in str(task):
        how = f"with nmt-pbt compare --task {task} --resume {path}"
    else:
        how = f"from the script that began it, with nmt_pbt.{'compare' if task == 'keras' else 'compare_task'}"
        how = f"{how}(..., directory={str(path)!r})" + (", or PopulationBasedTraining" if task == "keras" else "")
    return f"a run of the task {task}, not of translation; continue it {how}"


def _differences(before: object, now: object, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
    elif before != now:
        yield f"{name} was {before!r} and is {now!r}"


def _listed(differences: list[str]) -> str:
    more = f", and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return "; ".join(differences[:_SHOWN]) + more
