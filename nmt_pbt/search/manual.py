"""Manual search: an oracle over values somebody chose by hand, to stand beside what the other oracles chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmt_pbt.search.oracles import BudgetedOracle
from nmt_pbt.values import Value


class ManualOracle(BudgetedOracle):
    """Runs a list of guesses in order; more can be added as results come in. Its budget is what they take.

    Args:
        guesses: Values by name, for each trial all of the space.
        limit: Epochs that the guesses may take in all; the last one is cut. Those added later come on top.
        **kwargs: Of `BudgetedOracle`, but for the budget.

    Raises:
        UsageError: A guess is not of the space.
    """

    def __init__(self, *, guesses: Sequence[Mapping[str, Value]], limit: float, **kwargs: Any) -> None:
        super().__init__(budget=0.0, **kwargs)
        self._guesses: list[dict[str, Value]] = []
        for guess in guesses:
            self.add(guess)
        self.budget = min(self.budget, limit)
        self.patience = min(self.patience, len(guesses))

    def add(self, guess: Mapping[str, Value]) -> None:
        """Append one more guess, to be tried after those there are.

        Args:
            guess: Values by name, all of the space.

        Raises:
            UsageError: It is not of the space.
        """
        self.space.check(guess, f"guess {len(self._guesses) + 1}")
        self._guesses.append({name: guess[name] for name in self.space.names if name in guess})
        self.budget += float(guess.get("epochs", self.epochs))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next guess, until there is none or the budget is given out.

        Args:
            trial_id: The trial's id.
        """
        if not self.left or len(self.trials) >= len(self._guesses):
            return {"status": "STOPPED"}
        values = self._guesses[len(self.trials)]
        return self.grant(values, float(values.get("epochs", self.epochs)))
