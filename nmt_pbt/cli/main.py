"""The command line. Each command parses, checks, and makes one call; TensorFlow is imported only where it works."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from nmt_pbt import __version__
from nmt_pbt.base.memory import collect_garbage_rarely
from nmt_pbt.cli.compare import CompareCommand, compare_command
from nmt_pbt.cli.data import data_app
from nmt_pbt.cli.distill import distill_command
from nmt_pbt.cli.evaluate import evaluate_command
from nmt_pbt.cli.export import export_command
from nmt_pbt.cli.manual import manual_command
from nmt_pbt.cli.report import report_command
from nmt_pbt.cli.streams import name_streams, open_streams, speak_utf_8
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

app.command("compare", cls=CompareCommand)(compare_command)
app.command("train")(train_command)
app.command("manual")(manual_command)
app.command("translate")(translate_command)
app.command("evaluate")(evaluate_command)
app.command("export")(export_command)
app.command("distill")(distill_command)


app.command("report")(report_command)
app.add_typer(data_app, name="data")


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
    collect_garbage_rarely()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some reads what every package says
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "15")  # 2^15 cycles; by default NumPy's idle threads spin 0.1 s
    os.environ["MPLBACKEND"] = "agg"  # a notebook hands on its own, which need not be installed here
    open_streams()
    name_streams()
    speak_utf_8()
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run_app(app, sys.argv[1:]))
