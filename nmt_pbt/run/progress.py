"""How far a search has come: its trials under way, and the evaluations that were the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.run.jobs import StateReference
from nmt_pbt.run.records import SearchStarted
from nmt_pbt.search.assignment import Assignment


@dataclass
class Progress:
    """A trial under way: how it is cut into intervals, and how many of them are done.

    Attributes:
        assignment: The trial.
        intervals: Training pairs of each of its intervals.
        decided: Seconds it took to decide on it.
        done: Intervals that have ended.
        failure: Why it failed; None as long as it did not.
        best: The best of its objective over its intervals.
        no_better: Intervals since the best.
        stopped: Whether it was ended early because its objective no longer improved.
    """

    assignment: Assignment
    intervals: tuple[int, ...]
    decided: float = 0.0
    done: int = 0
    failure: str | None = None
    best: float | None = None
    no_better: int = 0
    stopped: bool = False

    def scored(self, score: float, better: bool, patience: int | None) -> None:
        """Record an evaluation.

        Args:
            score: Its objective.
            better: Whether that is better than the best before.
            patience: Evaluations in a row without a better one that end the trial; None never does.
        """
        self.best, self.no_better = (score, 0) if better else (self.best, self.no_better + 1)
        self.stopped = self.no_better == patience

    @property
    def over(self) -> bool:
        """Whether there is nothing more to train."""
        return self.failure is not None or self.stopped or self.done == len(self.intervals)

    @property
    def source(self) -> str | None:
        """The trial whose latest state the next interval starts from; None for fresh weights."""
        return self.assignment.parent if self.done == 0 else self.assignment.trial


@dataclass(frozen=True)
class Winner:
    """The best evaluation of a search, or of a member: the trial, its interval, and the state saved then."""

    trial: str
    interval_index: int
    trained_pairs: int
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
        """Return whether a score is better than another, or than none."""
        return than is None or self._sign * score > self._sign * than

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Return whether an evaluation that was not taken yet is better than all that were.

        Raises:
            UsageError: The objective is not among its metrics.
        """
        if self._objective not in metrics:
            raise UsageError(
                f"evaluate: reports {', '.join(metrics)}, not the objective {self._objective}; return that as well, or "
                "name one of these in searched_objective"
            )
        return self.is_better(metrics[self._objective], self._best.score if self._best is not None else None)

    def take(self, result: Winner, score: float, member: int | None) -> bool:
        """Record an evaluation.

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
