"""`nmt_pbt.compare_task`: several search methods on a task of one's own, at equal budget, in a script or a notebook."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.run.own_task import check_counts, engine_settings, run_name, run_searches, say, task_settings
from nmt_pbt.run.records import Evaluated, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.schedule import Schedule, found_schedule
from nmt_pbt.settings.own_task import OwnTaskSettings
from nmt_pbt.tasks.kept_model import revived
from nmt_pbt.tasks.protocol import SearchableTask, Trainable
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.track.names import warn_unsent
from nmt_pbt.track.tracking import tracking

_LOG = logging.getLogger("nmt_pbt")
METHODS = ("pbt", "random", "hyperband", "bayes", "grid")


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        task: What was trained.
        run: Its tables, as `nmt_pbt.load_run` reads them.
        report: The page of its report; None where it was not drawn.
    """

    task: SearchableTask
    run: Run
    report: Path | None

    def winner(self, method: str | None = None, seed: int | None = None) -> Trainable:
        """Return a winner, as it was when it was evaluated.

        Args:
            method: Whose; None takes the best of all, by the objective.
            seed: Of which search; None takes the best.

        Raises:
            UsageError: There is none, or the run was copied without its models.
        """
        (chosen,) = choose_models(self.run.path, OwnTaskSettings, method, seed)
        won = next(record for record in self.run.tested if f"{record.method}-seed{record.seed}" == chosen.name)
        content = next(
            record.state
            for record in self.run.records
            if isinstance(record, Evaluated) and _place(record) == _place(won)
        )
        return revived(self.task, chosen.values, StateStore(chosen.folder).load(chosen.name, content or ""))

    @property
    def schedule(self) -> pd.DataFrame:
        """The hyperparameters of PBT's best model over its training: one row a segment of constant values.

        Columns: epoch and until (epochs that its weights were trained on), and one for each hyperparameter. Empty
        where the method `pbt` was not compared.
        """
        rows, epoch = [], 0.0
        found = self._found
        for segment in found.segments if found is not None else ():
            rows.append({"epoch": _whole(epoch), "until": _whole(epoch + segment.epochs), **segment.values})
            epoch += segment.epochs
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["epoch", "until"])

    @cached_property
    def _found(self) -> Schedule | None:
        """What PBT's best model was trained with; None where the method `pbt` was not compared."""
        won = [record for record in self.run.tested if record.method == "pbt"]
        if not won:
            return None
        objective = self.task.searched_objective
        sign = 1 if objective.direction == "max" else -1
        best = max(won, key=lambda record: sign * record.dev[objective.name])
        return found_schedule(self.run.records, "pbt", best.seed, self.run.name)


def _place(record: Evaluated | Tested) -> tuple[str, int, str, int]:
    return record.method, record.seed, record.trial, record.interval_index


def _whole(epochs: float) -> float:
    """Return a whole number as such."""
    return round(epochs) if abs(epochs - round(epochs)) < 1e-9 else epochs


def compare_task(
    task: SearchableTask,
    *,
    methods: Sequence[str] = METHODS,
    seeds: int = 3,
    population: int = 8,
    epochs: float = 20,
    more_epochs: float = 0,
    interval: float = 1,
    workers: int = 0,
    address: str | None = None,
    seed: int = 0,
    directory: str | Path,
    stop: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    accept_changes: bool = False,
    track: Sequence[str] = (),
    report: bool = True,
    verbose: int = 1,
) -> Comparison:
    """Search for the hyperparameters of anything that can be trained, with several methods at equal budget.

    Each method trains `population` x `epochs` epochs for each seed, and is evaluated after every interval. Each winner
    is tested once. The report is `report/index.html` in the folder. Called again with the same arguments it goes on
    where it was stopped; methods and seeds may be added.

    Args:
        task: What is trained and by which metric it is searched. With worker processes it is sent to them by pickle,
            and a script needs `if __name__ == "__main__":` around this call.
        methods: Which, by name; see `compare`.
        seeds: How often each search is repeated.
        population: What PBT trains side by side; all methods get its budget.
        epochs: That each of them trains.
        more_epochs: That each of them trains beyond these: a run that has ended goes on with them. For populations
            alone.
        interval: Epochs between two evaluations, and two decisions of PBT.
        workers: Processes that train, for all searches at once; 0 takes as many as cores and memory allow, 1 trains in
            this process. What is found does not depend on it.
        address: Of a Ray cluster, whose workers train.
        seed: Seed of the first search; the others follow on it.
        directory: The run's folder.
        stop: Rules that end a search before its budget is spent; see `compare`.
        settings: More settings under `search`, for instance `{"pbt": {"fraction": 0.3}}`; see docs/settings.md.
        accept_changes: Go on with a run under another version of this program or of its libraries.
        track: Trackers that follow each model while it is trained: `mlflow`, `wandb`.
        report: Draw the report when the searches are over; False leaves it to `nmt-pbt report`.
        verbose: 0 prints nothing, 1 a line for each search, 2 for each interval.

    Returns:
        The run's tables, its winners, PBT's schedule, and where the report is.

    Raises:
        UsageError: An argument cannot be used, or the folder holds a run with other settings; says what to do.
        SearchError: Every trial of every method failed.
    """
    check_counts(seeds, population, workers, seed)
    folder = Path(directory)
    tree = task_settings(
        task,
        {
            "name": run_name(folder.resolve().name),
            "seed": seed,
            "training": {"epochs": float(epochs)},
            "search": {
                **(settings or {}),
                **({"stop": dict(stop)} if stop else {}),
                "methods": list(methods),
                "seeds": seeds,
                "population": population,
                "interval": float(interval),
                "more_epochs": float(more_epochs),
            },
            "engine": engine_settings(workers, address),
            "report": report,
        },
    )
    run = RunDirectory(folder, accept_changes, elsewhere="another directory=")
    with tracking(track, run, _LOG.warning) as listener:
        left = run_searches(run, tree, task, verbose, listener)
    if not left:
        warn_unsent(run, track, _LOG.warning)
    page = write_report(folder) if report else None
    if verbose:
        say((page or run.report_command) if left else f"{folder}: nothing was left to do")
    return Comparison(task, load_run(folder), page)
