"""`nmt-pbt translate`: a sentence a line from standard input to standard output, or at a prompt."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.cli.options import Beam, Ensemble, Method, NoRepeatNgram, Runs, Seed, SplitSentences
from nmt_pbt.cli.startup import start_tensorflow
from nmt_pbt.cli.streams import check_open, warn

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.decoding.decoder import Translation
    from nmt_pbt.tasks.translation.decoding.translator import Translator

STANDARD_INPUT = "standard input"
MOST_DRAWN = 16
"""Sentences that one figure of attention holds at most."""
_LINES_TOGETHER = 2048  # translated at once where they are there, so that sentences of like length meet in a batch


def translate_command(
    runs: Runs,
    method: Method = None,
    seed: Seed = None,
    ensemble: Ensemble = 1,
    beam: Beam = None,
    no_repeat_ngram: NoRepeatNgram = None,
    nbest: Annotated[
        int | None,
        typer.Option(
            min=1, help="Write the N best translations of each line: index ||| text ||| log-probability ||| score."
        ),
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(help="Score the translations in this file instead of making some; same format as --nbest."),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(help=f"Draw the attention weights of {MOST_DRAWN} lines at most into this .png or .svg file."),
    ] = None,
    split_sentences: SplitSentences = False,
) -> None:
    """Translate standard input to standard output, one sentence per line; at a terminal, ask for sentences."""
    from nmt_pbt.cli.models import models_of
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions

    check_open(input_too=True)
    chosen = models_of(runs, method, seed, ensemble)
    from nmt_pbt.tasks.translation.decoding.text import in_chunks, n_best_lines, read_arriving

    options = DecodingOptions.of(chosen[0].settings.evaluation, beam, no_repeat_ngram)
    _check_options(options.beam, nbest, score, attention, split_sentences)
    chunks: Iterator[list[str]] = iter(())
    if not sys.stdin.isatty():
        chunks = read_arriving(cast(io.BufferedReader, sys.stdin.buffer), STANDARD_INPUT, _LINES_TOGETHER)
        if score is not None or attention is not None:
            lines: Iterator[str] = chain.from_iterable(chunks)
            if attention is not None:
                lines = _few(lines, attention)
            if score is not None:
                lines, given = _pairs(lines, score)
            chunks = in_chunks(lines, _LINES_TOGETHER)
    begin = next(chunks, [])  # what is not text is refused at once, and nothing is answered at once
    if not begin and not sys.stdin.isatty():
        return
    start_tensorflow()
    from nmt_pbt.tasks.translation.decoding.translator import Translator

    translator = Translator(chosen, options, split_sentences)

    def answer(chunk: Sequence[str], first: int) -> Iterator[str]:
        """Return what is written for some lines, and draw what is to be drawn."""
        from nmt_pbt.tasks.translation.decoding.decoder import first_texts

        if split_sentences:
            return iter(translator.translate(chunk))
        if score is not None:
            found = [[its] for its in translator.score(chunk, given[first : first + len(chunk)])]
        else:
            found = translator.n_best(chunk, nbest or 1)
        if attention is not None:
            _draw(attention, translator, chunk, found)
        if nbest is not None or score is not None:
            return n_best_lines(found, first)
        return iter(first_texts(found))

    if sys.stdin.isatty():
        _converse(answer, lambda: translator.warning)
        return
    first = ends = 0
    for chunk in chain([begin], chunks):
        for line in answer(chunk, first):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        first += len(chunk)
        ends += sum("\r" in line for line in chunk)
    if ends:
        warn(
            f"{STANDARD_INPUT}: {counted(ends, 'line')} with carriage returns inside, which end no line here; if they "
            "are to, put tr '\\r' '\\n' before"
        )
    if translator.warning is not None:
        warn(f"{STANDARD_INPUT}: {translator.warning}")


def _check_options(
    beam: int, nbest: int | None, score: Path | None, attention: Path | None, split_sentences: bool
) -> None:
    """Refuse what cannot be done, before anything heavy is imported."""
    if split_sentences and any(option is not None for option in (nbest, score, attention)):
        raise UsageError("--split-sentences: gives one translation a line; leave out --nbest, --score and --attention")
    if nbest is not None and score is not None:
        raise UsageError("--score: scores one given translation a line; leave out --nbest")
    if nbest is not None and nbest > beam:
        raise UsageError(f"--nbest {nbest}: a beam of {beam} holds no more than {beam}; add --beam {nbest}")
    if sys.stdin.isatty() and (score is not None or attention is not None):
        raise UsageError("--score and --attention take text from standard input, not from a terminal; add < FILE")
    if attention is None:
        return
    if attention.suffix not in (".png", ".svg"):
        raise UsageError(f"--attention {attention}: expected a name that ends in .png or .svg")
    if attention.exists():
        raise UsageError(f"--attention {attention}: already exists; give another name")
    if not attention.parent.is_dir():
        raise UsageError(f"--attention {attention}: no such folder {attention.parent}; make it first")


def _few(lines: Iterator[str], attention: Path) -> Iterator[str]:
    """Refuse more lines than one figure holds, and none to draw."""
    held = list(islice(lines, MOST_DRAWN + 1))
    if len(held) > MOST_DRAWN:
        raise UsageError(
            f"--attention {attention}: {STANDARD_INPUT} has more than {MOST_DRAWN} lines, as many as one figure holds; "
            f"give fewer, for instance through head -{MOST_DRAWN}"
        )
    if not any(line.strip() for line in held):
        raise UsageError(f"--attention {attention}: {STANDARD_INPUT} has no text to draw; give a sentence")
    return iter(held)


def _pairs(lines: Iterable[str], score: Path) -> tuple[Iterator[str], list[str]]:
    """Return the lines of standard input, and the translations to score, as many."""
    from nmt_pbt.tasks.translation.decoding.text import read_lines

    try:
        with open(score, "rb") as file:
            given = list(read_lines(file, str(score)))
    except OSError as error:
        raise UsageError(f"--score {score}: cannot be read ({error.strerror}); give a text file") from None
    held = list(lines)
    if len(held) != len(given):
        raise UsageError(
            f"--score {score}: has {counted(len(given), 'line')}, {STANDARD_INPUT} has {len(held):,}; "
            "line i of one must translate line i of the other"
        )
    return iter(held), given


def _draw(path: Path, translator: Translator, lines: Sequence[str], found: Sequence[Sequence[Translation]]) -> None:
    """Draw the best translation of each line that has one."""
    from nmt_pbt.base.files import replace_file
    from nmt_pbt.report.figures.attention import render_attention
    from nmt_pbt.report.figures.fonts import missing_text
    from nmt_pbt.tasks.translation.decoding.decoder import NOTHING

    looked = translator.attention(lines, [translations[0] if translations else NOTHING for translations in found])
    if not looked:
        raise UsageError(f"--attention {path}: no line has a translation to draw; give another")
    figure = render_attention(looked)
    if figure.missing:
        warn(missing_text(figure.missing))
    replace_file(path, figure.file_svg.encode("utf-8") if path.suffix == ".svg" else figure.png)


def _converse(answer: Callable[[Sequence[str], int], Iterator[str]], warning: Callable[[], str | None]) -> None:
    """Ask for a sentence and write its translation, until the end of input (Ctrl-D); a warning is told once."""
    import readline  # noqa: F401 - arrow keys and earlier lines at the prompt

    typer.echo("A sentence a line; Ctrl-D ends.", err=True)
    # The prompt is no translation: it stays out of what is written to a file.
    prompt = "> " if sys.stdout.isatty() else ""
    first, warned = 0, False
    while True:
        try:
            line = input(prompt)
            line.encode("utf-8")
        except EOFError:
            typer.echo("", err=True)
            return
        except UnicodeError:
            warn("this line is not UTF-8; write it again")
            continue
        for translation in answer([line], first):
            sys.stdout.write(translation + "\n")
        sys.stdout.flush()
        first += 1
        if not warned and (told := warning()) is not None:
            warn(told)
            warned = True
