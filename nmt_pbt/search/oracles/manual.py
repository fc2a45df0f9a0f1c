"""Manual search: an oracle over values somebody chose by hand, to stand beside what the other oracles chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nmt_pbt.base.types import Value
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.base import EPOCHS, BudgetedOracle


class ManualOracle(BudgetedOracle):
    """Runs a list of guesses in order; more can be added as results come in. Its budget is what they take.

    Args:
        guesses: Values by name, for each trial all of the space; more may be named.
        budget: What the guesses may train in all, at most; the last one is cut. Those added later come on top.
        **kwargs: Of `BudgetedOracle`.

    Raises:
        UsageError: A guess is not of the space.
    """

    def __init__(self, *, guesses: Sequence[Mapping[str, Value]], budget: Budget, **kwargs: Any) -> None:
        super().__init__(budget=replace(budget, total=0), **kwargs)
        self._guesses: list[dict[str, Value]] = []
        for number, guess in enumerate(guesses, start=1):
            self.space.check({name: guess[name] for name in self.space.names if name in guess}, f"guess {number}")
            self.add(guess)
        self.budget = replace(budget, total=min(self.budget.total, budget.total))
        self.max_initial_failures = min(self.max_initial_failures, len(guesses))

    def add(self, guess: Mapping[str, Value]) -> None:
        """Append one more guess, to be tried after those there are.

        Args:
            guess: Values by name, all of the space; they may lie outside it, and more may be named.
        """
        self._guesses.append(dict(guess))
        self.budget = replace(self.budget, total=self.budget.total + self.budget.pairs(self.length(guess)))

    @property
    def left(self) -> int:
        """Sentence pairs of the budget that no guess has been given; what a failed one gave back nobody takes."""
        return super().left if len(self.trials) < len(self._guesses) else 0

    def choose(self, trial_id: str) -> dict[str, Value]:
        """Return the next guess."""
        return self._guesses[len(self.trials)]

    def searched(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of a guess, without bookkeeping."""
        return {name: value for name, value in values.items() if name != EPOCHS}
