"""`nmt-pbt train`: one model, with constant values or by a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.options import AcceptChanges, Config, CorpusName, Out, Set, StartFrom, Track
from nmt_pbt.cli.running import ExpectedCorpus, begin_run, check_resume, resume_run
from nmt_pbt.cli.start_from import settings_to_start_from


def train_command(
    config: Config = None,
    corpus: CorpusName = None,
    out: Out = None,
    start_from: StartFrom = None,
    schedule: Annotated[Path | None, typer.Option(help="A schedule to replay: a run's folder, or a YAML file.")] = None,
    method: Annotated[
        str | None, typer.Option(help="With --schedule RUN: the method whose schedule to replay; without it, PBT.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="With --schedule RUN: the seed of the search; without it, the best on dev."),
    ] = None,
    set_: Set = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    accept_changes: AcceptChanges = False,
    track: Track = None,
) -> None:
    """Train one model from fresh weights, with the values under `training` in the settings or with a schedule."""
    beginning = {"--config": config, "--out": out, "--schedule": schedule, "--start-from": start_from}
    check_resume(resume, accept_changes, beginning)
    moved: dict[str, Any] = {"corpus.name": corpus} if corpus is not None else {}
    if schedule is None and (method is not None or seed is not None):
        raise UsageError("--method and --seed choose among the schedules of --schedule RUN; leave them out")
    if schedule is not None and start_from is not None:
        raise UsageError("--schedule trains from fresh weights; leave it or --start-from out")
    if resume is not None:
        resume_run(resume, accept_changes, set_ or [], moved, track or [])
    elif schedule is not None:
        _replay(schedule, method, seed, config, corpus, out, set_ or [], track or [])
    else:
        from nmt_pbt.tasks.translation.settings.tree import load_settings, without_search

        if start_from is not None:
            config, start = settings_to_start_from(start_from, config)
            moved = {**start, **moved}
        overrides: dict[str, Any] = {
            "search.methods": ["manual"],
            "search.manual.guesses": [{}],
            "search.seeds": 1,
            **moved,
        }
        begin_run(without_search(load_settings(config, set_ or [], overrides)), out, trackers=track or [])


def _replay(
    schedule: Path,
    method: str | None,
    seed: int | None,
    config: Path | None,
    corpus: str | None,
    out: Path | None,
    assignments: list[str],
    trackers: list[str],
) -> None:
    """Train from fresh weights by a schedule that was found, or written."""
    from nmt_pbt.cli.schedules import replay_of_file, replay_of_run

    if schedule.is_dir():
        if config is not None or corpus is not None:
            raise UsageError(
                f"--schedule {schedule}: trains with the settings and the corpus of that run; leave out --config and "
                "--corpus, or give one of the schedules in its report, which are YAML files"
            )
        replay = replay_of_run(schedule, method, seed, assignments)
    else:
        if method is not None or seed is not None:
            raise UsageError(f"--method and --seed choose among a run's schedules; {schedule} is one; leave them out")
        replay = replay_of_file(schedule, config, corpus, assignments)
    if source := replay.schedule.source:
        from nmt_pbt.cli.progress import CONSOLE

        CONSOLE.print(
            f"Schedule of {source.run}, {source.method}, seed {source.seed}, trial {source.trial}: "
            f"{counted(replay.schedule.epochs, 'epoch')}, {source.objective} {source.score:.2f}"
        )
    expected = None
    if replay.data_digest is not None:
        otherwise = "changed since the schedule was found on it; restore it, or give one of the schedules in the run's "
        expected = ExpectedCorpus(replay.data_digest, f"{otherwise}report, which are YAML files")
    begin_run(replay.settings, out, expected, trackers)
