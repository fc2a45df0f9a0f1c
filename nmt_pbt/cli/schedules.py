"""A run that replays a schedule: its settings, from what the command line says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.schedule import Schedule, read_schedule, schedule_of_run
from nmt_pbt.search.methods.pbt import PBTSettings
from nmt_pbt.space.settings import ChoiceDomain
from nmt_pbt.tasks.translation.settings.sections import STRUCTURAL
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, check_schedule, load_settings

FREE = ("name", "engine", "report", "evaluation", "training.epochs", "search.replay.models")
"""What a replay may have otherwise than the run it replays: where it runs, whether it draws its report, how it
translates, how long it goes on."""


@dataclass(frozen=True)
class ScheduleReplay:
    """What is to be trained.

    Attributes:
        settings: Of the new run.
        schedule: What it replays.
        data_digest: SHA-256 of the data that the schedule was found on; None where it need not be the same.
    """

    settings: TranslationSettings
    schedule: Schedule
    data_digest: str | None = None


def replay_of_run(folder: Path, method: str | None, seed: int | None, assignments: Sequence[str]) -> ScheduleReplay:
    """Take the schedule of a run's winner, to be trained on the run's own corpus with its own settings.

    Args:
        folder: The run.
        method: Whose schedule; None takes PBT's.
        seed: Of which search; None takes the best on dev.
        assignments: `key=value` texts of the command line; only of the settings in `FREE`.

    Raises:
        UsageError: The run has no such schedule, or an assignment would make it another training than the run's.
    """
    run = RunDirectory(folder)
    found_with = run.read_settings(TranslationSettings)
    schedule = schedule_of_run(folder, method, seed)
    for key in map(_key, assignments):
        if not any(key == free or key.startswith(f"{free}.") for free in FREE):
            raise UsageError(
                f"--set {key}: a replay takes this from {folder}; leave it out (what may change: {', '.join(FREE)})"
            )
    name = found_with.name or folder.resolve().name
    settings = load_settings(run.settings_file, assignments, _overrides(schedule, found_with, name))
    started = run.started()
    return ScheduleReplay(_checked(settings, schedule), schedule, started.data if started is not None else None)


def replay_of_file(path: Path, config: Path | None, corpus: str | None, assignments: Sequence[str]) -> ScheduleReplay:
    """Take a schedule from a YAML file, to be trained on any corpus; it counts in epochs of that.

    Args:
        path: The file.
        config: Settings for all that the schedule does not decide; None takes the defaults.
        corpus: A corpus by name or folder; None takes that of the settings.
        assignments: `key=value` texts of the command line.

    Raises:
        UsageError: The file is no schedule, or an assignment sets what the schedule decides.
    """
    schedule = read_schedule(path, check_schedule)
    for key in map(_key, assignments):
        section, _, name = key.partition(".")
        if section in ("training", "model") and name in schedule.segments[0].values:
            raise UsageError(f"--set {key}: the schedule decides it; leave it out, or change it in {path}")
        if key.startswith("search.space"):
            raise UsageError(f"--set {key}: a replay searches nothing; leave it out")
    overrides = _overrides(schedule, load_settings(config), path.stem)
    if corpus is not None:
        overrides["corpus.name"] = corpus
    return ScheduleReplay(_checked(load_settings(config, assignments, overrides), schedule), schedule)


def _key(assignment: str) -> str:
    return assignment.partition("=")[0].strip()


def _overrides(schedule: Schedule, settings: TranslationSettings, name: str) -> dict[str, Any]:
    return {
        "name": f"{name[:90]}-replay",
        "training.epochs": schedule.epochs,
        "training.early_stopping": None,
        "search.methods": ["replay"],
        "search.seeds": 1,
        "search.replay.schedule": [segment.model_dump(mode="json") for segment in schedule.plain],
        "search.replay.models": 1,
        "search.space": _space(schedule, settings),
        "search.pbt": PBTSettings().model_dump(mode="json"),
    }


def _space(schedule: Schedule, settings: TranslationSettings) -> Mapping[str, Any]:
    """Return domains of what the schedule names: those searched, which the report draws, or just its values."""
    space: dict[str, Any] = {}
    for name in schedule.segments[0].values:
        if name in settings.search.space:
            space[name] = settings.search.space[name].model_dump(mode="json")
        else:
            values = dict.fromkeys(segment.values[name] for segment in schedule.segments)
            space[name] = ChoiceDomain(choices=list(values)).model_dump(mode="json")
    return space


def _checked(settings: TranslationSettings, schedule: Schedule) -> TranslationSettings:
    if settings.training.epochs < schedule.epochs - 1e-9:
        raise UsageError(
            f"training.epochs {settings.training.epochs:g}: the schedule is {counted(schedule.epochs, 'epoch')} long; "
            "leave it out, or train for longer: the last values then stay in force"
        )
    model = settings.model.model_copy(
        update={name: value for name, value in schedule.segments[0].values.items() if name in STRUCTURAL}
    )
    return settings.model_copy(update={"model": model})
