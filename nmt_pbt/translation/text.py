"""The text that a model is evaluated on: given files, or a split of the run's own corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nmt_pbt.corpus.catalog import load_corpus
from nmt_pbt.corpus.parallel import ParallelText, read_pair
from nmt_pbt.corpus.prepared import digest_of
from nmt_pbt.corpus.subwords import Subwords
from nmt_pbt.counting import counted
from nmt_pbt.errors import UsageError
from nmt_pbt.translation.choice import ChosenModel
from nmt_pbt.translation.lines import read_lines

Split = Literal["dev", "test"]


@dataclass(frozen=True)
class EvaluatedText:
    """Sentence pairs to evaluate on.

    Attributes:
        name: What they are, for people.
        pairs: The sentence pairs.
        dropped: Pairs left out because a side is blank.
    """

    name: str
    pairs: ParallelText
    dropped: int


def given_text(source: Path, reference: Path) -> EvaluatedText:
    """Return text from two files; see `read_pair`."""
    pairs, dropped = read_pair(source, reference)
    return EvaluatedText(str(source), pairs, dropped)


def own_text(chosen: ChosenModel, split: Split, lies: str | None = None) -> EvaluatedText:
    """Return a split of the corpus that a model was trained on.

    Args:
        chosen: The model.
        split: Which.
        lies: Name or folder of the corpus now; None: those of when the run was begun.

    Raises:
        UsageError: The corpus is not there, or not what it was when the run was begun.
    """
    settings = chosen.settings
    moved = settings.corpus if lies is None else settings.corpus.model_copy(update={"name": lies})
    corpus = load_corpus(moved, settings.seed)
    subwords = Subwords.load(chosen.run.subwords_file.read_bytes())
    started = chosen.run.started()
    if started is not None and started.corpus != digest_of(corpus, subwords, settings.corpus.max_length):
        raise UsageError(
            f"{chosen.run.path}: corpus '{moved.name}' is not the one that the run was begun with; restore it, "
            "say with --corpus where that lies, or name the text with --src and --ref"
        )
    pairs = corpus.dev if split == "dev" else corpus.test
    dropped = corpus.dropped.get(split, 0)
    return EvaluatedText(f"{split} of {corpus.name}", pairs, dropped)


def read_translations(path: Path, text: EvaluatedText) -> list[str]:
    """Read somebody's translations of a text.

    Args:
        path: UTF-8, a sentence a line.
        text: What they translate.

    Returns:
        As many as the text has pairs.

    Raises:
        UsageError: The file cannot be read, or has another number of lines.
    """
    try:
        with open(path, "rb") as file:
            lines = list(read_lines(file, str(path)))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a run or a file of translations") from None
    if len(lines) != len(text.pairs):
        left_out = f" (left out: {counted(text.dropped, 'pair')} with a blank line)" if text.dropped else ""
        raise UsageError(
            f"{path}: has {counted(len(lines), 'line')}, {text.name} has {counted(len(text.pairs), 'pair')}{left_out}; "
            "give one translation a pair"
        )
    return lines


def same_direction(one: Sequence[ChosenModel], other: Sequence[ChosenModel]) -> None:
    """Refuse to compare models that translate from or into different languages.

    Raises:
        UsageError: They do.
    """
    first, second = (
        (its[0].settings.corpus.source_language, its[0].settings.corpus.target_language) for its in (one, other)
    )
    if first != second:
        raise UsageError(
            f"{other[0].run.path}: translates {second[0]} to {second[1]}, {one[0].run.path} {first[0]} to {first[1]}; "
            "compare runs of one direction"
        )
