"""Beginning a run, and going on with one: what `compare`, `train` and `manual` have in common."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.startup import start_tensorflow
from nmt_pbt.cli.streams import warn
from nmt_pbt.track.names import check_trackers, warn_unsent

if TYPE_CHECKING:
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.settings.tree import RunSettings
    from nmt_pbt.tasks.kept_model import KeptModel
    from nmt_pbt.tasks.translation.corpus.parallel import Corpus
    from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
    from nmt_pbt.tasks.translation.task import TranslationTask

_MANY_PAIRS = 10_000  # whose subwords take seconds to learn


def check_resume(resume: Path | None, accept_changes: bool, beginning: Mapping[str, object]) -> None:
    """Refuse options that begin a run beside `--resume`, and one that goes with it without it.

    Args:
        resume: The run to go on with; None begins one.
        accept_changes: Whether changes of the program are accepted.
        beginning: Options that begin a run, by their names.

    Raises:
        UsageError: They do not go together.
    """
    if resume is not None and any(value is not None for value in beginning.values()):
        raise UsageError(f"--resume continues a run with its own settings; leave out {' and '.join(beginning)}")
    if accept_changes and resume is None:
        raise UsageError("--accept-changes goes with --resume; leave it out")


def resume_run(
    folder: Path,
    accept_changes: bool,
    assignments: list[str],
    overrides: dict[str, Any],
    trackers: Sequence[str] = (),
) -> None:
    """Go on with a run, whichever command began it."""
    check_trackers(trackers)
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

    run = RunDirectory(folder, accept_changes)
    run.check_run(TranslationSettings)
    settings = load_settings(run.settings_file, assignments, overrides)
    run.check_free()
    run.check_same(settings)
    from nmt_pbt.run.preflight import check_going_on, ended_by_rules, is_finished

    records = run.records()
    for told in ended_by_rules(records, run.elsewhere):
        warn(told)
    check_going_on(records, settings)
    if is_finished(records, settings):
        run.clear_finished()
        searches = counted(len(settings.search.methods) * settings.search.seeds, "search", "searches")
        typer.echo(f"{folder}: nothing was left to do after {searches}; its report:", err=True)
        _report(run, settings)
        warn_unsent(run, trackers, warn)
        return
    settings.check_searches()
    _run(run, settings, corpus_of(run), trackers)


def begin_run(
    settings: TranslationSettings,
    out: Path | None,
    corpus: ExpectedCorpus | None = None,
    trackers: Sequence[str] = (),
) -> None:
    """Begin a run in a new folder."""
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import missing_tokenizer, mistaken_code
    from nmt_pbt.tasks.translation.settings.tree import for_new_run

    check_trackers(trackers)
    settings.check_searches()
    run = RunDirectory(out or Path("results") / settings.run_name)
    run.check_new()
    if settings.start_from is not None:
        from nmt_pbt.tasks.translation.training.start_from import choose_start

        start = choose_start(settings, _best_winner(Path(settings.start_from)))
        settings = settings.model_copy(update={"start_digest": start.digest})
    for language in (settings.corpus.source_language, settings.corpus.target_language):
        if (mistaken := mistaken_code(language)) is not None:
            warn(mistaken)
    if settings.evaluation.tokenize is None and (missing := missing_tokenizer(settings.corpus.target_language)):
        warn(missing)
    _run(run, for_new_run(settings), corpus, trackers)


@dataclass(frozen=True)
class ExpectedCorpus:
    """Which corpus it has to be.

    Attributes:
        digest: SHA-256 of the prepared corpus.
        otherwise: What to say where it is another one.
    """

    digest: str
    otherwise: str


def corpus_of(run: RunDirectory) -> ExpectedCorpus | None:
    """Return which corpus a run was begun with; None where it has not begun."""
    started = run.started()
    if started is None:
        return None
    otherwise = "not the corpus that the run was begun with; restore it, or say with --corpus where that lies"
    return ExpectedCorpus(started.data, f"{otherwise}, or start a new run with another --out")


def prepare_run(
    run: RunDirectory, settings: TranslationSettings, corpus: ExpectedCorpus | None = None
) -> TranslationTask:
    """Check everything that can be checked without TensorFlow, then start that and cut the corpus into subwords.

    Args:
        run: The run's folder.
        settings: The settings.
        corpus: Which corpus it has to be; None takes any.

    Returns:
        The task, with its corpus in the run's folder.
    """
    from nmt_pbt.run.preflight import check_engine, check_memory, check_room, need_of
    from nmt_pbt.tasks.translation.corpus.catalog import known_train_pairs, load_corpus
    from nmt_pbt.tasks.translation.footprint import state_bytes
    from nmt_pbt.tasks.translation.scoring.metrics import check_tokenizer

    check_engine(settings.engine)
    check_tokenizer(settings.bleu_tokenizer)
    need = need_of(settings, state_bytes(settings, settings.corpus.vocabulary_size))
    check_memory(need, settings.engine)
    known = known_train_pairs(settings.corpus)
    if known is not None:
        _check_interval(settings.search.interval, known)
    text = load_corpus(settings.corpus, settings.seed)
    _check_interval(settings.search.interval, len(text.train))
    # NumPy, which these need, takes 0.1 s: what is refused before does without.
    from nmt_pbt.tasks.translation.corpus.prepared import corpus_of_run, train_subwords
    from nmt_pbt.tasks.translation.corpus.stored import find_stored, most_bytes
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS, Subwords
    from nmt_pbt.tasks.translation.training.start_from import start_of_run

    start = start_of_run(run.path, settings, _best_winner)
    # Workers of a cluster may not see this folder: they are sent the corpus itself.
    here = settings.engine.address is None
    stored = find_stored(run.prepared, corpus.digest) if corpus is not None and here else None
    kept = stored.subwords if stored is not None else _kept_subwords(run) if corpus is not None else None
    if kept is not None:
        subwords = kept
    elif start is not None and start.subwords is not None:
        subwords = Subwords.load(start.subwords)
    else:
        with _learning(len(text.train)):
            subwords = train_subwords(text, settings.corpus, settings.seed)
    if corpus is not None:
        too_long = stored.too_long if stored is not None else None
        as_begun = corpus_of_run(text, subwords, settings.corpus.max_length, corpus.digest, too_long)
        if as_begun is None:
            lost = (
                f". If it is, delete {run.path / SUBWORDS}, which is made again"
                if kept is not None and stored is None
                else ""
            )
            raise UsageError(f"{settings.corpus.name}: {corpus.otherwise}{lost}")
        text = as_begun
    files = most_bytes(text, subwords.size) if here else 0
    files += sum(array.nbytes for array in start.weights.arrays.values()) if start is not None else 0
    need = replace(need, prepared=files)
    check_room(need, run.path)

    from nmt_pbt.cli.progress import CONSOLE
    from nmt_pbt.tasks.translation.corpus.foresight import foreseen

    CONSOLE.print(f"{run.path} takes {need}", highlight=False, soft_wrap=True)
    expected = foreseen(text, subwords, settings.search.objective, settings.bleu_tokenizer)
    for note in (*notes_of(text), *expected):
        CONSOLE.print(note, highlight=False, markup=False, soft_wrap=True)
    with CONSOLE.status("Starting TensorFlow"):
        start_tensorflow()
        from nmt_pbt.tasks.translation.model.runtime import use_threads
        from nmt_pbt.tasks.translation.task import TranslationTask

        use_threads(settings.engine.threads)
    prepared = stored or _prepare(run, text, subwords, settings)
    if prepared.too_long:
        limit = settings.corpus.max_length
        too_long_pairs = counted(prepared.too_long, "train pair")
        CONSOLE.print(f"{text.name}: left out {too_long_pairs} longer than {limit} subwords")
    return TranslationTask(settings, prepared, start.weights if start is not None else None)


def _best_winner(folder: Path) -> KeptModel[TranslationSettings]:
    from nmt_pbt.run.best_model import best_winner
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

    return best_winner(folder, TranslationSettings)


def _check_interval(interval_epochs: float, train_pairs: int) -> None:
    if interval_epochs * train_pairs < 1:
        raise UsageError(
            f"search.interval {interval_epochs:g}: less than one of {counted(train_pairs, 'sentence pair')}; raise it"
        )


def _kept_subwords(run: RunDirectory) -> Subwords | None:
    """Return the subwords that a run was begun with; None where the file is lost or damaged: they are learned again."""
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS, Subwords

    try:
        return Subwords.load((run.path / SUBWORDS).read_bytes())
    except (OSError, UsageError):
        return None


@contextmanager
def _learning(pairs: int) -> Iterator[None]:
    """Say that subwords are learned, where that takes more than a moment: a refusal of them is to be quick."""
    if pairs < _MANY_PAIRS:
        yield
        return
    from nmt_pbt.cli.progress import CONSOLE

    with CONSOLE.status(f"Learning subwords from {pairs:,} sentence pairs"):
        yield


def _prepare(run: RunDirectory, text: Corpus, subwords: Subwords, settings: TranslationSettings) -> PreparedCorpus:
    """Cut a corpus into subwords: into the run's folder, or into memory where workers may not see that folder."""
    from nmt_pbt.cli.progress import PreparationProgress
    from nmt_pbt.tasks.translation.corpus.prepared import prepare
    from nmt_pbt.tasks.translation.corpus.stored import store

    with PreparationProgress(len(text.train)) as progress:
        if settings.engine.address is not None:
            return prepare(text, subwords, settings.corpus, progress).to_be_sent()
        try:
            with run.preparing() as folder:
                return store(text, subwords, settings.corpus, folder, progress)
        except OSError as error:
            where, why = error.filename or run.prepared, error.strerror or error
            raise UsageError(f"{where}: {why}; mend that and give the command again") from None


