"""Scores of translations: sacrebleu's, each with its signature; one to compare with the literature; and differences."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import (
    is_split_for_ter,
    is_unspaced,
    language_code,
    tokenizer_for,
)
from nmt_pbt.tasks.translation.scoring.metrics import bleu_metric, composed
from nmt_pbt.tasks.translation.scoring.significance import (
    Counts,
    PairedResult,
    approximate_randomisation,
    corpus_scores,
    paired_bootstrap,
)


def has_moses_rules(language: str) -> bool:
    """Return whether Moses' tokenizer knows a language, and cuts it into words."""
    from sacremoses.corpus import NonbreakingPrefixes

    return language_code(language) in NonbreakingPrefixes().available_langs.values() and not is_unspaced(language)


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


def score_text(
    translations: Sequence[str], references: Sequence[str], language: str, tokenize: str | None = None
) -> list[MetricScore]:
    """Score translations by every metric that means something in their language.

    Args:
        translations: Detokenised, cased text, one sentence an item.
        references: One reference for each.
        language: Theirs, for instance `de`.
        tokenize: The tokenizer of BLEU; None takes the language's.

    Returns:
        BLEU, chrF2 and TER of the text as it is, and BLEU of it tokenised and lower-cased. TER, which counts words,
        takes the characters of Chinese and Japanese for words, and is left out where other languages have no spaces
        between words; the last is left out where Moses has no rules for the language.

    Raises:
        UsageError: There is nothing to score, or the two differ in number.
    """
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if len(translations) != len(references):
        raise UsageError(f"{len(translations)} translations but {len(references)} references; give as many of each")
    if not translations:
        raise UsageError("nothing to score: no sentence was given; check the files")
    translations, references = composed(translations), composed(references)
    scorers: list[tuple[str, str, Any]] = [
        ("BLEU", "bleu", bleu_metric(tokenize or tokenizer_for(language))),
        ("chrF", "chrf", CHRF()),
    ]
    if is_split_for_ter(language):
        scorers.append(("TER", "ter", TER(normalized=True, asian_support=True)))
    elif not is_unspaced(language):
        scorers.append(("TER", "ter", TER()))
    found = [_score(label, metric, scorer, translations, references) for label, metric, scorer in scorers]
    if not has_moses_rules(language):
        return found
    moses = MosesText(language_code(language))
    prepared = moses.prepare(translations), moses.prepare(references)
    literature = _score("BLEU, tokenised and lower-cased", "bleu", bleu_metric("none"), *prepared)
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
