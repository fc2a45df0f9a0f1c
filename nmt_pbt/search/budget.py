"""The budget: sentence pairs trained, the same for every method compared.

Pairs, not steps, are counted: otherwise a larger batch would buy more data.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.assignment import Assignment


@dataclass(frozen=True)
class Budget:
    """How much one method may train with one seed, and how often it is evaluated.

    Attributes:
        pairs_per_epoch: Training pairs in one epoch.
        interval_epochs: Epochs between two evaluations; at least one pair.
        total: Sentence pairs in the whole search, over all its trials.
    """

    pairs_per_epoch: int
    interval_epochs: float
    total: int

    def __post_init__(self) -> None:
        if self.interval_epochs * self.pairs_per_epoch < 1 - 1e-9:
            raise UsageError(
                f"search.interval {self.interval_epochs:g}: less than one sentence pair of an epoch of "
                f"{self.pairs_per_epoch}; make it longer"
            )

    @classmethod
    def for_trials(cls, trials: int, epochs: float, pairs_per_epoch: int, interval_epochs: float) -> Budget:
        """Return the budget of so many trials, or members, of so many epochs each."""
        return cls(pairs_per_epoch, interval_epochs, trials * _pairs(epochs, pairs_per_epoch))

    @property
    def epochs(self) -> float:
        """The whole budget in epochs."""
        return self.total / self.pairs_per_epoch

    def pairs(self, epochs: float) -> int:
        """Return a number of epochs in sentence pairs, to the nearest whole pair."""
        return _pairs(epochs, self.pairs_per_epoch)

    def intervals(self, assignment: Assignment) -> tuple[int, ...]:
        """Cut a trial into intervals between evaluations.

        Boundaries are rounded, not lengths, so that the intervals of a member add up to its epochs exactly.

        Args:
            assignment: The trial.

        Returns:
            Sentence pairs to train in each of its intervals, none of them empty; the last one may be shorter.
        """
        start, end = assignment.start, assignment.start + assignment.epochs
        # Sums of floats may miss a boundary by a rounding error, and whole pairs by less than one: neither is enough to
        # make an interval of.
        slack = max(1e-9, 0.999 / (self.pairs_per_epoch * self.interval_epochs))
        count = max(1, math.ceil(assignment.epochs / self.interval_epochs - slack))
        boundaries = [self.pairs(start + k * self.interval_epochs) for k in range(count)] + [self.pairs(end)]
        return tuple(after - before for before, after in itertools.pairwise(boundaries) if after > before)


def _pairs(epochs: float, pairs_per_epoch: int) -> int:
    # Half a pair is rounded up, also when the sum that should be a half falls short of it by a rounding error.
    return math.floor(epochs * pairs_per_epoch + 0.5 + 1e-6)
