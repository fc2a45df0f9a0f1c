"""The command line. Each command parses, checks, and makes one call; TensorFlow is imported only where it works."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt_pbt import __version__
from nmt_pbt.commands.evaluate import evaluate_command
from nmt_pbt.commands.export import export_command
from nmt_pbt.commands.options import Run
from nmt_pbt.commands.startup import start_tensorflow
from nmt_pbt.commands.translate import translate_command
from nmt_pbt.commands.usage import run_app
from nmt_pbt.errors import UsageError

if TYPE_CHECKING:
    from nmt_pbt.corpus.prepared import PreparedCorpus
    from nmt_pbt.experiment.run_directory import RunDirectory
    from nmt_pbt.settings import Settings
    from nmt_pbt.values import Value

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

EMBEDDED = Path(__file__).with_name("embedded.yaml")
"""Settings of `compare` without `--config`: four searches in a few minutes."""

Config = Annotated[Path | None, typer.Option("--config", help="Settings in YAML; without it, the defaults.")]
CorpusName = Annotated[str | None, typer.Option("--corpus", help="A corpus of `nmt-pbt data list`, or a folder.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder; without it, results/NAME.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value, for instance training.dropout=0.3.")]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Resume under another version of the program or its libraries.")
]


@app.command("compare")
def compare_command(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings in YAML; without it, the toy corpus for a few minutes.")
    ] = None,
    methods: Annotated[str | None, typer.Option(help="Comma-separated: pbt,random,grid,bayes.")] = None,
    corpus: CorpusName = None,
    out: Out = None,
    seeds: Annotated[int | None, typer.Option(help="Repeat every search so often.")] = None,
    workers: Annotated[int | None, typer.Option(help="Trials under way at once.")] = None,
    engine: Annotated[str | None, typer.Option(help="inline: in this process; ray: in worker processes.")] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address; without it, this machine.")] = None,
    set_: Set = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Search with several methods at equal budget, test each winner, and write a report."""
    overrides: dict[str, Any] = {}
    if methods is not None:
        overrides["search.methods"] = [name.strip() for name in methods.split(",") if name.strip()]
    for key, value in (
        ("search.seeds", seeds),
        ("engine.workers", workers),
        ("engine.name", engine),
        ("engine.address", address),
    ):
        if value is not None:
            overrides[key] = value
    _check_resume(resume, accept_changes, {"--config": config, "--corpus": corpus, "--out": out})
    if resume is not None:
        _resume(resume, accept_changes, set_ or [], overrides)
        return
    from nmt_pbt.settings import load_settings

    if corpus is not None:
        overrides["corpus.name"] = corpus
    _begin(load_settings(config or EMBEDDED, set_ or [], overrides), out)


@app.command("train")
def train_command(
    config: Config = None,
    corpus: CorpusName = None,
    out: Out = None,
    schedule: Annotated[Path | None, typer.Option(help="Replay one: a run's folder, or a YAML file.")] = None,
    method: Annotated[str | None, typer.Option(help="Whose schedule in that run; without it, PBT's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of which search; without it, the best on dev.")] = None,
    set_: Set = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    accept_changes: AcceptChanges = False,
) -> None:
    """Train one configuration, the values under `training` in the settings, or a schedule from fresh weights."""
    beginning = {"--config": config, "--corpus": corpus, "--out": out, "--schedule": schedule}
    _check_resume(resume, accept_changes, beginning)
    if schedule is None and (method is not None or seed is not None):
        raise UsageError("--method and --seed choose among the schedules of --schedule RUN; leave them out")
    if resume is not None:
        _resume(resume, accept_changes, set_ or [], {})
    elif schedule is not None:
        _replay(schedule, method, seed, config, corpus, out, set_ or [])
    else:
        from nmt_pbt.settings import load_settings, without_search

        overrides: dict[str, Any] = {
            "search.methods": ["manual"],
            "search.manual.guesses": [{}],
            "search.seeds": 1,
            **({"corpus.name": corpus} if corpus is not None else {}),
        }
        _begin(without_search(load_settings(config, set_ or [], overrides)), out)


def _check_resume(resume: Path | None, accept_changes: bool, beginning: Mapping[str, object]) -> None:
    if resume is not None and any(value is not None for value in beginning.values()):
        raise UsageError(f"--resume continues a run with its own settings; leave out {' and '.join(beginning)}")
    if accept_changes and resume is None:
        raise UsageError("--accept-changes goes with --resume; leave it out")


