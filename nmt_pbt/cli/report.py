"""`nmt-pbt report`: a run's report, from its journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.cli.options import Track
from nmt_pbt.cli.streams import warn
from nmt_pbt.track.names import check_trackers


def report_command(
    runs: Annotated[list[Path], typer.Argument(help="A run's folder; several are compared with one another.")],
    out: Annotated[Path | None, typer.Option(help="The report's folder; without it, report/ in the run.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw the report again whenever the run has gone on; Ctrl-C ends.")
    ] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Write event files for TensorBoard to this folder.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write all tables as Parquet to this folder.")] = None,
    track: Track = None,
) -> None:
    """Draw the report of a run from its journal, or of several runs together."""
    from nmt_pbt.run.run_directory import RunDirectory

    for run in runs:
        RunDirectory(run).check_run()  # before the libraries that draw are imported
    check_trackers(track or [])
    if watch and (len(runs) > 1 or out or tensorboard or parquet or track):
        raise UsageError("--watch draws the report of one run in its own folder; leave out what else is named")
    from nmt_pbt.report.page import write_report

    if watch:
        from nmt_pbt.report.watch import watch as watch_run

        with suppress(KeyboardInterrupt):
            watch_run(runs[0], lambda page: typer.echo(str(page)), tell=warn)
        return
    from nmt_pbt.report.several import load_runs

    page = write_report(runs, out=out, tell=warn)
    if parquet is not None:
        from nmt_pbt.report.export import write_parquet

        for path in write_parquet(load_runs(runs), parquet):
            typer.echo(str(path))
    if tensorboard is not None:
        from nmt_pbt.report.event_files import write_event_files

        typer.echo(str(write_event_files(load_runs(runs), tensorboard)))
    for name in track or []:
        from nmt_pbt.track.tracking import send

        for run in runs:
            send(name, RunDirectory(run))
    typer.echo(str(page))
