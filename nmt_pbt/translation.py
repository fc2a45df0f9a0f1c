"""A trained run, text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_pbt.corpus.catalog import load_corpus
from nmt_pbt.corpus.parallel import ParallelText, read_pair
from nmt_pbt.errors import UsageError, suggest
from nmt_pbt.experiment.run_directory import RunDirectory
from nmt_pbt.journal import Assigned, SearchStarted, Tested, read_journal
from nmt_pbt.settings import Settings
from nmt_pbt.values import Value

if TYPE_CHECKING:
    from nmt_pbt.training.score import Scores


@dataclass(frozen=True)
class ChosenModel:
    """A winner's model on the disk.

    Attributes:
        name: `METHOD-seedSEED`.
        trial: The trial that won.
        values: Its hyperparameters.
        run: The run it belongs to.
        settings: The run's settings.
    """

    name: str
    trial: str
    values: dict[str, Value]
    run: RunDirectory
    settings: Settings


def choose_model(path: Path, method: str | None = None, seed: int | None = None) -> ChosenModel:
    """Choose a winner of a run: the best on dev among those asked for. The test split has no say in it.

    Args:
        path: The run's folder.
        method: Whose winner; None takes all methods'.
        seed: The winner of which seed; None takes all.

    Returns:
        What is needed to load it.

    Raises:
        UsageError: The folder holds no run, no such winner, or its model was not kept.
    """
    run = RunDirectory(path)
    settings = run.read_settings()
    records = read_journal(run.journal_file)
    tested = [record for record in records if isinstance(record, Tested)]
    if not tested:
        raise UsageError(f"{path}: no search is finished yet; continue it with nmt-pbt compare --resume {path}")
    for name, wanted, known in (
        ("method", method, {record.method for record in tested}),
        ("seed", None if seed is None else str(seed), {str(record.seed) for record in tested}),
    ):
        if wanted is not None and wanted not in known:
            raise UsageError(f"{path}: holds no winner of {name} {wanted}{suggest(wanted, known)}")
    tested = [record for record in tested if method in (None, record.method) and seed in (None, record.seed)]
    if not tested:
        raise UsageError(f"{path}: method {method} was not searched with seed {seed}; leave one of them out")
    start = next(record for record in records if isinstance(record, SearchStarted))
    sign = 1 if start.direction == "max" else -1
    best = max(tested, key=lambda record: sign * record.dev[start.objective])
    chosen = ChosenModel(
        name=f"{best.method}-seed{best.seed}",
        trial=best.trial,
        values=next(
            record.values
            for record in records
            if isinstance(record, Assigned)
            and (record.method, record.seed, record.trial) == (best.method, best.seed, best.trial)
        ),
        run=run,
        settings=settings,
    )
    if not (run.models / f"{chosen.name}.safetensors").exists() or not run.subwords_file.exists():
        raise UsageError(
            f"{path}: the model of {chosen.name} is not there (a run shared without its models?); "
            "run it again with --config settings.yaml and another --out"
        )
    return chosen


def text_to_evaluate(chosen: ChosenModel, source: Path | None, reference: Path | None) -> ParallelText:
    """Return the text to score a model on.

    Args:
        chosen: The model.
        source: Text to translate, a sentence a line; None, with `reference` None, takes the run's test split.
        reference: Its reference translation.

    Raises:
        UsageError: Only one of the files is given, or they cannot be read as parallel text.
    """
    if (source is None) != (reference is None):
        raise UsageError("--src and --ref go together: give both, or none for the run's own test split")
    if source is not None and reference is not None:
        text, _ = read_pair(source, reference)
        return text
    return load_corpus(chosen.settings.corpus, chosen.settings.seed).test


class Translator:
    """A live model of a finished run.

    Args:
        chosen: Which model; from `choose_model`.

    Raises:
        StateError: The model's file is damaged.
    """

    def __init__(self, chosen: ChosenModel) -> None:
        from nmt_pbt.corpus.subwords import Subwords
        from nmt_pbt.training.state import StateStore
        from nmt_pbt.training.trainee import TranslationModel

        self._evaluation = chosen.settings.evaluation
        subwords = Subwords.load(chosen.run.subwords_file.read_bytes())
        self._model = TranslationModel(chosen.settings, subwords, chosen.values)
        self._model.load(StateStore(chosen.run.models).load(chosen.name))

    def translate(self, lines: Sequence[str], beam: int | None = None) -> list[str]:
        """Translate sentences.

        Args:
            lines: Sentences in the source language; a blank one stays blank.
            beam: Beam width; None takes the run's.

        Returns:
            As many translations, in the same order.
        """
        filled = [index for index, line in enumerate(lines) if line.strip()]
        translations = [""] * len(lines)
        if filled:
            found = self._model.translate(
                [lines[index] for index in filled],
                beam=beam or self._evaluation.beam,
                length_penalty=self._evaluation.length_penalty,
            )
            for index, translation in zip(filled, found, strict=True):
                translations[index] = translation
        return translations

    def evaluate(self, text: ParallelText, beam: int | None = None) -> Scores:
        """Translate a text and score it against its reference; see `translate` for the arguments."""
        from nmt_pbt.training.score import score_translations

        return score_translations(self.translate(text.source, beam), list(text.target))