def notes_of(corpus: Corpus) -> Iterator[str]:
    """Yield notes on a corpus: several test sets, pairs that were left out, and text that may be read in two ways."""
    if corpus.other_tests:
        yield (
            f"{corpus.name}: methods are compared by {corpus.test_set}; each winner is also scored on "
            f"{', '.join(corpus.other_tests)}"
        )
    for split, blank in corpus.dropped.items():
        yield f"{corpus.name}: left out {counted(blank, f'{split} pair')} with a blank line"
    yield from corpus.notes


def _run(
    run: RunDirectory, settings: TranslationSettings, corpus: ExpectedCorpus | None, trackers: Sequence[str]
) -> None:
    """Search, and write the report."""
    task = prepare_run(run, settings, corpus)
    from nmt_pbt.cli.progress import CONSOLE, SearchProgress
    from nmt_pbt.run.compare import compare
    from nmt_pbt.run.driver import combined_listener
    from nmt_pbt.run.greediness import Greediness
    from nmt_pbt.track.tracking import tracking

    command = sys.argv[1] if len(sys.argv) > 1 else "compare"
    go_on = f"nmt-pbt {command} --resume {shlex.quote(str(run.path))}"
    with (
        going_on(run.path, go_on),
        SearchProgress(dev_samples(task), Greediness.of(settings.search_plan())) as progress,
        tracking(trackers, run, warn) as track,
    ):
        tell = combined_listener(progress, track)
        compare(run, settings, task, tell, lambda text: CONSOLE.print(text, highlight=False))
        del task  # it maps what was prepared
        run.clear_finished()
    typer.echo("")
    _report(run, settings)


