"""What may be concluded from a run about the methods, and what may not.

The unit that is repeated is the whole search: a statement about *methods* needs several searches each. With one search
each there is only a statement about the two *models* that won, on the test sentences. Both are computed here and kept
apart by name: `searches` for the former, `sentences` for the latter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from nmt_pbt.report.comparisons import Comparison, against, comparisons, reference_method
from nmt_pbt.report.inference import (
    Estimate,
)
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.series import better


@dataclass(frozen=True)
class MethodSummary:
    """What the searches of one method cost, and what came of them.

    Attributes:
        method: Its name.
        searches: How many.
        finished: How many of them ended.
        scored: How many have a winner.
        tested: How many winners were tested.
        trials: Mean number of trials of a search.
        failed: Mean number of trials that failed.
        spent_pairs: Mean number of sentence pairs trained by a search.
        wall: Mean wall-clock of a search in seconds, without pauses.
        seconds: Mean working time of a search, summed over workers, with the test.
        dev: The winners' objective.
        test: The winners' test scores, by metric.
        gap: Mean of dev less test, by metric; without those that are not known of dev.
        area: Mean best-so-far, see `area_under_best`.
        to_target: Mean sentence pairs to reach the best baseline's final score, over the searches that did.
        reached: How many did.
    """

    method: str
    searches: int
    finished: int
    scored: int
    tested: int
    trials: float
    failed: float
    spent_pairs: float
    wall: float
    seconds: float
    dev: Estimate
    test: dict[str, Estimate]
    gap: dict[str, float]
    area: float
    to_target: float
    reached: int

    @property
    def failures(self) -> int:
        """How many trials failed, in all searches together."""
        return round(self.failed * self.searches)

    def columns(self) -> dict[str, Any]:
        """Return it as a row of a table, with `test_X` and `gap_X` for each metric X; ends as `..._low`, `..._high`."""
        row = {name: value for name, value in vars(self).items() if name not in ("dev", "test", "gap")}
        ends = {name: row.pop(name) for name in ("area", "to_target", "reached")}
        row.update(self.dev.columns("dev"))
        for metric, estimate in self.test.items():
            row.update(estimate.columns(f"test_{metric}"))
            row.update({f"gap_{metric}": self.gap[metric]} if metric in self.gap else {})
        return {**row, **ends}


@dataclass(frozen=True)
class Results:
    """What is computed of a run before it is put into words, tables and figures.

    Attributes:
        run: The run.
        summaries: One a method, in the order of the run.
        comparisons: Of all methods two by two, by test metric.
        reference: The method that others are compared with.
        baseline: The best method with fixed values; None where there is none.
    """

    run: Run
    summaries: list[MethodSummary]
    comparisons: dict[str, list[Comparison]]
    reference: str
    baseline: str | None

    @property
    def main_metric(self) -> str | None:
        """The test metric that is told first: the objective's where test was scored with it, else the first."""
        return main_metric(self.run)

    def against(self, metric: str | None) -> list[Comparison]:
        """Return the comparisons of the reference method by a test metric; none without a metric."""
        return against(self.comparisons.get(metric or "", []), self.reference)


def results_of(run: Run) -> Results:
    """Compute everything that is told of a run, once."""
    compared = {metric: comparisons(run, metric) for metric in run.tested_metrics}
    return Results(run, summaries(run), compared, reference_method(run), best_baseline(run))


def frame_of(rows: Sequence[MethodSummary] | Sequence[Comparison]) -> pd.DataFrame:
    """Return summaries or comparisons as a table, one row each."""
    columns = None if rows else list(Comparison.__dataclass_fields__)
    return pd.DataFrame(
        [row.columns() if isinstance(row, MethodSummary) else asdict(row) for row in rows], columns=columns
    )


