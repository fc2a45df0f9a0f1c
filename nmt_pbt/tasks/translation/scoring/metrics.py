"""Scores of translations by sacrebleu, on detokenised, cased text, never without the signature they were made with."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError, first_line
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import DEFAULT, SELF_CONTAINED, how_to_get

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU


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


@lru_cache(maxsize=4)
def bleu_metric(tokenize: str = DEFAULT) -> BLEU:
    """Return sacrebleu's BLEU; kept, so that the references of an evaluation are cut into words only once.

    Args:
        tokenize: The name of a tokenizer, one of `bleu_tokenizer.TOKENIZERS`.
    """
    from sacrebleu.metrics.bleu import BLEU  # 0.1 s, which refusals need not wait for

    # `force` silences a guess, by final full stops, at whether the text is detokenised; it changes nothing.
    return BLEU(tokenize=tokenize, force=True)


def check_tokenizer(tokenize: str, option: str = "evaluation.tokenize") -> None:
    """Refuse a tokenizer that cannot be used on this machine.

    Args:
        tokenize: One of `bleu_tokenizer.TOKENIZERS`.
        option: How it is chosen.

    Raises:
        UsageError: A package is missing, or a model cannot be downloaded.
    """
    if tokenize in SELF_CONTAINED:
        return
    try:
        bleu_metric(tokenize)
    except (ImportError, RuntimeError, OSError, KeyError, AssertionError) as error:
        reason = first_line(error, type(error).__name__)
        raise UsageError(
            f"{option} {tokenize}: cannot be used here ({reason}); {how_to_get(tokenize, option)}"
        ) from None


def score_translations(translations: Sequence[str], references: Sequence[str], tokenize: str = DEFAULT) -> Scores:
    """Score translations against one reference each.

    Args:
        translations: Detokenised, cased text, one sentence an item.
        references: As many references.
        tokenize: The tokenizer of BLEU.

    Returns:
        The corpus scores.

    Raises:
        UsageError: There is nothing to score, or the two differ in number.
    """
    from sacrebleu.metrics.chrf import CHRF

    _check(translations, references)
    written, wanted = composed(translations), [composed(references)]
    bleu, chrf = bleu_metric(tokenize), CHRF()
    bleu_score, chrf_score = bleu.corpus_score(written, wanted), chrf.corpus_score(written, wanted)
    return Scores(
        bleu=float(bleu_score.score),
        chrf=float(chrf_score.score),
        signatures={"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
    )


def composed(lines: Sequence[str]) -> list[str]:
    """Return lines as they are scored: a letter and its accents as one character (Unicode's NFC), however typed."""
    return [unicodedata.normalize("NFC", line) for line in lines]


def _check(translations: Sequence[str], references: Sequence[str]) -> None:
    if len(translations) != len(references):
        raise UsageError(f"{len(translations)} translations but {len(references)} references; give as many of each")
    if not translations:
        raise UsageError("nothing to score: no sentence was given; check the files")
