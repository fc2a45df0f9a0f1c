"""Lines longer than any in training: told, as models end them early, and split into their sentences on request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmt_pbt.base.text import counted
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import is_unspaced, language_code

_END = re.compile(r"""(?<![.!?…؟।])[.!?…؟।]+["'”’»)\]]*\s+|[。！？｡]+[」』”’）]*\s*""")
_OPENING = " \"'“‘«„»([¿¡"
_NUMERIC = " #NUMERIC_ONLY#"
_LOOKED_AT = 100  # characters before and after a mark that decide whether it ends a sentence
_QUOTING = ("と", "って")  # after a Japanese quotation: the sentence goes on


class SentenceSplitter:
    """Splits lines at the ends of sentences, and joins translations again.

    A full stop after an abbreviation or an initial ends no sentence (Moses' lists, for languages that it has none of
    the English one), nor does one before a small letter.

    Args:
        source: Language of the lines, for instance `en`.
        target: Language of the translations.
    """

    def __init__(self, source: str, target: str) -> None:
        from sacremoses.corpus import NonbreakingPrefixes

        words = list(NonbreakingPrefixes().words(language_code(source)))
        self._abbreviations = {word for word in words if not word.endswith(_NUMERIC)}
        self._before_numbers = {word.removesuffix(_NUMERIC) for word in words if word.endswith(_NUMERIC)}
        self._between = "" if is_unspaced(target) else " "

    def split(self, line: str) -> list[str]:
        """Return the sentences of a line, one at least."""
        sentences, begin = [], 0
        for end in _END.finditer(line):
            following = line[end.end() : end.end() + _LOOKED_AT].lstrip(_OPENING)
            before = line[max(begin, end.start() - _LOOKED_AT) : end.start()]
            if following and self._ends(before, end[0].strip(), following):
                sentences.append(line[begin : end.end()].strip())
                begin = end.end()
        return [*sentences, line[begin:].strip()]

    def join(self, translations: Iterable[str]) -> str:
        """Return the translations of a line's sentences as one line."""
        return self._between.join(filter(None, translations))

    def _ends(self, before: str, mark: str, following: str) -> bool:
        """Return whether a mark ends a sentence, by what stands before it and after it."""
        if following[0].islower() or (mark[-1] in "」』" and following.startswith(_QUOTING)):
            return False
        word = (before.split() or [""])[-1].lstrip(_OPENING)
        if mark != "." or not word:
            return True
        if word in self._before_numbers:
            return not following[0].isdigit()
        return word not in self._abbreviations


@dataclass
class LongLines:
    """Counts lines that are longer than any in training.

    Attributes:
        longest_in_training: Subwords of the longest source sentence trained on.
        lines: How many lines were longer.
        longest: Subwords of the longest of them.
    """

    longest_in_training: int
    lines: int = 0
    longest: int = 0

    def count(self, lengths: Sequence[int]) -> None:
        """Count lines.

        Args:
            lengths: Subwords of each line that is to be translated.
        """
        longer = [length for length in lengths if length > self.longest_in_training]
        self.lines += len(longer)
        self.longest = max([self.longest, *longer])

    def told(self, split: bool) -> str | None:
        """Return what to tell of them in a sentence; None where there were none.

        Args:
            split: Whether the lines were sentences already.
        """
        if not self.lines:
            return None
        advice = "cut them" if split else "add --split-sentences, or cut them"
        return (
            f"{counted(self.lines, 'sentence' if split else 'line')} longer than any in training (up to "
            f"{counted(self.longest, 'subword')}; in training {self.longest_in_training} at most): translations may "
            f"lack a part; {advice}"
        )
