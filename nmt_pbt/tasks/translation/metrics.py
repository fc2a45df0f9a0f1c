"""Scores of translations by sacrebleu, on detokenised, cased text, never without the signature they were made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics import BLEU, CHRF

from nmt_pbt.base.errors import UsageError


@dataclass(frozen=True)
class Scores:
    """Corpus scores.

    Attributes:
        bleu: BLEU, 0 to 100.
        chrf: chrF2, 0 to 100.
        signatures: sacrebleu's signature by metric, `bleu` and `chrf`.
    """

    bleu: float
    chrf: float
    signatures: dict[str, str]


def score_translations(translations: Sequence[str], references: Sequence[str]) -> Scores:
    """Score translations against one reference each.

    Args:
        translations: Detokenised, cased text, one sentence an item.
        references: As many references.

    Returns:
        The corpus scores.

    Raises:
        UsageError: There is nothing to score, or the two differ in number.
    """
    _check(translations, references)
    # `force` silences a guess, by final full stops, at whether the text is detokenised; it changes nothing.
    bleu, chrf = BLEU(force=True), CHRF()
    bleu_score = bleu.corpus_score(list(translations), [list(references)])
    chrf_score = chrf.corpus_score(list(translations), [list(references)])
    return Scores(
        bleu=float(bleu_score.score),
        chrf=float(chrf_score.score),
        signatures={"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
    )


def _check(translations: Sequence[str], references: Sequence[str]) -> None:
    if len(translations) != len(references):
        raise UsageError(f"{len(translations)} translations but {len(references)} references; give as many of each")
    if not translations:
        raise UsageError("nothing to score: no sentence was given; check the files")
