"""`nmt-pbt manual`: one more guess by hand."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.cli.options import AcceptChanges, MovedCorpus, Run
from nmt_pbt.cli.running import corpus_of, dev_samples, drawn_report, going_on, prepare_run

if TYPE_CHECKING:
    from nmt_pbt.base.types import Value
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings


def manual_command(
    folder: Run,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter, for instance dropout=0.3; repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a guess that was interrupted.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Translate the test split with the best guess, and score it.")
    ] = False,
    corpus: MovedCorpus = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Show what a run has tried, and train values chosen by hand, to compare with it."""
    from nmt_pbt.run.manual import check_free_to_guess, check_free_to_test, is_under_way
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

    if bool(set_) + resume + test > 1:
        raise UsageError("--set, --resume and --test are one thing each; give one of them")
    run = RunDirectory(folder, accept_changes)
    run.check_run(TranslationSettings)
    settings = load_settings(run.settings_file, (), {"corpus.name": corpus} if corpus is not None else {})
    records = run.records()
    if not (set_ or resume or test):
        _show_tried(run, settings)
        return
    values = None
    if set_:
        values = read_guess(set_, settings)
        check_free_to_guess(run, records, settings)
    elif resume and not is_under_way(records):
        raise UsageError(f"{folder}: no guess was interrupted; add one with --set, for instance --set dropout=0.3")
    elif test:
        check_free_to_test(run, records)
    run.check_free()
    run.check_same(settings)
    if values is not None:
        _show_tried(run, settings)
    _guess(run, settings, values, test)


def read_guess(assignments: Sequence[str], settings: TranslationSettings) -> dict[str, Value]:
    """Read a guess from the command line.

    Args:
        assignments: `name=value` texts.
        settings: The run's settings.

    Returns:
        Values by name: those given, and those configured for the rest of the space.

    Raises:
        UsageError: A name is no hyperparameter, or its setting does not take the value. Values may lie outside the
            searched range.
    """
    from nmt_pbt.base.yaml_text import parse_yaml
    from nmt_pbt.tasks.translation.settings.sections import SEARCHABLE, check_value

    known = [name for name in SEARCHABLE if name != "epochs" or name in settings.search.space]
    guess: dict[str, Value] = {}
    for text in assignments:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator:
            raise UsageError(f"--set {text}: expected name=value, for instance --set dropout=0.3")
        if name not in known:
            raise UsageError(f"--set {text}: no hyperparameter '{name}'{suggest(name, known)}")
        if name in guess:
            raise UsageError(f"--set {text}: {name} is given twice; remove one")
        guess[name] = parse_yaml(value, f"--set {text}")
        try:
            check_value(name, guess[name], f"--set {name}")
        except ValueError as error:
            raise UsageError(str(error)) from None
    configured = {**settings.training.model_dump(), **settings.model.model_dump()}
    whole = {name: guess.get(name, configured[name]) for name in settings.search.space}
    return {**whole, **guess}


def _guess(run: RunDirectory, settings: TranslationSettings, values: dict[str, Value] | None, test: bool) -> None:
    task = prepare_run(run, settings, corpus_of(run))
    from nmt_pbt.cli.progress import SearchProgress
    from nmt_pbt.run.manual import guess

    place = shlex.quote(str(run.path))
    go_on = f"nmt-pbt manual {place} {'--test' if test else '--resume'}"
    with going_on(run.path, go_on), SearchProgress(dev_samples(task)) as progress:
        guess(run, settings, task, values, test, progress)
        del task  # it maps what was prepared
        run.clear_prepared()
    where = drawn_report(run, settings)
    typer.echo("")
    _show_tried(run, settings, latest=True)
    typer.echo(where)


def _show_tried(run: RunDirectory, settings: TranslationSettings, latest: bool = False) -> None:
    """Print what a run has tried, the best first; with `latest`, how the last guess came out among it."""
    from nmt_pbt.cli.progress import RESULTS, tried_table
    from nmt_pbt.run.manual import is_under_way, told, tried

    records = run.records()
    RESULTS.print(tried_table(tried(records), settings.search.objective))
    if latest:
        typer.echo(told(records, settings.search.objective))
    elif is_under_way(records):
        typer.echo(f"A guess was interrupted: finish it with nmt-pbt manual {shlex.quote(str(run.path))} --resume")
