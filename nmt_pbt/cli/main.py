"""The command line. Each command parses, checks, and makes one call; TensorFlow is imported only where it works."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from nmt_pbt import __version__
from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.compare import compare_command
from nmt_pbt.cli.evaluate import evaluate_command
from nmt_pbt.cli.export import export_command
from nmt_pbt.cli.manual import manual_command
from nmt_pbt.cli.streams import open_streams, speak_utf_8
from nmt_pbt.cli.train import train_command
from nmt_pbt.cli.translate import translate_command
from nmt_pbt.cli.usage import run_app

app = typer.Typer(
    name="nmt-pbt",
    help="Tune an attention LSTM translator by Population Based Training, and compare with grid, random and "
    "Bayesian search at equal budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Corpora: what there is, fetching, looking.", no_args_is_help=True)
app.add_typer(data_app, name="data")

app.command("compare")(compare_command)
app.command("train")(train_command)
app.command("manual")(manual_command)
app.command("translate")(translate_command)
app.command("evaluate")(evaluate_command)
app.command("export")(export_command)


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="A run's folder; several are compared with one another.")],
    out: Annotated[Path | None, typer.Option(help="The report's folder; without it, report/ in the run.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Draw again while the run goes on; Ctrl-C ends.")] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Write event files for TensorBoard to this folder.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write all tables as Parquet to this folder.")] = None,
) -> None:
    """Draw the report of a run from its journal, or of several runs together."""
    from nmt_pbt.run.run_directory import RunDirectory

    for run in runs:
        RunDirectory(run).check_run()  # before the libraries that draw are imported
    if watch and (len(runs) > 1 or out or tensorboard or parquet):
        raise UsageError("--watch draws the report of one run in its own folder; leave out what else is named")
    from nmt_pbt.report.page import write_report

    if watch:
        from nmt_pbt.report.watch import watch as watch_run

        with suppress(KeyboardInterrupt):
            watch_run(runs[0], lambda page: typer.echo(str(page)))
        return
    from nmt_pbt.report.several import load_runs

    page = write_report(runs, out=out)
    if parquet is not None:
        from nmt_pbt.report.export import write_parquet

        for path in write_parquet(load_runs(runs), parquet):
            typer.echo(str(path))
    if tensorboard is not None:
        from nmt_pbt.report.event_files import write_event_files

        typer.echo(str(write_event_files(load_runs(runs), tensorboard)))
    typer.echo(str(page))


@data_app.command("list")
def data_list_command() -> None:
    """List the corpora that can be named."""
    from nmt_pbt.tasks.translation.corpus.catalog import list_corpora

    for entry in list_corpora():
        typer.echo(f"{entry.name:10} {entry.description}")


@data_app.command("fetch")
def data_fetch_command(
    name: Annotated[str, typer.Argument(help="A corpus that can be downloaded.")],
    to: Annotated[Path, typer.Option(help="Folder to keep corpora in.")] = Path("data"),
) -> None:
    """Download a corpus; goes on where an earlier download stopped, and refuses a wrong file."""
    from nmt_pbt.cli.progress import DownloadProgress
    from nmt_pbt.tasks.translation.corpus.fetch import fetch

    with DownloadProgress() as progress:
        folder = fetch(name, to / name, progress=progress)
    typer.echo(str(folder))


@data_app.command("show")
def data_show_command(
    name: Annotated[str, typer.Argument(help="A corpus of `nmt-pbt data list`, or a folder.")],
    count: Annotated[int, typer.Option(min=1, help="Pairs to show.")] = 10,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of it, for instance corpus.train_pairs=500."),
    ] = None,
) -> None:
    """Show a corpus: how many pairs each split has, and the first of them."""
    from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
    from nmt_pbt.tasks.translation.tree import load_settings

    settings = load_settings(None, set_ or [], {"corpus.name": name})
    corpus = load_corpus(settings.corpus, settings.seed)
    typer.echo(
        f"{corpus.name}: {len(corpus.train):,} train, {len(corpus.dev):,} dev, {counted(len(corpus.test), 'test pair')}"
    )
    for split, blank in corpus.dropped.items():
        typer.echo(f"left out: {counted(blank, f'{split} pair')} with a blank line")
    for source, target in list(zip(corpus.train.source, corpus.train.target, strict=True))[:count]:
        typer.echo(f"{source}\n    {target}")


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Handle options that stand before a command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit()


def _stop(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line: exit code 0 done, 2 wrong use or bad input, 130 interrupted."""
    open_streams()
    speak_utf_8()
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run_app(app, sys.argv[1:]))
