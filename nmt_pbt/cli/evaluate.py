"""`nmt-pbt evaluate`: scores of a run's model on a text, and whether it differs from another by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.options import Beam, Ensemble, Method, MovedCorpus, NoRepeatNgram, Run, Seed, SplitSentences
from nmt_pbt.cli.startup import start_tensorflow
from nmt_pbt.cli.streams import check_open, warn

if TYPE_CHECKING:
    from nmt_pbt.tasks.kept_model import KeptModel
    from nmt_pbt.tasks.translation.decoding_options import DecodingOptions
    from nmt_pbt.tasks.translation.evaluation import Difference, MetricScore
    from nmt_pbt.tasks.translation.text import EvaluatedText
    from nmt_pbt.tasks.translation.tree import TranslationSettings


class Split(str, Enum):
    """Splits that can be evaluated on."""

    dev = "dev"
    test = "test"


def evaluate_command(
    run: Run,
    src: Annotated[
        Path | None, typer.Option(help="Text to translate; without it, a split of the run's corpus.")
    ] = None,
    ref: Annotated[Path | None, typer.Option(help="Its reference translation.")] = None,
    split: Annotated[Split | None, typer.Option(help="Which split of the run's corpus; without it, test.")] = None,
    test: Annotated[
        str | None,
        typer.Option("--test", help="Which of the corpus's test sets; without it, the one methods are compared by."),
    ] = None,
    corpus: MovedCorpus = None,
    against: Annotated[
        Path | None, typer.Option(help="Compare with the best of this run, or with this file of translations.")
    ] = None,
    method: Method = None,
    seed: Seed = None,
    ensemble: Ensemble = 1,
    beam: Beam = None,
    no_repeat_ngram: NoRepeatNgram = None,
    split_sentences: SplitSentences = False,
    tokenize: Annotated[
        str | None, typer.Option(help="sacrebleu's tokenizer of BLEU, for instance zh; without it, the run's.")
    ] = None,
) -> None:
    """Translate a text and score it: BLEU, chrF and TER, each with its signature, and BLEU as the literature has it."""
    from nmt_pbt.run.choice import choose_models
    from nmt_pbt.tasks.translation.bleu_tokenizer import check_known
    from nmt_pbt.tasks.translation.decoding_options import DecodingOptions
    from nmt_pbt.tasks.translation.tree import TranslationSettings

    check_open()
    if tokenize is not None:
        check_known(tokenize, "--tokenize")
    chosen = choose_models(run, TranslationSettings, method, seed, ensemble)
    from nmt_pbt.tasks.translation.metrics import check_tokenizer
    from nmt_pbt.tasks.translation.text import pair_up, read_translations, same_direction

    rivals: tuple[KeptModel[TranslationSettings], ...] = ()
    given: list[str] | None = None
    if against is not None and against.is_dir():
        rivals = choose_models(against, TranslationSettings)
        same_direction(chosen, rivals)
    elif against is not None:
        given = read_translations(against)
    text = _text(chosen[0], src, ref, split, test, corpus)
    if against is not None and given is not None:
        pair_up(against, given, text)
    tokenize = tokenize or chosen[0].settings.bleu_tokenizer
    check_tokenizer(tokenize, "--tokenize")
    start_tensorflow()
    from nmt_pbt.tasks.translation.evaluation import compare_scores, score_text

    language = chosen[0].settings.corpus.target_language
    references = text.pairs.target
    options = DecodingOptions.of(chosen[0].settings.evaluation, beam, no_repeat_ngram)
    scores = score_text(_translate(chosen, options, text, split_sentences), references, language, tokenize)
    names = " + ".join(f"{model.name} (trial {model.trial})" for model in chosen)
    size, how = counted(len(text.pairs), "sentence"), ", sentence by sentence" if split_sentences else ""
    typer.echo(f"{names}: {text.name}, {size}, {options}{how}")
    if text.dropped:
        typer.echo(f"left out: {counted(text.dropped, 'pair')} with a blank line")
    for note in text.notes:
        typer.echo(note)
    for line in _score_lines(scores):
        typer.echo(line)
    if against is None:
        return
    translations = given
    if translations is None:
        options = DecodingOptions.of(rivals[0].settings.evaluation, beam, no_repeat_ngram)
        translations = _translate(rivals, options, text, split_sentences)
    theirs = score_text(translations, references, language, tokenize)
    which = f"{rivals[0].name} of {against}" if rivals else str(against)
    typer.echo(f"against {which}:")
    for line in _difference_lines(scores, theirs, compare_scores(scores, theirs)):
        typer.echo(line)


def _text(
    chosen: KeptModel[TranslationSettings],
    src: Path | None,
    ref: Path | None,
    split: Split | None,
    test: str | None,
    corpus: str | None,
) -> EvaluatedText:
    """Return the text to evaluate on."""
    from nmt_pbt.tasks.translation.text import given_text, own_text

    if (src is None) != (ref is None):
        raise UsageError("--src and --ref go together: give both, or none for a split of the run's own corpus")
    if test is not None and split is Split.dev:
        raise UsageError(f"--test {test}: names a test set, --split dev is none; leave out either")
    if src is None or ref is None:
        return own_text(chosen, "dev" if split is Split.dev else "test", corpus, test)
    if split is not None or test is not None or corpus is not None:
        raise UsageError(
            "--split, --test and --corpus are about text of the run's own corpus, --src and --ref name other text; "
            "leave out either"
        )
    return given_text(src, ref)


def _translate(
    chosen: Sequence[KeptModel[TranslationSettings]],
    options: DecodingOptions,
    text: EvaluatedText,
    split_sentences: bool,
) -> list[str]:
    """Return translations, and tell of lines that are too long; the model and its memory are let go."""
    from nmt_pbt.tasks.translation.translator import Translator

    translator = Translator(chosen, options, split_sentences)
    translations = translator.translate(text.pairs.source)
    if translator.warning is not None:
        warn(f"{text.name}: {translator.warning}")
    return translations


def _score_lines(scores: Sequence[MetricScore]) -> Iterator[str]:
    width = max(len(score.label) for score in scores)
    for score in scores:
        yield f"{score.label:{width}}  {score.value:6.2f}  {score.signature}"


def _difference_lines(
    ours: Sequence[MetricScore], theirs: Sequence[MetricScore], differences: Sequence[Difference]
) -> Iterator[str]:
    width = max(len(score.label) for score in ours)
    for mine, other, difference in zip(ours, theirs, differences, strict=True):
        drawn, swapped = difference.bootstrap, difference.randomisation
        yield (
            f"{mine.label:{width}}  {mine.value:6.2f} - {other.value:6.2f} = {drawn.difference:+.2f}  "
            f"95% interval {drawn.low:+.2f} to {drawn.high:+.2f}, p = {drawn.p_value:.4f} (paired bootstrap, "
            f"{drawn.samples:,} samples), p = {swapped.p_value:.4f} (approximate randomisation, {swapped.samples:,})"
        )
