"""Decay of the learning rate: steady, and by a cut when the dev loss has stopped falling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Plateau:
    """How the dev loss went so far; it belongs to the weights, and travels with them.

    Attributes:
        scale: What the learning rate is multiplied with.
        lowest: The lowest loss so far, nats a subword.
        waited: Evaluations in a row that were no lower.
        age: Sentence pairs trained at the last evaluation that counted; an evaluation repeated there does not count.
    """

    scale: float = 1.0
    lowest: float = math.inf
    waited: int = 0
    age: int = 0

    def after(self, loss: float, age: int, factor: float, patience: int, steady: float = 1.0) -> Plateau:
        """Return the state after an evaluation.

        Args:
            loss: The dev loss found.
            age: Sentence pairs trained.
            factor: What the scale is multiplied with on a plateau, in (0, 1].
            patience: Evaluations in a row without a lower loss that make a plateau.
            steady: What the scale is multiplied with in any case, for what was trained since the last evaluation.
        """
        if age == self.age:
            return self
        scale = self.scale * steady
        if loss < self.lowest:
            return Plateau(scale, loss, 0, age)
        if self.waited + 1 < patience:
            return Plateau(scale, self.lowest, self.waited + 1, age)
        return Plateau(scale * factor, self.lowest, 0, age)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a member's state keeps, scalars by name."""
        return {name: np.asarray(value) for name, value in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Plateau:
        """Return what `arrays` was made from; a name that is missing has its first value."""
        return cls(**{name: arrays[name].item() for name in cls.__dataclass_fields__ if name in arrays})
