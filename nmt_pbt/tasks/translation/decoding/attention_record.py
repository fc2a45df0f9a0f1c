"""Where a winner looked while it translated a few sentences: a small file beside its translations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import replace_file

_DIGITS = 4  # of a weight that are kept: finer than any shade


@dataclass(frozen=True, eq=False)
class SentenceAttention:
    """Attention over one sentence.

    Attributes:
        line: 0-based place in the test split.
        source: Subwords of the source, S.
        target: Subwords of the translation, T.
        weights: `[T, S]`; each row sums to 1.
    """

    line: int
    source: Sequence[str]
    target: Sequence[str]
    weights: npt.NDArray[np.floating]


def attention_path(translations: Path) -> Path:
    """Return where the attention of a file of translations is kept: `x.txt` has `x.attention.json` beside it."""
    return translations.with_suffix(".attention.json")


def write_attention(path: Path, sentences: Sequence[SentenceAttention]) -> None:
    """Write attention as JSON: a list of objects with `line`, `source`, `target` and `weights`, one a sentence.

    Args:
        path: The file; an existing one is replaced in one step.
        sentences: What to write.
    """
    plain = [
        {
            "line": sentence.line,
            "source": list(sentence.source),
            "target": list(sentence.target),
            "weights": [[round(float(weight), _DIGITS) for weight in row] for row in sentence.weights],
        }
        for sentence in sentences
    ]
    replace_file(path, (json.dumps(plain, ensure_ascii=False) + "\n").encode("utf-8"))


def read_attention(path: Path) -> list[SentenceAttention]:
    """Read what `write_attention` wrote.

    Args:
        path: The file.

    Returns:
        The sentences.

    Raises:
        UsageError: The file is not what `write_attention` writes.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        found = [
            SentenceAttention(
                int(one["line"]),
                [str(subword) for subword in one["source"]],
                [str(subword) for subword in one["target"]],
                np.asarray(one["weights"], dtype=np.float64).reshape(len(one["target"]), len(one["source"])),
            )
            for one in plain
        ]
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{path}: not a list of sentences with attention; restore it from a copy") from None
    for sentence in found:
        if not ((sentence.weights >= 0) & (sentence.weights <= 1)).all():
            raise UsageError(f"{path}: a weight is not from 0 to 1; restore the file from a copy")
    return found
