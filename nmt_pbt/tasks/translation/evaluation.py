"""Scores of translations: sacrebleu's, each with its signature; one to compare with the literature; and differences."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.significance import (
    Counts,
    PairedResult,
    approximate_randomisation,
    corpus_scores,
    paired_bootstrap,
)


class MosesText:
    """Prepares text of one language.

    Args:
        language: For instance `de`. Moses knows the abbreviations of some languages; for others it takes English ones.

    Attributes:
        signature: How text is prepared, in the form of sacrebleu's signatures.
    """

    def __init__(self, language: str) -> None:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer

        self._normalizer = MosesPunctNormalizer(language)
        self._tokenizer = MosesTokenizer(language)
        version = importlib.metadata.version("sacremoses")
        self.signature = f"prepared:lowercase+normalize-punctuation+tokenizer|lang:{language}|sacremoses:{version}"

    def prepare(self, lines: Sequence[str]) -> list[str]:
        """Return the lines lower-cased, normalised and tokenised, with tokens apart by single spaces."""
        return [self._tokenizer.tokenize(self._normalizer.normalize(line.lower()), return_str=True) for line in lines]


@dataclass(frozen=True, eq=False)
class MetricScore:
    """What one metric says of a translation of a text.

    Attributes:
        label: The metric's name: `BLEU`, `chrF`, `TER` or `BLEU, tokenised and lower-cased`.
        metric: Which of `significance.corpus_scores` it is.
        value: From 0 to 100, the higher the better; of TER the lower, and it may be above 100.
        signature: sacrebleu's, and how the text was prepared where it is not the text itself.
        counts: What it was computed from, `(sentences, columns)`.
    """

    label: str
    metric: str
    value: float
    signature: str
    counts: Counts


@dataclass(frozen=True)
class Difference:
    """How two translations of a text differ by one metric.

    Attributes:
        label: The metric's name.
        bootstrap: Paired bootstrap resampling (Koehn 2004).
        randomisation: Approximate randomisation (Riezler & Maxwell 2005).
    """

    label: str
    bootstrap: PairedResult
    randomisation: PairedResult


def score_text(translations: Sequence[str], references: Sequence[str], language: str) -> list[MetricScore]:
    """Score translations by every metric.

    Args:
        translations: Detokenised, cased text, one sentence an item.
        references: One reference for each.
        language: Theirs, for instance `de`: Moses' rules of tokenisation depend on it.

    Returns:
        BLEU, chrF2 and TER of the text as it is, and BLEU of it tokenised and lower-cased.

    Raises:
        UsageError: There is nothing to score, or the two differ in number.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if len(translations) != len(references):
        raise UsageError(f"{len(translations)} translations but {len(references)} references; give as many of each")
    if not translations:
        raise UsageError("nothing to score: no sentence was given; check the files")
    # `force` silences a guess, by final full stops, at whether the text is detokenised; it changes nothing.
    found = [
        _score(label, metric, scorer, translations, references)
        for label, metric, scorer in (
            ("BLEU", "bleu", BLEU(force=True)),
            ("chrF", "chrf", CHRF()),
            ("TER", "ter", TER()),
        )
    ]
    moses = MosesText(language)
    prepared = moses.prepare(translations), moses.prepare(references)
    literature = _score("BLEU, tokenised and lower-cased", "bleu", BLEU(tokenize="none", force=True), *prepared)
    return [*found, MetricScore(**{**vars(literature), "signature": f"{literature.signature}|{moses.signature}"})]


def _score(label: str, metric: str, scorer: Any, translations: Sequence[str], references: Sequence[str]) -> MetricScore:
    rows = scorer._extract_corpus_statistics(list(translations), [list(references)])
    # Of one reference, the length that TER averages over references is whole too.
    counts = np.asarray(rows).astype(np.int64)
    value = float(corpus_scores(metric, counts.sum(axis=0)))
    return MetricScore(label, metric, value, str(scorer.get_signature()), counts)


def compare_scores(first: Sequence[MetricScore], second: Sequence[MetricScore]) -> list[Difference]:
    """Tell how two translations of the same sentences differ, and whether by more than chance.

    Args:
        first: `score_text` of one translation.
        second: Of the other.

    Returns:
        One difference a metric, first less second.

    Raises:
        UsageError: They do not translate as many sentences.
    """
    return [
        Difference(
            a.label,
            paired_bootstrap(a.metric, a.counts, b.counts, generator(0, "paired bootstrap", a.metric)),
            approximate_randomisation(a.metric, a.counts, b.counts, generator(0, "randomisation", a.metric)),
        )
        for a, b in zip(first, second, strict=True)
    ]
