"""A PBT search by nmt-pbt, with its live model or with one that is built anew for each trial."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol import Calls, Stopwatch, Workload, serve
from search_task import read_task


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Prepare the corpus; see `protocol.serve`."""
    import keras

    from nmt_pbt.run.driver import Driver
    from nmt_pbt.run.journal import Journal
    from nmt_pbt.run.records import Evaluated, SearchStarted
    from nmt_pbt.run.worker import InlineEngine, LiveTrainable, TrainablePool
    from nmt_pbt.search.methods.registry import build_method
    from nmt_pbt.tasks.state import StateStore
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

    class Rebuilding(TrainablePool):
        """Gives out a new trainable each time, as searches do that know nothing of live models."""

        def get(self, values: Mapping[str, Any]) -> LiveTrainable:
            # Without clearing, each model's graph stays in memory. The tokenizer inside the subwords goes with it.
            keras.utils.clear_session()
            prepared = replace(task.prepared, subwords=Subwords.load(task.prepared.subwords.model))
            return LiveTrainable(replace(task, prepared=prepared).build({}))

    task = read_task(workload)
    settings = task.settings
    method = build_method("pbt", settings.search_plan(), settings.seed, task.pairs_per_epoch)
    objective = method.objective

    def search() -> Mapping[str, Any]:
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
            stopwatch = Stopwatch()
            pool = (Rebuilding if arguments.rebuild else TrainablePool)(task)
            start = SearchStarted(
                method="pbt",
                seed=settings.seed,
                objective=objective.name,
                direction=objective.direction,
                budget_pairs=method.budget.total,
                interval_pairs=method.budget.pairs(settings.search.interval),
                pairs_per_epoch=task.pairs_per_epoch,
                population=settings.search.population,
            )
            Driver(method, InlineEngine(pool, StateStore(Path(folder) / "states")), journal, start).run()
            seconds = stopwatch.read()
            intervals = [record.seconds for record in journal.records if isinstance(record, Evaluated)]
        return {
            **seconds,
            "intervals": [interval.train + interval.evaluate for interval in intervals],
            "items": {name: sum(getattr(item, name) for item in intervals) for name in type(intervals[0]).model_fields},
        }

    return {"search": search}


if __name__ == "__main__":
    serve(
        ["tensorflow", "keras", "keras_tuner"],
        build,
        lambda parser: parser.add_argument("--rebuild", action="store_true"),
    )
