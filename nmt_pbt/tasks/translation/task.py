"""Translation as a task: what a run asks of it beside training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nmt_pbt.base.files import replace_file
from nmt_pbt.base.types import Value
from nmt_pbt.tasks.protocol import MemberState, TestResult, Trainable
from nmt_pbt.tasks.state import START, StateStore
from nmt_pbt.tasks.translation.corpus.parallel import ParallelText, sample_lines
from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS
from nmt_pbt.tasks.translation.decoding.attention_record import attention_path, write_attention
from nmt_pbt.tasks.translation.decoding.decoder import Translation, first_texts
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.output_limit import OutputLimit
from nmt_pbt.tasks.translation.model.runtime import fitting_into_memory
from nmt_pbt.tasks.translation.scoring.metrics import score_translations
from nmt_pbt.tasks.translation.scoring.significance import counts_path, sentence_counts, write_counts
from nmt_pbt.tasks.translation.settings.sections import MOST_SAMPLES, STRUCTURAL
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.tasks.translation.tensorflow_start import TensorflowStarts, make_after
from nmt_pbt.tasks.translation.training.trainable import TranslationTrainable

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus

TRANSLATIONS = "translations"
"""Folder of a run that holds what its winners made of the test split."""
SAMPLE_SENTENCES = 8
"""Test sentences whose source and reference a run keeps, to be shown beside the translations."""


@dataclass(frozen=True)
class TranslationTask:
    """Trains translation models on one corpus; see `tasks.protocol.Task`.

    Attributes:
        settings: The run's settings.
        prepared: Its corpus, cut into subwords.
        start: Weights that its models start from; None draws fresh ones.
    """

    settings: TranslationSettings
    prepared: PreparedCorpus
    start: MemberState | None = None

    def __reduce__(self) -> tuple[Callable[..., TranslationTask], tuple[object, ...]]:
        # A worker's process begins with the task.
        return make_after, (TensorflowStarts(), TranslationTask, self.settings, self.prepared, self.start)

    @property
    def name(self) -> str:
        """A word for it, which a run records."""
        return "translation"

    @property
    def structural(self) -> frozenset[str]:
        """Names of the hyperparameters that change weight shapes."""
        return frozenset(STRUCTURAL)

    @property
    def pairs_per_epoch(self) -> int:
        """Sentence pairs in one epoch."""
        return len(self.prepared.train_source)

    @property
    def data_digest(self) -> str:
        """SHA-256 of the prepared corpus."""
        return self.prepared.digest()

    def with_threads(self, threads: int) -> TranslationTask:
        """Return the task for a worker that uses so many threads."""
        engine = self.settings.engine.model_copy(update={"threads": threads})
        return replace(self, settings=self.settings.model_copy(update={"engine": engine}))

    def build(self, structural: Mapping[str, Value]) -> TranslationTrainable:
        """Return a live trainable whose shapes the structural values decide.

        Raises:
            OutOfMemoryError: It does not fit into memory.
        """
        with fitting_into_memory("the model", "make its units or its layers fewer"):
            return TranslationTrainable(self.settings, self.prepared, structural, self.start)

    def begin(self, run: Path) -> None:
        """Keep the subword vocabulary, the output limit, the weights to start from, and sentences for the report."""
        replace_file(run / SUBWORDS, self.prepared.subwords.model)
        if self.start is not None:
            StateStore(run).save(START, self.start)
        OutputLimit.learned(self.prepared.train_source, self.prepared.train_target).write(run)
        folder = run / TRANSLATIONS
        folder.mkdir(exist_ok=True)
        test, dev = self.prepared.corpus.test, self.prepared.corpus.dev
        _write_sample(folder / "sample.json", test, self._shown())
        # As many as can ever be shown, in the order of an evaluation's samples: the setting may change on resume.
        _write_sample(folder / "dev_sample.json", dev, sample_lines(self.settings.seed, len(dev), MOST_SAMPLES))

    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        """Translate each test set once, with beam search, and score it.

        Args:
            trainable: The winner, with its values in force.
            run: The run's folder.
            name: What the files of its translations are called, without an ending.
        """
        translator = cast(TranslationTrainable, trainable)  # this task builds no other
        corpus = self.prepared.corpus
        test, others = corpus.test, corpus.other_tests
        found = self._translate(translator, test)
        translations = first_texts(found)
        tokenize = self.settings.bleu_tokenizer
        file = run / TRANSLATIONS / f"{name}.txt"
        file.parent.mkdir(exist_ok=True)
        _write_translations(file, translations)
        # What significance tests need of the references, so that the report can make them without the corpus.
        write_counts(counts_path(file), sentence_counts(translations, list(test.target), tokenize))
        lines = [line for line in self._shown() if found[line]]
        looked = translator.attention([test.source[line] for line in lines], [found[line][0] for line in lines])
        write_attention(attention_path(file), [replace(sentence, line=lines[sentence.line]) for sentence in looked])
        result = self._test_result(translations, test, file.relative_to(run).as_posix())
        if not others:
            return result
        return replace(
            result,
            test_set=corpus.test_set,
            others=tuple(self._test_beside(translator, run, name, other) for other in others),
        )

    def _test_beside(self, translator: TranslationTrainable, run: Path, name: str, test_set: str) -> TestResult:
        """Test a winner on one of the other test sets."""
        test = self.prepared.corpus.other_tests[test_set]
        translations = first_texts(self._translate(translator, test))
        file = run / TRANSLATIONS / f"{name}.{test_set}.txt"
        _write_translations(file, translations)
        return replace(self._test_result(translations, test, file.relative_to(run).as_posix()), test_set=test_set)

    def _test_result(self, translations: Sequence[str], test: ParallelText, outputs: str) -> TestResult:
        scores = score_translations(translations, list(test.target), self.settings.bleu_tokenizer)
        return TestResult({"bleu": scores.bleu, "chrf": scores.chrf}, scores.signatures, outputs)

    def _translate(self, translator: TranslationTrainable, test: ParallelText) -> list[list[Translation]]:
        return translator.translate_n_best(list(test.source), DecodingOptions.of(self.settings.evaluation))

    def _shown(self) -> list[int]:
        """Return which test sentences the report shows, in ascending order."""
        return sorted(sample_lines(self.settings.seed, len(self.prepared.corpus.test), SAMPLE_SENTENCES))


def _write_translations(file: Path, translations: Sequence[str]) -> None:
    replace_file(file, "".join(text + "\n" for text in translations).encode("utf-8"))


def _write_sample(file: Path, text: ParallelText, lines: Sequence[int]) -> None:
    sample = [{"line": line, "source": text.source[line], "reference": text.target[line]} for line in lines]
    replace_file(file, (json.dumps(sample, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
