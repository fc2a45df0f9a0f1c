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
        epoch: Sentence pairs in one epoch.
        interval: Epochs between two evaluations; at least one pair.
        total: Sentence pairs in the whole search, over all its trials.
    """

    epoch: int
    interval: float
    total: int

    def __post_init__(self) -> None:
        if self.interval * self.epoch < 1 - 1e-9:
            raise UsageError(
                f"search.interval {self.interval:g}: less than one sentence pair of an epoch of {self.epoch}; make it "
                "longer"
            )

    @classmethod
    def for_trials(cls, trials: int, epochs: float, epoch: int, interval: float) -> Budget:
        """Return the budget of so many trials, or members, of so many epochs each."""
        return cls(epoch, interval, trials * _pairs(epochs, epoch))

    @property
    def epochs(self) -> float:
        """The whole budget in epochs."""
        return self.total / self.epoch

    def pairs(self, epochs: float) -> int:
        """Return a number of epochs in sentence pairs, to the nearest whole pair."""
        return _pairs(epochs, self.epoch)

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
        slack = max(1e-9, 0.999 / (self.epoch * self.interval))
        count = max(1, math.ceil(assignment.epochs / self.interval - slack))
        boundaries = [self.pairs(start + k * self.interval) for k in range(count)] + [self.pairs(end)]
        return tuple(after - before for before, after in itertools.pairwise(boundaries) if after > before)


def _pairs(epochs: float, epoch: int) -> int:
    # Half a pair is rounded up, also when the sum that should be a half falls short of it by a rounding error.
    return math.floor(epochs * epoch + 0.5 + 1e-6)
