"""Short ways to write journal records by hand."""

from __future__ import annotations

from nmt_pbt.base.types import Value
from nmt_pbt.run.records import (
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Seconds,
    StopRule,
)


def run_started() -> RunStarted:
    return RunStarted(settings="s", data="c", time=0.0)


def search(method: str = "pbt", seed: int = 0, direction: str = "max", budget: int = 400) -> SearchStarted:
    return SearchStarted.model_validate(
        {
            **{"method": method, "seed": seed, "objective": "val_bleu" if direction == "max" else "val_loss"},
            **{
                "direction": direction,
                "budget_pairs": budget,
                "interval_pairs": 100,
                "pairs_per_epoch": 200,
                "population": 2,
                "time": 0.0,
            },
        }
    )


def assigned(
    trial: str,
    member: int | None = None,
    parent: str | None = None,
    inherited: bool = False,
    generation: int = 0,
    method: str = "pbt",
    seed: int = 0,
    worker: str = "w0",
    **values: Value,
) -> Assigned:
    place = {"member": member, "generation": generation, "parent": parent, "inherited": inherited}
    return Assigned.model_validate(
        {
            **{"method": method, "seed": seed, "trial": trial, "worker": worker, "values": values, "pairs": 100},
            **place,
            "time": 1.0,
        }
    )


def evaluated(
    trial: str,
    score: float | None,
    trained_pairs: int,
    spent_pairs: int,
    interval_index: int = 0,
    method: str = "pbt",
    seed: int = 0,
    metric: str = "val_bleu",
    **seconds: float,
) -> Evaluated:
    return Evaluated(
        method=method,
        seed=seed,
        trial=trial,
        interval_index=interval_index,
        trained_pairs=trained_pairs,
        spent_pairs=spent_pairs,
        metrics={metric: score},
        seconds=Seconds(**(seconds or {"train": 2.0, "evaluate": 0.5})),
        time=2.0,
    )


def ended(trial: str, failed: str = "", method: str = "pbt", seed: int = 0) -> Ended:
    status = "failed" if failed else "completed"
    return Ended.model_validate(
        {"method": method, "seed": seed, "trial": trial, "status": status, "reason": failed, "time": 3.0}
    )


def search_ended(
    spent_pairs: int,
    method: str = "pbt",
    seed: int = 0,
    reason: str = "budget spent",
    rule: StopRule | None = None,
) -> SearchEnded:
    return SearchEnded(method=method, seed=seed, spent_pairs=spent_pairs, reason=reason, rule=rule, time=4.0)


def small_population() -> list[AnyRecord]:
    """Two members, two generations: in the second, member 1 takes over member 0's state, and its dropout rises."""
    return [
        run_started(),
        search(),
        assigned("a0", member=0, rate=0.1, dropout=0.0),
        evaluated("a0", 10.0, trained_pairs=100, spent_pairs=100),
        ended("a0"),
        assigned("b0", member=1, rate=0.4, dropout=0.5),
        evaluated("b0", None, trained_pairs=100, spent_pairs=200),
        ended("b0", failed="nan"),
        assigned("a1", member=0, parent="a0", generation=1, rate=0.1, dropout=0.0),
        evaluated("a1", 12.0, trained_pairs=200, spent_pairs=300),
        ended("a1"),
        assigned("b1", member=1, parent="a0", inherited=True, generation=1, rate=0.08, dropout=0.2),
        evaluated("b1", 15.0, trained_pairs=200, spent_pairs=400),
        ended("b1"),
        search_ended(400),
    ]
