"""How long a translation may become: no shorter than what the training pairs show."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nmt_pbt.base.files import replace_file
from nmt_pbt.tasks.translation.corpus.flat import IdSequences

OUTPUT_LIMIT = "output_limit.json"
"""File of a run that holds its limit."""
LEAST_RATIO = 2
LEAST_OFFSET = 10


@dataclass(frozen=True)
class OutputLimit:
    """The most subwords of a translation, `ratio * source subwords + offset`, but at least `2 * source subwords + 10`.

    EOS counts on both sides. The values at first are those of runs that have learned none.

    Attributes:
        ratio: Target subwords for each of the source.
        offset: Subwords more.
        longest_source: Subwords of the longest source sentence trained on, without EOS; None where that is not known.
    """

    ratio: float = float(LEAST_RATIO)
    offset: int = LEAST_OFFSET
    longest_source: int | None = None

    @classmethod
    def learned(cls, source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> OutputLimit:
        """Return the limit by which every training pair can be written.

        Args:
            source: Ids of each source sentence, without EOS.
            target: Ids of its translation, likewise.

        Returns:
            The mean ratio, and the largest number of subwords that a target is longer than it says.
        """
        sources, targets = (IdSequences.of(side).all_lengths().astype(np.int64) + 1 for side in (source, target))
        ratio = round(float(targets.sum() / sources.sum()), 3)
        return cls(ratio, math.ceil(float((targets - ratio * sources).max())) + 1, int(sources.max()) - 1)

    def write(self, run: Path) -> None:
        """Write it into a run's folder."""
        replace_file(run / OUTPUT_LIMIT, (json.dumps(asdict(self)) + "\n").encode())

    @classmethod
    def read(cls, run: Path) -> OutputLimit:
        """Return a run's limit; that of runs without one, where the file is missing."""
        file = run / OUTPUT_LIMIT
        return cls(**json.loads(file.read_text("utf-8"))) if file.exists() else cls()
