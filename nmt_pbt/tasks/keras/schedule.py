"""The schedule that a search found: hyperparameters along the lineage of its best trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated
from nmt_pbt.search.oracles.base import EPOCHS
from nmt_pbt.search.oracles.pbt import AGE, INHERITED, MEMBER, PARENT
from nmt_pbt.tasks.protocol import LEARNING_RATE


def rates_in(metrics: Iterable[str]) -> list[str]:
    """Return which of some metrics are learning rates that callbacks set, such as `optimizer.learning_rate`."""
    return [name for name in metrics if name.endswith(LEARNING_RATE)]


def schedule(oracle: Any) -> pd.DataFrame:
    """Return the lineage of the best trial, first interval first; see `PopulationBasedTraining.schedule`.

    Args:
        oracle: The oracle, or a worker's client of it.

    Raises:
        UsageError: No trial has a score.
    """
    best = oracle.get_best_trials(1)
    if not best:
        raise UsageError("no trial has a score yet; call search first")
    lineage = [best[0]]
    while parent := lineage[-1].hyperparameters.values[PARENT]:
        lineage.append(oracle.get_trial(parent))
    rows = []
    for trial in reversed(lineage):
        values = trial.hyperparameters.values
        names = dict.fromkeys(hyperparameter.name for hyperparameter in trial.hyperparameters.space)
        rows.append(
            {
                "epoch": round(values[AGE]),
                "until": round(values[AGE] + values[EPOCHS]),
                **{name: values[name] for name in names if name in values},
                **{name: trial.metrics.get_last_value(name) for name in rates_in(trial.metrics.metrics)},
                "score": trial.score,
                "trial": trial.trial_id,
                "member": values[MEMBER],
                "inherited": bool(values[INHERITED]),
            }
        )
    frame = pd.DataFrame(rows)
    known = ["epoch", "until", "score", "trial", "member", "inherited"]
    return frame[["epoch", "until", *[name for name in frame if name not in known], *known[2:]]]


def history(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """Return every interval of every member; see `PopulationBasedTraining.history`.

    Args:
        records: Of a run's journal.
    """
    assigned = {record.trial: record for record in records if isinstance(record, Assigned)}
    rows = []
    for record in records:
        if isinstance(record, Evaluated):
            given = assigned[record.trial]
            rows.append(
                {
                    "member": given.member,
                    "generation": given.generation,
                    "epoch": record.trained_pairs,
                    "trial": record.trial,
                    "parent": given.parent,
                    "inherited": given.inherited,
                    **given.values,
                    **record.metrics,
                    "failure": record.failure,
                }
            )
    return pd.DataFrame(rows)
