"""`nmt-pbt evaluate`: scores of a run's model on a text, and whether it differs from another by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.options import Beam, Ensemble, Method, MovedCorpus, NoRepeatNgram, Runs, Seed, SplitSentences
from nmt_pbt.cli.startup import start_tensorflow
from nmt_pbt.cli.streams import check_open, warn

if TYPE_CHECKING:
    from nmt_pbt.tasks.kept_model import KeptModel
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
    from nmt_pbt.tasks.translation.decoding.text import EvaluatedText
    from nmt_pbt.tasks.translation.scoring.evaluation import Difference, MetricScore
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings


ALL = "all"
"""Names all test sets of a corpus. No test set can have this name: theirs begin with `test`, `newstest` or `tst`."""


class Split(str, Enum):
    """Splits that can be evaluated on."""

    dev = "dev"
    test = "test"


def evaluate_command(
    runs: Runs,
    src: Annotated[
        Path | None, typer.Option(help="Text to translate; without it, a split of the run's corpus.")
    ] = None,
    ref: Annotated[Path | None, typer.Option(help="Its reference translation.")] = None,
    split: Annotated[Split | None, typer.Option(help="Which split of the run's corpus; without it, test.")] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            metavar="NAME",
            help=f"A test set of the corpus, or {ALL}; repeatable. Without it, the one by which methods are compared.",
        ),
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
    """Translate a text and score it: BLEU, chrF and TER, each with its signature, and the BLEU of the literature."""
    from nmt_pbt.cli.models import models_of
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
    from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import check_known

    check_open()
    if tokenize is not None:
        check_known(tokenize, "--tokenize")
    chosen = models_of(runs, method, seed, ensemble)
    from nmt_pbt.tasks.translation.decoding.text import pair_up, read_translations, same_direction
    from nmt_pbt.tasks.translation.scoring.metrics import check_tokenizer

    rivals: tuple[KeptModel[TranslationSettings], ...] = ()
    given: list[str] | None = None
    if against is not None and against.is_dir():
        rivals = models_of([against])
        same_direction(chosen, rivals)
    elif against is not None:
        given = read_translations(against)
    texts = _texts(chosen[0], src, ref, split, test or [], corpus)
    if against is not None and given is not None:
        if len(texts) > 1:
            raise UsageError(f"--against {against}: holds translations of one text; name one with --test")
        pair_up(against, given, texts[0])
    tokenize = tokenize or chosen[0].settings.bleu_tokenizer
    check_tokenizer(tokenize, "--tokenize")
    start_tensorflow()
    from nmt_pbt.tasks.translation.scoring.evaluation import compare_scores, score_text

    language = chosen[0].settings.corpus.target_language
    options = DecodingOptions.of(chosen[0].settings.evaluation, beam, no_repeat_ngram)
    scores = []
    for text, translations in zip(texts, _translate(chosen, options, texts, split_sentences), strict=True):
        scores.append(score_text(translations, text.pairs.target, language, tokenize))
        size, how = counted(len(text.pairs), "sentence"), ", sentence by sentence" if split_sentences else ""
        typer.echo(f"{_names(chosen)}: {text.name}, {size}, {options}{how}")
        if text.dropped:
            typer.echo(f"left out: {counted(text.dropped, 'pair')} with a blank line")
        for line in (*text.notes, *_score_lines(scores[-1])):
            typer.echo(line)
    if against is None:
        return
    if given is not None:
        compared = [given]
    else:
        options = DecodingOptions.of(rivals[0].settings.evaluation, beam, no_repeat_ngram)
        compared = _translate(rivals, options, texts, split_sentences)
    which = f"{rivals[0].name} of {against}" if rivals else str(against)
    for text, ours, translations in zip(texts, scores, compared, strict=True):
        theirs = score_text(translations, text.pairs.target, language, tokenize)
        typer.echo(f"against {which}{f' on {text.name}' if len(texts) > 1 else ''}:")
        for line in _difference_lines(ours, theirs, compare_scores(ours, theirs)):
            typer.echo(line)


def _names(chosen: Sequence[KeptModel[TranslationSettings]]) -> str:
    """Return what the models are called, with their run where there are several."""
    several = len({model.run for model in chosen}) > 1
    return " + ".join(f"{model.name}{f' of {model.run}' if several else ''} (trial {model.trial})" for model in chosen)


def _texts(
    chosen: KeptModel[TranslationSettings],
    src: Path | None,
    ref: Path | None,
    split: Split | None,
    tests: Sequence[str],
    corpus: str | None,
) -> list[EvaluatedText]:
    """Return the texts to evaluate on."""
    from nmt_pbt.tasks.translation.decoding.text import given_text, own_corpus, split_of

    if (src is None) != (ref is None):
        raise UsageError("--src and --ref go together: give both, or none for a split of the run's own corpus")
    if tests and split is Split.dev:
        raise UsageError(f"--test {tests[0]}: names a test set, --split dev is none; leave out either")
    if src is not None and ref is not None:
        if split is not None or tests or corpus is not None:
            raise UsageError(
                "--split, --test and --corpus are about text of the run's own corpus, --src and --ref name other text; "
                "leave out either"
            )
        return [given_text(src, ref)]
    own = own_corpus(chosen, corpus)
    if split is Split.dev:
        return [split_of(own, "dev")]
    names = list(own.tests) if ALL in tests else list(dict.fromkeys(tests)) or [own.test_set]
    return [split_of(own, "test", name) for name in names]


def _translate(
    chosen: Sequence[KeptModel[TranslationSettings]],
    options: DecodingOptions,
    texts: Sequence[EvaluatedText],
    split_sentences: bool,
) -> list[list[str]]:
    """Return translations of each text, and tell of lines that are too long; the model and its memory are let go."""
    from nmt_pbt.tasks.translation.decoding.translator import Translator

    translator = Translator(chosen, options, split_sentences)
    translations = [translator.translate(text.pairs.source) for text in texts]
    if translator.warning is not None:
        warn(f"{', '.join(text.name for text in texts)}: {translator.warning}")
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