def _resume(folder: Path, accept_changes: bool, assignments: list[str], overrides: dict[str, Any]) -> None:
    """Go on with a run, whichever command began it."""
    from nmt_pbt.experiment.run_directory import RunDirectory
    from nmt_pbt.settings import load_settings

    run = RunDirectory(folder, accept_changes)
    run.check_run()
    settings = load_settings(run.settings_file, assignments, overrides)
    run.check_free()
    run.check_same(settings)
    _run(run, settings)


def _begin(settings: Settings, out: Path | None, corpus_digest: str | None = None) -> None:
    """Begin a run in a new folder."""
    from nmt_pbt.experiment.run_directory import RunDirectory

    run = RunDirectory(out or Path("results") / settings.run_name)
    run.check_new()
    _run(run, settings, corpus_digest)


def _replay(
    schedule: Path,
    method: str | None,
    seed: int | None,
    config: Path | None,
    corpus: str | None,
    out: Path | None,
    assignments: list[str],
) -> None:
    """Train from fresh weights by a schedule that was found, or written."""
    from nmt_pbt.experiment.scheduled import replay_of_file, replay_of_run

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
        from nmt_pbt.console import CONSOLE

        CONSOLE.print(
            f"Schedule of {source.run}, {source.method}, seed {source.seed}, trial {source.trial}: "
            f"{replay.schedule.epochs:g} epochs, {source.objective} {source.score:.2f}"
        )
    _begin(replay.settings, out, replay.corpus)


def _prepared(run: RunDirectory, settings: Settings, corpus_digest: str | None = None) -> PreparedCorpus:
    """Check everything that can be checked without TensorFlow, then start that and cut the corpus into subwords.

    Args:
        run: The run's folder.
        settings: The settings.
        corpus_digest: What the prepared corpus has to be; None takes any.
    """
    from nmt_pbt.corpus.prepared import check, digest_of
    from nmt_pbt.experiment.disk import check_room, need_of
    from nmt_pbt.experiment.reachable import check_engine

    check_engine(settings.engine)
    text, subwords = check(settings.corpus, settings.seed)
    if corpus_digest is not None and digest_of(text, subwords, settings.corpus.max_length) != corpus_digest:
        raise UsageError(
            f"{settings.corpus.name}: changed since the schedule was found on it; restore it, or give one of the "
            "schedules in the run's report, which are YAML files"
        )
    need = need_of(settings, subwords.size)
    check_room(need, run.path)

    if settings.search.interval * len(text.train) < 1:
        raise UsageError(
            f"search.interval {settings.search.interval:g}: less than one of {len(text.train)} sentence pairs; raise it"
        )

    from nmt_pbt.console import CONSOLE

    CONSOLE.print(f"{run.path} takes {need}", highlight=False)
    for reason, count in text.dropped.items():
        if count:
            CONSOLE.print(f"{text.name}: left out {count} {reason}")
    with CONSOLE.status("Starting TensorFlow"):
        start_tensorflow()
        from nmt_pbt.corpus.prepared import prepare
        from nmt_pbt.training.threads import use_threads

        use_threads(settings.engine.threads)
        prepared = prepare(text, subwords, settings.corpus)
    if prepared.too_long:
        limit = settings.corpus.max_length
        CONSOLE.print(f"{text.name}: left out {prepared.too_long} train pairs longer than {limit} subwords")
    return prepared


def _run(run: RunDirectory, settings: Settings, corpus_digest: str | None = None) -> None:
    """Search, and write the report."""
    from nmt_pbt.search.methods import check_methods

    check_methods(settings)
    prepared = _prepared(run, settings, corpus_digest)
    from nmt_pbt.console import CONSOLE, SearchProgress, results_table
    from nmt_pbt.experiment.compare import compare

    command = sys.argv[1] if len(sys.argv) > 1 else "compare"
    go_on = f"nmt-pbt {command} --resume {shlex.quote(str(run.path))}"
    with _going_on(run.path, go_on), SearchProgress(_samples(settings, prepared)) as progress:
        compare(run, settings, prepared, progress)

    from nmt_pbt.report.page import write_report
    from nmt_pbt.report.run import load_run

    page = write_report(run.path)
    typer.echo("")
    CONSOLE.print(results_table(load_run(run.path).tested, settings.search.objective))
    typer.echo(str(page))


