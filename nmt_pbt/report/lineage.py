"""Who descends from whom: the trials along a lineage, and what a hyperparameter's schedule was along it.

A schedule is read along one *lineage* (the chain of parents of one state), never along one slot of the population:
when a member adopts another's weights, the values those weights were trained with come with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nmt_pbt.base.errors import JournalError, UsageError, suggest
from nmt_pbt.report.columns import fields, table
from nmt_pbt.report.series import assignments, hyperparameters, score_of, started, winning
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated


class Ancestry:
    """Who descends from whom in a run; made once, asked often.

    Args:
        records: The journal's records.
    """

    def __init__(self, records: Sequence[AnyRecord]) -> None:
        self._given = assignments(records)
        self._last = {
            (record.method, record.seed, record.trial): record for record in records if isinstance(record, Evaluated)
        }
        self._searches = started(records)
        self._names = hyperparameters(records)
        self._winners = winning(records)

    def table(self) -> pd.DataFrame:
        """Return one row for each trial that has a parent: what it took over, and what changed.

        Returns:
            Columns: method, seed, child, parent, member (of the child), parent_member, generation (of the child),
            inherited (the parent was another member's: an exploit), left (the trial whose state the member gave up for
            it; missing where it continued its own), start (sentence pairs the weights were trained on when the child
            began), parent_score (the parent's last score), left_score (that of the trial given up), then for each
            hyperparameter X the columns `X_before` (the parent's value) and `X_after` (the child's).

        Raises:
            JournalError: A parent is missing from the journal.
        """
        slot: dict[tuple[str, int, int], str] = {}
        rows: list[dict[str, Any]] = []
        for (method, seed, trial), record in self._given.items():
            held = None if record.member is None else slot.get((method, seed, record.member))
            if record.member is not None:
                slot[method, seed, record.member] = trial
            if record.parent is None:
                continue
            parent = self._parent(record)
            left = held if record.inherited else None
            row: dict[str, Any] = {
                "method": method,
                "seed": seed,
                "child": trial,
                "parent": record.parent,
                "member": record.member,
                "parent_member": parent.member,
                "generation": record.generation,
                "inherited": record.inherited,
                "left": left,
                "start": self._age(method, seed, record.parent),
                "parent_score": self._score(method, seed, record.parent),
                "left_score": self._score(method, seed, left),
            }
            row.update({f"{name}_before": parent.values.get(name) for name in self._names})
            row.update({f"{name}_after": record.values.get(name) for name in self._names})
            rows.append(row)
        columns = (
            "method seed child parent member parent_member generation inherited left start parent_score left_score"
        )
        return table(rows, columns, [f"{name}_{side}" for name in self._names for side in ("before", "after")])

    def chain(self, method: str, seed: int, trial: str | None = None) -> pd.DataFrame:
        """Return the trials from the root to one trial, or to the state that won the search.

        Args:
            method: Whose search.
            seed: Which of its searches.
            trial: The last trial; None takes the winner's.

        Returns:
            Columns: method, seed, trial, member, generation, parent, inherited, start and trained_pairs (sentence pairs
            the weights were trained on when the trial began and when it was last evaluated), score (of its last
            evaluation), then one column for each hyperparameter. Root first. A winner's last row has the trained_pairs
            and score of the winning evaluation, which need not be its trial's last.

        Raises:
            UsageError: There is no such trial, or no finite evaluation yet.
            JournalError: A parent is missing from the journal.
        """
        won = self._winners.get((method, seed))
        if trial is None and won is None:
            raise UsageError(
                f"{method}, seed {seed}: no evaluation to choose a winner from; see the journal for failures"
            )
        current = self._given.get((method, seed, won.trial if trial is None and won else str(trial)))
        if current is None:
            known = [key[2] for key in self._given if key[:2] == (method, seed)]
            raise UsageError(f"{method}, seed {seed}: no trial '{trial}'{suggest(str(trial), known)}")
        columns = "method seed trial member generation parent inherited start trained_pairs score"
        rows: list[dict[str, Any]] = []
        while True:
            start = 0 if current.parent is None else self._age(method, seed, current.parent)
            rows.append(
                {
                    **fields(current, columns),
                    "start": start,
                    "trained_pairs": max(start, self._age(method, seed, current.trial)),
                    "score": self._score(method, seed, current.trial),
                    **current.values,
                }
            )
            if current.parent is None:
                break
            current = self._parent(current)
        if trial is None and won is not None:
            score = score_of(won.metrics, self._searches[method, seed].objective)
            rows[0].update(trained_pairs=won.trained_pairs, score=score)
        return table(rows[::-1], columns, self._names)

    def steps(self, method: str, seed: int, trial: str | None = None) -> pd.DataFrame:
        """Return a lineage as segments of training.

        Args:
            method: Whose search.
            seed: Which of its searches.
            trial: The last trial of the lineage; None takes the winner's.

        Returns:
            Columns: start, end (in epochs of training of these weights), trial, member, inherited, then one column for
            each hyperparameter. Trials that were never evaluated are left out.
        """
        found = self.chain(method, seed, trial)
        found = found[found["trained_pairs"] > found["start"]].reset_index(drop=True)
        epoch = self._searches[method, seed].pairs_per_epoch
        found["end"] = found["trained_pairs"] / epoch
        found["start"] = found["start"] / epoch
        return found[["start", "end", "trial", "member", "inherited", *self._names]]

    def latest(self, method: str, seed: int) -> list[str]:
        """Return the last evaluated trial of each member of a population, by member: where its lineage ends."""
        found: dict[int, str] = {}
        for (its_method, its_seed, trial), record in self._given.items():
            evaluated = (its_method, its_seed, trial) in self._last
            if (its_method, its_seed) == (method, seed) and record.member is not None and evaluated:
                found[record.member] = trial
        return [found[member] for member in sorted(found)]

    def _parent(self, child: Assigned) -> Assigned:
        parent = self._given.get((child.method, child.seed, child.parent or ""))
        if parent is None:
            raise JournalError(
                f"{child.method}, seed {child.seed}: trial '{child.trial}' has the parent '{child.parent}', "
                "which the journal does not hold; restore the journal from a copy"
            )
        return parent

    def _age(self, method: str, seed: int, trial: str) -> int:
        point = self._last.get((method, seed, trial))
        return 0 if point is None else point.trained_pairs

    def _score(self, method: str, seed: int, trial: str | None) -> float:
        point = self._last.get((method, seed, trial or ""))
        return math.nan if point is None else score_of(point.metrics, self._searches[method, seed].objective)
