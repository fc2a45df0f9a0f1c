"""`nmt-pbt data`: corpora that can be named, fetched and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_pbt.base.text import counted

data_app = typer.Typer(help="List, download and show corpora.", no_args_is_help=True)


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
    """Download a corpus. Continues an interrupted download, and refuses a file with a wrong hash."""
    from nmt_pbt.tasks.translation.corpus.fetch import check_fetchable, fetch

    check_fetchable(name)
    from nmt_pbt.cli.progress import DownloadProgress

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
    """Show the number of pairs in each split of a corpus, and the first pairs."""
    from nmt_pbt.cli.running import notes_of
    from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
    from nmt_pbt.tasks.translation.settings.tree import load_settings

    settings = load_settings(None, set_ or [], {"corpus.name": name})
    corpus = load_corpus(settings.corpus, settings.seed)
    typer.echo(
        f"{corpus.name}: {len(corpus.train):,} train, {len(corpus.dev):,} dev, {counted(len(corpus.test), 'test pair')}"
    )
    for test_set, text in corpus.other_tests.items():
        typer.echo(f"{test_set}: {counted(len(text), 'test pair')}")
    for note in notes_of(corpus):
        typer.echo(note)
    for source, target in list(zip(corpus.train.source, corpus.train.target, strict=True))[:count]:
        typer.echo(f"{source}\n    {target}")