def _samples(settings: Settings, prepared: PreparedCorpus) -> list[tuple[str, str]]:
    """Return the dev sentences, with their references, whose translations a search shows."""
    from nmt_pbt.corpus.parallel import sample_lines
    from nmt_pbt.settings import MOST_SAMPLES

    dev = prepared.corpus.dev
    return [(dev.source[line], dev.target[line]) for line in sample_lines(settings.seed, len(dev), MOST_SAMPLES)]


@contextmanager
def _going_on(folder: Path, command: str) -> Iterator[None]:
    """Say how to go on with a run that is interrupted, or has no room on the disk."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. Continue with: {command}", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise UsageError(f"{where}: {why}; everything before is whole: mend that and continue with {command}") from None


@app.command("manual")
def manual_command(
    folder: Run,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value, for instance dropout=0.3.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a guess that was interrupted.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Decode the test split by the best guess.")] = False,
    accept_changes: AcceptChanges = False,
) -> None:
    """Show what a run has tried, and train one more guess by hand, to stand beside it."""
    from nmt_pbt.experiment.by_hand import check_free_to_guess, check_free_to_test, is_under_way, read_guess
    from nmt_pbt.experiment.run_directory import RunDirectory
    from nmt_pbt.journal import read_journal

    if bool(set_) + resume + test > 1:
        raise UsageError("--set, --resume and --test are one thing each; give one of them")
    run = RunDirectory(folder, accept_changes)
    settings = run.read_settings()
    records = read_journal(run.journal_file) if run.journal_file.exists() else []
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


def _guess(run: RunDirectory, settings: Settings, values: dict[str, Value] | None, test: bool) -> None:
    prepared = _prepared(run, settings)
    from nmt_pbt.console import SearchProgress
    from nmt_pbt.experiment.by_hand import guess

    place = shlex.quote(str(run.path))
    go_on = f"nmt-pbt manual {place} {'--test' if test else '--resume'}"
    with _going_on(run.path, go_on), SearchProgress(_samples(settings, prepared)) as progress:
        guess(run, settings, prepared, values, test, progress)
    from nmt_pbt.report.page import write_report

    page = write_report(run.path)
    typer.echo("")
    _show_tried(run, settings, latest=True)
    typer.echo(str(page))


def _show_tried(run: RunDirectory, settings: Settings, latest: bool = False) -> None:
    """Print what a run has tried, the best first; with `latest`, how the last guess came out among it."""
    from nmt_pbt.console import RESULTS, tried_table
    from nmt_pbt.experiment.by_hand import is_under_way, told, tried
    from nmt_pbt.journal import read_journal

    records = read_journal(run.journal_file) if run.journal_file.exists() else []
    RESULTS.print(tried_table(tried(records), settings.search.objective))
    if latest:
        typer.echo(told(records, settings.search.objective))
    elif is_under_way(records):
        typer.echo(f"A guess was interrupted: finish it with nmt-pbt manual {shlex.quote(str(run.path))} --resume")


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
    from nmt_pbt.experiment.run_directory import RunDirectory

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
    from nmt_pbt.corpus.catalog import list_corpora

    for entry in list_corpora():
        typer.echo(f"{entry.name:10} {entry.description}")


@data_app.command("fetch")
def data_fetch_command(
    name: Annotated[str, typer.Argument(help="A corpus that can be downloaded.")],
    to: Annotated[Path, typer.Option(help="Folder to keep corpora in.")] = Path("data"),
) -> None:
    """Download a corpus; goes on where an earlier download stopped, and refuses a wrong file."""
    from nmt_pbt.console import DownloadProgress
    from nmt_pbt.corpus.fetch import fetch

    with DownloadProgress() as progress:
        folder = fetch(name, to / name, progress=progress)
    typer.echo(str(folder))


@data_app.command("show")
def data_show_command(
    name: Annotated[str, typer.Argument(help="A corpus of `nmt-pbt data list`, or a folder.")],
    count: Annotated[int, typer.Option(min=1, help="Pairs to show.")] = 10,
    set_: Set = None,
) -> None:
    """Show a corpus: how many pairs each split has, and the first of them."""
    from nmt_pbt.corpus.catalog import load_corpus
    from nmt_pbt.settings import load_settings

    settings = load_settings(None, set_ or [], {"corpus.name": name})
    corpus = load_corpus(settings.corpus, settings.seed)
    typer.echo(f"{corpus.name}: {len(corpus.train)} train, {len(corpus.dev)} dev, {len(corpus.test)} test pairs")
    for reason, dropped in corpus.dropped.items():
        if dropped:
            typer.echo(f"left out: {dropped} {reason}")
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
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run_app(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
