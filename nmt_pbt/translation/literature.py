"""Text as papers on Multi30k score it: lower-cased, punctuation normalised, tokenised by Moses' rules.

The published files of Multi30k (`*.lc.norm.tok.*`) were made with Moses' `lowercase.perl`, `normalize-punctuation.perl
-l LANGUAGE` and `tokenizer.perl -l LANGUAGE`, one after the other, and scored with `multi-bleu.perl`, whose figure is
BLEU without further tokenisation. sacremoses is a port of these scripts.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence


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
