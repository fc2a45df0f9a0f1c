"""What can be said of a corpus before anything is trained on it: what no model will write, what no score will tell."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from nmt_pbt.base.text import counted
from nmt_pbt.tasks.translation.scoring.metrics import bleu_metric

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.parallel import Corpus
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

_SHOWN = 5  # characters named in a line
_ORDER = 4  # of BLEU's longest n-grams


def foreseen(corpus: Corpus, subwords: Subwords, objective: str, tokenize: str) -> Iterator[str]:
    """Yield what has to be known of a corpus, a line each.

    Args:
        corpus: The text.
        subwords: Learned from its training split.
        objective: What a search is to decide by.
        tokenize: The tokenizer of BLEU.
    """
    if unwritable := unwritable_text(corpus, subwords):
        yield unwritable
    cut = bleu_metric(tokenize).tokenizer
    if objective == "val_bleu" and all(len(cut(line).split()) < _ORDER for line in corpus.dev.target):
        yield (
            f"{corpus.name}: no dev sentence has four words, so that val_bleu of a right translation is 0, and that of "
            "a longer, wrong one is more; search by another objective, with --set search.objective=val_chrf"
        )


def unwritable_text(corpus: Corpus, subwords: Subwords) -> str | None:
    """Say how many characters of dev and test no model can write, and which; None where it can write all.

    Args:
        corpus: The text.
        subwords: What a model writes in.
    """
    references = chain(corpus.dev.target, *(text.target for text in corpus.tests.values()))
    counts = Counter(chain.from_iterable(references))
    unwritable = {character: count for character, count in counts.items() if not subwords.can_write(character)}
    if not unwritable:
        return None
    commonest = sorted(unwritable.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    named = ", ".join(f"{_named(character)} {counted(count, 'time')}" for character, count in commonest)
    more = f", and {len(unwritable) - _SHOWN:,} others" if len(unwritable) > _SHOWN else ""
    total = sum(unwritable.values())
    return (
        f"{corpus.name}: the references of dev and test hold {counted(total, 'character')} of {counts.total():,} that "
        f"no model with these subwords can write: {named}{more}"
    )


def _named(character: str) -> str:
    """Return a character so that it can be told from others: by its number where it cannot be seen by itself."""
    seen = character.isprintable() and not unicodedata.combining(character)
    return f"{character} (U+{ord(character):04X})" if seen else f"U+{ord(character):04X}"
