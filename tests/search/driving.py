"""Drives a method's oracle as the experiment does, without training anything."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.methods import Method
from nmt_pbt.tasks.translation.significance import pack_counts
from tests.run.cheap import sentence_counts_like

SMALL = [
    "search.population=6",
    "search.interval=1.0",
    "training.epochs=8.0",
    "search.space.learning_rate={min: 3.0e-4, max: 1.0e-2, scale: log}",
    "search.space.dropout={min: 0.0, max: 0.6}",
    "search.space.recurrent_dropout={min: 0.0, max: 0.5}",
    "search.space.batch_size={choices: [16, 32, 64, 128]}",
]
"""Settings of a small search, whatever the defaults are."""

Score = Callable[[Assignment, int], float]
"""(trial, 1-based interval) -> the objective."""


def smooth(assignment: Assignment, step: int) -> float:
    """A score like BLEU's, that depends on every value and on the trial."""
    total = 0.0
    for name, value in sorted(assignment.values.items()):
        number = float(value) if isinstance(value, (int, float)) else len(value)
        total += math.sin(3.0 * number + len(name)) / 4.0
    noise = (zlib.crc32(assignment.trial.encode()) % 1000) / 1000.0
    return 20.0 + total + step + noise


@dataclass
class Session:
    """What was asked of an oracle, and what it answered, so that it can be asked again."""

    method: Method
    interval: float
    score: Score = smooth
    fails: Callable[[Assignment], str | None] = lambda assignment: None
    assignments: list[Assignment] = field(default_factory=list)
    busy: dict[str, Assignment] = field(default_factory=dict)
    needed: list[set[str]] = field(default_factory=list)
    metric: str = "val_bleu"

    def give(self, worker: str) -> str:
        """Ask for a trial; return the status."""
        trial = self.method.oracle.create_trial(worker)
        if trial.status == "RUNNING":
            self.busy[worker] = self.method.assignment(trial)
            self.assignments.append(self.busy[worker])
        return str(trial.status)

    def finish(self, worker: str) -> None:
        """Report a worker's trial."""
        oracle = self.method.oracle
        assignment = self.busy.pop(worker)
        trial = oracle.get_trial(assignment.trial)
        failure = self.fails(assignment)
        if failure is None:
            for step in range(1, math.ceil(assignment.epochs / self.interval - 1e-9) + 1):
                score = self.score(assignment, step)
                metrics: Mapping[str, float] = {self.metric: score, "train_loss": 1.0}
                if self.method.needs_evidence:
                    share = score / 40 if math.isfinite(score) else 0.0
                    oracle.report_evidence(assignment.trial, pack_counts(sentence_counts_like(share)))
                oracle.update_trial(assignment.trial, metrics, step=step)
        trial.status = "COMPLETED" if failure is None else "FAILED"
        trial.message = failure
        oracle.end_trial(trial)
        self.needed.append(self.method.needed())

    def run(self, workers: int = 1, pick: Callable[[int], int] = lambda count: 0, trials: int = 10**9) -> Session:
        """Drive to the end, or until so many trials were given out."""
        names = [f"worker{number}" for number in range(workers)]
        while True:
            for worker in names:
                if worker not in self.busy and len(self.assignments) < trials:
                    status = self.give(worker)
                    assert status in ("RUNNING", "IDLE", "STOPPED")
                    assert status != "IDLE" or self.busy, "idle, with nothing to wait for"
            if not self.busy or len(self.assignments) >= trials:
                return self
            self.finish(list(self.busy)[pick(len(self.busy))])

    @property
    def pairs(self) -> int:
        """Sentence pairs trained; of a trial that failed, those of the interval in which it did."""
        return sum(
            sum(intervals if self.fails(assignment) is None else intervals[:1])
            for assignment in self.assignments
            for intervals in [self.method.budget.intervals(assignment)]
        )

    @property
    def epochs(self) -> float:
        """Epochs trained."""
        return self.pairs / self.method.budget.epoch