def _report(run: RunDirectory, settings: TranslationSettings) -> None:
    """Write the report, and show the winners and where it is."""
    from nmt_pbt.cli.progress import CONSOLE, results_table
    from nmt_pbt.report.answer import unspent_budgets
    from nmt_pbt.report.run import load_run

    where = drawn_report(run, settings)
    found = load_run(run.path)
    CONSOLE.print(results_table(found.tested, settings.search.objective))
    for line in unspent_budgets(found):
        CONSOLE.print(line, highlight=False, markup=False, soft_wrap=True)
    typer.echo(where)


def drawn_report(run: RunDirectory, settings: RunSettings) -> str:
    """Draw a run's report if its settings ask for it.

    Args:
        run: The run.
        settings: Its settings.

    Returns:
        Where the report is, or the command that draws it.
    """
    if not settings.report:
        return run.report_command
    from nmt_pbt.report.page import write_report

    return str(write_report(run.path, tell=warn))


def dev_samples(task: TranslationTask) -> list[tuple[str, str]]:
    """Return the dev sentences, with their references, whose translations a search shows."""
    from nmt_pbt.tasks.translation.corpus.parallel import sample_lines
    from nmt_pbt.tasks.translation.settings.sections import MOST_SAMPLES

    dev = task.prepared.corpus.dev
    return [(dev.source[line], dev.target[line]) for line in sample_lines(task.settings.seed, len(dev), MOST_SAMPLES)]


@contextmanager
def going_on(folder: Path, command: str) -> Iterator[None]:
    """Say how to go on with a run that is interrupted, or has no room on the disk."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. Continue with: {command}", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise UsageError(f"{where}: {why}; everything before is whole: mend that and continue with {command}") from None
