"""`nmt-pbt distill`: a corpus whose targets trained models wrote."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_pbt.base.text import counted
from nmt_pbt.cli.options import Beam, Ensemble, Method, MovedCorpus, NoRepeatNgram, Runs, Seed
from nmt_pbt.cli.startup import set_environment

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.distillation import Distillation, PairCounts

_WORKER_BYTES = 600 * 1024**2  # of a process that translates, beside its models: TensorFlow, and a batch


def distill_command(
    runs: Runs,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The new corpus's folder; it must not exist.")],
    method: Method = None,
    seed: Seed = None,
    ensemble: Ensemble = 1,
    beam: Beam = None,
    no_repeat_ngram: NoRepeatNgram = None,
    with_original: Annotated[
        bool,
        typer.Option(
            "--with-original/--without-original", help="Whether the new corpus also holds the run's own training pairs."
        ),
    ] = True,
    reverse: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="A run that translates in the other direction; its translations of the targets are added. Several: an "
            "ensemble.",
        ),
    ] = None,
    corpus: MovedCorpus = None,
    workers: Annotated[
        int, typer.Option(min=0, max=10_000, help="How many worker processes; 0: as many as cores and memory allow.")
    ] = 0,
) -> None:
    """Translate a run's training text, and write it as a corpus to train on. Repeat an interrupted command to go on."""
    from nmt_pbt.base.files import check_new_folder
    from nmt_pbt.cli.models import models_of
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions

    chosen = models_of(runs, method, seed, ensemble)
    backward = models_of(reverse) if reverse else ()
    from nmt_pbt.tasks.translation.decoding.text import own_corpus
    from nmt_pbt.tasks.translation.distillation import RECORD, Distillation
    from nmt_pbt.tasks.translation.teachers import Teacher, check_reverse

    if not (out / RECORD).is_file():
        check_new_folder(out)
    if backward:
        check_reverse(chosen, backward)
    teachers = [
        Teacher(name, models, DecodingOptions.of(models[0].settings.evaluation, beam, no_repeat_ngram))
        for name, models in (("forward", chosen), ("reverse", backward))
        if models
    ]
    text = own_corpus(chosen[0], corpus)
    work = Distillation(text, teachers[0], teachers[1] if backward else None, with_original, out)
    if work.is_there():
        work.clear()
        typer.echo(f"{out}: nothing was left to do", err=True)
    else:
        from nmt_pbt.cli.running import going_on

        with going_on(work.work, shlex.join(["nmt-pbt", *sys.argv[1:]])), work.working():
            _translate(work, workers)
            counts = work.finish()
            work.clear()
        _tell(work, counts)
    typer.echo(str(out))


def _translate(work: Distillation, workers: int) -> None:
    """Translate what is left, on all cores."""
    from nmt_pbt.cli.progress import TranslationProgress
    from nmt_pbt.run.engines import workers_that_fit
    from nmt_pbt.run.process_pool import ProcessPool
    from nmt_pbt.tasks.translation.teachers import Part, PartTranslator

    set_environment()
    with TranslationProgress(work.sentences, work.done()) as progress:
        for teacher in work.teachers:
            parts = work.parts_left(teacher)
            if not parts:
                continue
            count = workers or workers_that_fit(_WORKER_BYTES + teacher.bytes, 1, parts).count
            pool: ProcessPool[Part, list[str]] = ProcessPool(PartTranslator(teacher), min(count, parts), True)
            with pool:
                for part, translations in pool.do_all(work.parts(teacher)):
                    work.keep(part, translations)
                    progress.add(len(translations))


def _tell(work: Distillation, counts: PairCounts) -> None:
    """Say what the corpus holds, and what to know of it."""
    kinds = (("own", counts.original), ("translated", counts.forward), ("translated back", counts.reverse))
    held = ", ".join(f"{count:,} {kind}" for kind, count in kinds if count)
    typer.echo(f"{work.out}: {counted(counts.total, 'train pair')}: {held}", err=True)
    if counts.too_long:
        typer.echo(f"not translated: {counted(counts.too_long, 'pair')} that the run left out as too long", err=True)
    if counts.empty:
        typer.echo(f"left out: {counted(counts.empty, 'empty translation')}", err=True)
    if len(tests := list(work.corpus.tests)) > 1:
        typer.echo(f"the run's methods are compared by {tests[0]}: add --set corpus.test_set={tests[0]}", err=True)
