"""How many floating-point operations the matrix products of training need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from peers.protocol import Batch

PASSES = 3
"""Forward, and for the gradients of a product's two factors one of the same size each."""


@dataclass(frozen=True)
class Operations:
    """Floating-point operations, a multiplication and an addition being two.

    Attributes:
        whole: Of products that can be done for all steps at once.
        stepwise: Of products that have to wait for the step before.
    """

    whole: float
    stepwise: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.whole + self.stepwise


def operations_for(batches: Sequence[Batch], vocabulary: int, units: int) -> Operations:
    """Count the operations of one pass of training over these batches, on real positions alone.

    Args:
        batches: The batches.
        vocabulary: Subwords V.
        units: Width U of embeddings and states.
    """
    square = 2.0 * units * units
    read = sum(int(np.count_nonzero(source)) for source, _ in batches)
    lengths = [
        (np.count_nonzero(source, axis=1), np.count_nonzero(target[:, 1:], axis=1)) for source, target in batches
    ]
    written = sum(int(target.sum()) for _, target in lengths)
    pairs = sum(len(source) for source, _ in batches)
    cells = sum(int((source * target).sum()) for source, target in lengths)
    # Four gates. The kernel's products are whole; of the recurrent kernel's only its gradient is.
    lstm = 4 * square * (2 * read + written)
    whole = PASSES * lstm + lstm
    stepwise = (PASSES - 1) * lstm
    whole += PASSES * (
        2 * square * read  # attention keys
        + 4 * square * pairs  # bridges
        + 2.0 * 3 * units * cells  # scores and contexts
        + 3 * square * written  # attentional vectors
        + 2.0 * units * vocabulary * written  # softmax
    )
    return Operations(whole, stepwise)
