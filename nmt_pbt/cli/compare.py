"""`nmt-pbt compare`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from nmt_pbt.base.errors import UsageError
from nmt_pbt.cli.options import AcceptChanges, CorpusName, Out, Set, StartFrom, Track
from nmt_pbt.cli.own_task import compare_own_task
from nmt_pbt.cli.running import begin_run, check_resume, resume_run
from nmt_pbt.cli.start_from import settings_to_start_from

EMBEDDED = Path(__file__).parents[1] / "embedded.yaml"
"""Settings of `compare` without `--config`: four searches in a few minutes."""


class CompareCommand(TyperCommand):
    """A command whose help names the registered methods. Only help imports them: that takes half a second."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the names of the methods."""
        from nmt_pbt.search.methods.registry import METHODS

        for option in self.params:
            if option.name == "methods" and isinstance(option, TyperOption):
                option.help = (option.help or "").format(names=", ".join(METHODS.names))
        super().format_help(ctx, formatter)


def compare_command(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings in YAML; without it, the toy corpus for a few minutes."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,...", help="Which of {names}; without it, the settings'."),
    ] = None,
    corpus: CorpusName = None,
    out: Out = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many times to repeat each search, each time with another seed.")
    ] = None,
    more_epochs: Annotated[
        float | None,
        typer.Option(help="With --resume: how many more epochs each member trains; only for runs of populations."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many worker processes; 0: as many as cores and memory allow.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="inline (this process), processes (this machine) or ray (a cluster).")
    ] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address; without it, this machine.")] = None,
    start_from: StartFrom = None,
    track: Track = None,
    set_: Set = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    accept_changes: AcceptChanges = False,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="A task of your own: what nmt_pbt.keras_task returned, or another; see docs/own-task.md.",
        ),
    ] = None,
) -> None:
    """Search with several methods at equal budget, test each winner, and write a report."""
    overrides: dict[str, Any] = {}
    if methods is not None:
        overrides["search.methods"] = [name.strip() for name in methods.split(",") if name.strip()]
    for key, value in (
        ("search.seeds", seeds),
        ("search.more_epochs", more_epochs),
        ("engine.workers", workers),
        ("engine.name", engine),
        ("engine.address", address),
    ):
        if value is not None:
            overrides[key] = value
    if more_epochs is not None and resume is None:
        raise UsageError("--more-epochs goes with --resume; leave it out, or set training.epochs")
    check_resume(resume, accept_changes, {"--config": config, "--out": out, "--start-from": start_from})
    if task is not None:
        if corpus is not None:
            raise UsageError("--corpus is for translation; leave it or --task out")
        folder = resume or out or Path("results") / task.partition(":")[2]
        go_on = resume is not None
        compare_own_task(task, folder, config, set_ or [], overrides, go_on, accept_changes, start_from, track or [])
        return
    if corpus is not None:
        overrides["corpus.name"] = corpus
    if resume is not None:
        resume_run(resume, accept_changes, set_ or [], overrides, track or [])
        return
    if start_from is not None:
        config, start = settings_to_start_from(start_from, config)
        overrides = {**start, **overrides}
    from nmt_pbt.tasks.translation.settings.tree import load_settings

    begin_run(load_settings(config or EMBEDDED, set_ or [], overrides), out, trackers=track or [])
