"""What a search has found: its best evaluation, and the latest one of each trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nmt_pbt.experiment.engine import StateReference
from nmt_pbt.journal import SearchStarted
from nmt_pbt.values import Value


@dataclass(frozen=True)
class Winner:
    """The best evaluation of a search, or of a member: the trial, its interval, and the state saved then."""

    trial: str
    interval: int
    age: int
    metrics: Mapping[str, float | None]
    values: Mapping[str, Value]
    state: StateReference


@dataclass(frozen=True)
class _Latest:
    """A trial's latest evaluation, its score, and its member; None without a population."""

    result: Winner
    score: float
    member: int | None


class Results:
    """Evaluations of one search.

    Args:
        start: The record that opens the search; it names the objective and its direction.
    """

    def __init__(self, start: SearchStarted) -> None:
        self._objective = start.objective
        self._sign = 1 if start.direction == "max" else -1
        self._latest: dict[str, _Latest] = {}
        self._best: _Latest | None = None

    @property
    def winner(self) -> Winner | None:
        """The best evaluation so far; of equal ones the first."""
        return self._best.result if self._best is not None else None

    def is_better(self, score: float, than: float | None) -> bool:
        """Tell whether a score is better than another, or than none."""
        return than is None or self._sign * score > self._sign * than

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether an evaluation that was not taken yet is better than all that were."""
        return self.is_better(metrics[self._objective], self._best.score if self._best is not None else None)

    def take(self, result: Winner, score: float, member: int | None) -> bool:
        """Take note of an evaluation.

        Args:
            result: The evaluation.
            score: Its objective.
            member: Whose it is; None without a population.

        Returns:
            Whether it is the best so far.
        """
        latest = self._latest[result.trial] = _Latest(result, score, member)
        best = self._best is None or self.is_better(score, self._best.score)
        if best:
            self._best = latest
        return best

    def runners_up(self, trials: Iterable[str], count: int) -> list[Winner]:
        """Return the best latest evaluations of other members than the winner's, the best first.

        Args:
            trials: Those to choose among.
            count: How many, at most; one of each member.
        """
        best: dict[int, _Latest] = {}
        for trial in sorted(trials):
            latest = self._latest.get(trial)
            if latest is None or latest.member is None or self._best is None or latest.member == self._best.member:
                continue
            held = best.get(latest.member)
            if held is None or self.is_better(latest.score, held.score):
                best[latest.member] = latest
        ranked = sorted(best, key=lambda member: (-self._sign * best[member].score, member))
        return [best[member].result for member in ranked[:count]]