def summaries(run: Run) -> list[MethodSummary]:
    """Return what each method's searches cost and what came of them, in the order of the run."""
    metrics = run.tested_metrics
    areas, targets = area_under_best(run), budget_to_target(run)
    found = []
    for method in run.methods:
        searches, trials, winners, tests, time, best, area, target = (
            frame[frame["method"] == method]
            for frame in (
                *(run.searches, run.trials, run.winners, run.tests),
                *(run.time_spent, run.best_so_far, areas, targets),
            )
        )
        test, gap = {}, {}
        for metric in metrics:
            values = tests[f"test_{metric}"].to_numpy(dtype=np.float64)
            test[metric] = Estimate.of(values)
            if f"dev_{metric}" in tests:
                gaps = tests[f"dev_{metric}"].to_numpy(dtype=np.float64) - values
                gap[metric] = float(gaps.mean()) if len(gaps) else math.nan
        found.append(
            MethodSummary(
                method=method,
                searches=len(searches),
                finished=int(searches["finished"].sum()),
                scored=len(winners),
                tested=len(tests),
                trials=len(trials) / len(searches),
                failed=float((trials["status"] == "failed").sum()) / len(searches),
                spent_pairs=float(searches["spent_pairs"].mean()),
                wall=float(best.groupby("seed")["seconds"].max().mean()),
                seconds=float(time["total"].mean()),
                dev=Estimate.of(winners["score"].to_numpy(dtype=np.float64)),
                test=test,
                gap=gap,
                area=float(area["area"].mean()),
                to_target=float(target["spent_pairs"].mean()),
                reached=int(target["spent_pairs"].notna().sum()),
            )
        )
    return found


def main_metric(run: Run) -> str | None:
    """Return the test metric that is told first: the objective's where the test split was scored with it, else BLEU."""
    metrics, objective = run.tested_metrics, run.objective.removeprefix("val_")
    return objective if objective in metrics else next(iter(metrics), None)


def area_under_best(run: Run) -> pd.DataFrame:
    """Mean of best-so-far over the budget, from where every search has a first score: how soon it was good.

    Returns:
        Columns: method, seed, area (in units of the objective).
    """
    curves = run.best_so_far.dropna(subset="best")
    first = curves.groupby(["method", "seed"], sort=False)["spent_pairs"].first()
    begin = int(first.max()) if len(first) else 0
    rows = []
    for search in run.searches.to_dict("records"):
        method, seed = search["method"], search["seed"]
        curve = curves[(curves["method"] == method) & (curves["seed"] == seed)]
        if curve.empty:
            continue
        end = max(int(search["budget_pairs"]), int(curve["spent_pairs"].max()))
        steps = np.append(curve["spent_pairs"].to_numpy(dtype=np.float64), end).clip(min=begin)
        width = steps[-1] - steps[0]
        best = curve["best"].to_numpy(dtype=np.float64)
        rows.append((method, seed, float((np.diff(steps) * best).sum() / width) if width else float(best[-1])))
    return pd.DataFrame(rows, columns=["method", "seed", "area"])


def best_baseline(run: Run) -> str | None:
    """Return the method with fixed values whose winners are best on dev, on average; None where there is none."""
    others = [*population_methods(run), *replay_methods(run)]
    scores = run.winners[~run.winners["method"].isin(others)].groupby("method", sort=False)["score"].mean()
    if scores.empty:
        return None
    return str(scores.idxmax() if run.direction == "max" else scores.idxmin())


def budget_to_target(run: Run) -> pd.DataFrame:
    """Sentence pairs each search needed to reach what the best baseline had in the end, seed by seed.

    Returns:
        Columns: method, seed, target (the baseline's final score on dev), spent_pairs (NaN where it was not reached).
    """
    baseline = best_baseline(run)
    targets = {row["seed"]: row["score"] for row in run.winners.to_dict("records") if row["method"] == baseline}
    reached: dict[tuple[str, int], float] = {}
    for row in run.best_so_far.to_dict("records"):
        target = targets.get(row["seed"], math.nan)
        if not math.isnan(target) and not math.isnan(row["best"]) and not better(target, row["best"], run.direction):
            reached.setdefault((row["method"], row["seed"]), float(row["spent_pairs"]))
    rows = [
        (search["method"], search["seed"], targets[search["seed"]], reached.get((search["method"], search["seed"])))
        for search in run.searches.to_dict("records")
        if search["seed"] in targets
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "target", "spent_pairs"]).astype({"spent_pairs": "float64"})


def population_methods(run: Run) -> list[str]:
    """Return the methods that search with a population, in the order of the run."""
    members, replays = run.trials.dropna(subset="member"), replay_methods(run)
    return [method for method in dict.fromkeys(members["method"]) if method not in replays]


def replay_methods(run: Run) -> list[str]:
    """Return the methods that train by what another one has found, in the order of the run: they search nothing."""
    return [method for method in run.methods if method_info(method).kind == "replay"]
