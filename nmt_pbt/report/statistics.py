"""What may be concluded from a run about the methods, and what may not.

The unit that is repeated is the whole search: a statement about *methods* needs several searches each. With one search
each there is only a statement about the two *models* that won, on the test sentences. Both are computed here and kept
apart by name: `searches` for the former, `sentences` for the latter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from nmt_pbt.method_names import REPLAYS
from nmt_pbt.randomness import generator
from nmt_pbt.report.figures.style import base_method
from nmt_pbt.report.run import Run
from nmt_pbt.report.sentences import SentenceTests
from nmt_pbt.report.series import better

LEVEL = 0.95
"""Confidence of every interval."""

STUDENTISED_FROM = 6
"""Searches from which the bootstrap is used. With fewer, its intervals are far too short (with 3 searches they hold
the truth 3 times in 4), and Student's t is used."""

_RESAMPLES = 4000
_POWER = 0.8
_MOST_SEEDS = 1000
_CERTAIN = 30.0


def mean_interval(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return a 95% interval of the mean over repeated searches.

    Args:
        values: One score a search. With `STUDENTISED_FROM` and more, the studentised bootstrap (Efron & Tibshirani
            1993, section 12.5); with fewer, Student's t.

    Returns:
        Lower and upper end; NaN for fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    count = len(sample)
    if count < 2 or not np.isfinite(sample).all():
        return math.nan, math.nan
    mean, error = float(sample.mean()), float(sample.std(ddof=1) / math.sqrt(count))
    if error == 0.0:
        return mean, mean
    low = high = float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
    if count >= STUDENTISED_FROM:
        drawn = sample[generator(0, "mean interval", count).integers(0, count, (_RESAMPLES, count))]
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(count)
        usable = errors > 1e-9 * error  # a resample of one value over and over has no error to divide by
        studentised = (drawn.mean(axis=1)[usable] - mean) / errors[usable]
        quantiles = np.quantile(studentised, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = float(quantiles[1]), -float(quantiles[0])
    return mean - low * error, mean + high * error


def probability_of_superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how likely one search by A beats one by B: over all pairs of searches, ties counting half.

    Args:
        a: Scores of A, higher is better.
        b: Scores of B.

    Returns:
        0 to 1; NaN where either has no score.
    """
    if not len(a) or not len(b):
        return math.nan
    differences = np.subtract.outer(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return float((differences > 0).mean() + 0.5 * (differences == 0).mean())


def seeds_needed(differences: Sequence[float] | npt.NDArray[np.float64]) -> int | None:
    """Return how many searches of each method would show this difference, if it is as it looks.

    Args:
        differences: Difference of two methods by seed.

    Returns:
        The smallest number for which a paired t-test at 5% has 80% power; None when it would take more than 1,000, or
        cannot be told from fewer than two differences.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if len(sample) < 2 or sample.std(ddof=1) == 0.0:
        return None
    effect = abs(float(sample.mean())) / float(sample.std(ddof=1))
    # With the spread known, (1.96 + 0.84)^2 / effect^2 would do; estimating it costs a few searches more.
    least = ((special.ndtri((1 + LEVEL) / 2) + special.ndtri(_POWER)) / effect) ** 2 if effect else math.inf
    if least > _MOST_SEEDS:
        return None
    return next(
        (count for count in range(max(2, math.ceil(least)), _MOST_SEEDS + 1) if _power(effect, count) >= _POWER), None
    )


def _power(effect: float, count: int) -> float:
    """Return the power of a two-sided paired t-test at 5% for an effect in standard deviations, in its direction."""
    critical = float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
    shifted = effect * math.sqrt(count)
    if shifted > _CERTAIN:
        return 1.0  # where the noncentral distribution is no longer computed reliably
    return 1.0 - float(special.nctdtr(count - 1, shifted, critical))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for having made several comparisons (Holm 1979).

    Args:
        p_values: NaN for a comparison that was not made.

    Returns:
        Adjusted p-values in the same order; below 5% they keep the chance of *any* false claim below 5%.
    """
    made = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * p))
        adjusted[place] = highest
    return adjusted


def summary(run: Run) -> pd.DataFrame:
    """One row a method: what its searches cost and what came of them.

    Returns:
        Columns: method, searches, finished (of them), trials and failed (mean a search), spent (mean a search),
        wall and seconds (mean a search: wall-clock without pauses, and working time summed over workers with the test),
        dev (mean over searches of the winner's objective) with dev_low and dev_high (95%, NaN for one search), then for
        each test metric X test_X, test_X_low, test_X_high likewise and gap_X (mean of dev X less test X), area (mean
        best-so-far), to_target (mean sentence pairs to reach the best baseline's final score, over the searches
        that did), reached (how many did).
    """
    metrics = tested_metrics(run)
    areas, targets = area_under_best(run), budget_to_target(run)
    rows = []
    for method in dict.fromkeys(run.searches["method"]):
        mine = {
            name: frame[frame["method"] == method]
            for name, frame in (
                ("searches", run.searches),
                ("trials", run.trials),
                ("winners", run.winners),
                ("tests", run.tests),
                ("time", run.time_spent),
                ("clocks", run.best_so_far),
                ("areas", areas),
                ("targets", targets),
            )
        }
        count = len(mine["searches"])
        dev = mine["winners"]["score"].to_numpy(dtype=np.float64)
        row: dict[str, Any] = {
            "method": method,
            "searches": count,
            "finished": int(mine["searches"]["finished"].sum()),
            "trials": len(mine["trials"]) / count,
            "failed": float((mine["trials"]["status"] == "failed").sum()) / count,
            "spent": float(mine["searches"]["spent"].mean()),
            "wall": float(mine["clocks"].groupby("seed")["seconds"].max().mean()),
            "seconds": float(mine["time"]["total"].mean()),
            **_with_interval("dev", dev),
        }
        for metric in metrics:
            values = mine["tests"][f"test_{metric}"].to_numpy(dtype=np.float64)
            row.update(_with_interval(f"test_{metric}", values))
            if f"dev_{metric}" in run.tests:
                gaps = mine["tests"][f"dev_{metric}"].to_numpy(dtype=np.float64) - values
                row[f"gap_{metric}"] = float(gaps.mean()) if len(gaps) else math.nan
        row["area"] = float(mine["areas"]["area"].mean())
        row["to_target"] = float(mine["targets"]["spent"].mean())
        row["reached"] = int(mine["targets"]["spent"].notna().sum())
        rows.append(row)
    return pd.DataFrame(rows)


def tested_metrics(run: Run) -> list[str]:
    """Return the names of the metrics the test split was scored with, for instance `bleu` and `chrf`."""
    return [name.removeprefix("test_") for name in run.tests.columns if name.startswith("test_")]


def area_under_best(run: Run) -> pd.DataFrame:
    """Mean of best-so-far over the budget, from where every search has a first score: how soon it was good.

    Returns:
        Columns: method, seed, area (in units of the objective).
    """
    curves = run.best_so_far.dropna(subset="best")
    first = curves.groupby(["method", "seed"], sort=False)["spent"].first()
    begin = int(first.max()) if len(first) else 0
    rows = []
    for search in run.searches.to_dict("records"):
        method, seed = search["method"], search["seed"]
        curve = curves[(curves["method"] == method) & (curves["seed"] == seed)]
        if curve.empty:
            continue
        end = max(int(search["budget"]), int(curve["spent"].max()))
        steps = np.append(curve["spent"].to_numpy(dtype=np.float64), end).clip(min=begin)
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
    return str(scores.idxmax() if direction(run) == "max" else scores.idxmin())


def budget_to_target(run: Run) -> pd.DataFrame:
    """Sentence pairs each search needed to reach what the best baseline had in the end, seed by seed.

    Returns:
        Columns: method, seed, target (the baseline's final score on dev), spent (NaN where it was not reached).
    """
    baseline = best_baseline(run)
    targets = {row["seed"]: row["score"] for row in run.winners.to_dict("records") if row["method"] == baseline}
    reached: dict[tuple[str, int], float] = {}
    for row in run.best_so_far.to_dict("records"):
        target = targets.get(row["seed"], math.nan)
        if not math.isnan(target) and not math.isnan(row["best"]) and not better(target, row["best"], direction(run)):
            reached.setdefault((row["method"], row["seed"]), float(row["spent"]))
    rows = [
        (search["method"], search["seed"], targets[search["seed"]], reached.get((search["method"], search["seed"])))
        for search in run.searches.to_dict("records")
        if search["seed"] in targets
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "target", "spent"]).astype({"spent": "float64"})


def direction(run: Run) -> str:
    """Return whether the objective is to be `max`imised or `min`imised."""
    return str(run.searches["direction"].iloc[0])


def population_methods(run: Run) -> list[str]:
    """Return the methods that search with a population, in the order of the run."""
    members, replays = run.trials.dropna(subset="member"), replay_methods(run)
    return [method for method in dict.fromkeys(members["method"]) if method not in replays]


def replay_methods(run: Run) -> list[str]:
    """Return the methods that train by what another one has found, in the order of the run: they search nothing."""
    return [str(method) for method in dict.fromkeys(run.searches["method"]) if base_method(str(method)) in REPLAYS]


def sentence_intervals(run: Run, metric: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Return the 95% interval of each winner's test score over resampled test sentences, by method and seed."""
    return _sentence_tests(run, metric).intervals()


def _sentence_tests(run: Run, metric: str) -> SentenceTests:
    return SentenceTests(metric, {search: counts[metric] for search, counts in run.counts.items()})


def comparisons(run: Run, metric: str) -> pd.DataFrame:
    """Compare all methods two by two on the test split, on the seeds both have been tested with.

    Args:
        run: The run.
        metric: `bleu` or `chrf`.

    Returns:
        Columns: method_a, method_b, metric, searches (seeds both have), difference (mean of A less B, in points),
        low and high (95% over searches), p_searches (paired t-test over searches), sentences_low, sentences_high and
        p_sentences (paired bootstrap and approximate randomisation over test sentences; NaN where the run keeps no
        sentence counts), probability (that one search of A beats one of B), wins and losses (seeds in which A, or B, is
        better), needed (searches each that would show this difference; 0 when it cannot be told), verdict: `a` or `b`
        is better as a method, `models` (these models differ, the methods are not shown to), or `open`. What is over
        searches is NaN where there is one. P-values are adjusted by Holm's method for the number of rows.
    """
    tested = {(row["method"], int(row["seed"])): float(row[f"test_{metric}"]) for row in run.tests.to_dict("records")}
    methods = list(dict.fromkeys(method for method, _ in tested))
    pairs = [(a, b) for place, a in enumerate(methods) for b in methods[place + 1 :]]
    seeds = [[seed for method, seed in tested if method == a and (b, seed) in tested] for a, b in pairs]
    over_sentences = _sentence_tests(run, metric).compare(
        [
            ([(a, seed) for seed in both], [(b, seed) for seed in both])
            for (a, b), both in zip(pairs, seeds, strict=True)
        ]
    )
    rows = []
    for (a, b), both, sentences in zip(pairs, seeds, over_sentences, strict=True):
        row = _compare(a, b, metric, [tested[a, seed] for seed in both], [tested[b, seed] for seed in both])
        if sentences is not None:
            row["sentences_low"], row["sentences_high"], row["p_sentences"] = sentences
        rows.append(row)
    for name in ("p_searches", "p_sentences"):
        for row, adjusted in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[name] = adjusted
    for row in rows:
        row["verdict"] = _verdict(row)
    return pd.DataFrame(rows, columns=_COMPARISON)


def against(pairs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return one method's comparisons with each other one.

    Args:
        pairs: As `comparisons` returns them.
        reference: The method that is to be method_a in every row.

    Returns:
        Those rows, turned round where they have to be; p-values stay adjusted for all pairs.
    """
    rows: list[dict[Any, Any]] = pairs.to_dict("records")
    rows = [_turned(row) if row["method_b"] == reference else row for row in rows]
    return pd.DataFrame([row for row in rows if row["method_a"] == reference], columns=_COMPARISON)


def _turned(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the comparison of B with A."""
    return {
        **row,
        "method_a": row["method_b"],
        "method_b": row["method_a"],
        "difference": -row["difference"],
        "low": -row["high"],
        "high": -row["low"],
        "sentences_low": -row["sentences_high"],
        "sentences_high": -row["sentences_low"],
        "probability": 1 - row["probability"],
        "wins": row["losses"],
        "losses": row["wins"],
        "verdict": {"a": "b", "b": "a"}.get(row["verdict"], row["verdict"]),
    }


_COMPARISON = [
    *("method_a", "method_b", "metric", "searches", "difference", "low", "high", "p_searches"),
    *("sentences_low", "sentences_high", "p_sentences", "probability", "wins", "losses", "needed", "verdict"),
]


def _compare(a: str, b: str, metric: str, scores_a: list[float], scores_b: list[float]) -> dict[str, Any]:
    """Compare two methods by their scores with the same seeds."""
    count = len(scores_a)
    differences = np.subtract(scores_a, scores_b)
    low, high = mean_interval(differences)
    p_searches = math.nan
    if count > 1:
        error = float(differences.std(ddof=1)) / math.sqrt(count)
        same = 0.0 if not differences.any() else math.inf
        statistic = abs(float(differences.mean())) / error if error > 0 else same
        p_searches = 2 * float(special.stdtr(count - 1, -statistic))
    return {
        "method_a": a,
        "method_b": b,
        "metric": metric,
        "searches": count,
        "difference": float(differences.mean()) if count else math.nan,
        "low": low,
        "high": high,
        "p_searches": p_searches,
        "sentences_low": math.nan,
        "sentences_high": math.nan,
        "p_sentences": math.nan,
        "probability": probability_of_superiority(scores_a, scores_b) if count > 1 else math.nan,
        "wins": int((differences > 0).sum()),
        "losses": int((differences < 0).sum()),
        "needed": seeds_needed(differences) or 0,
    }


def _verdict(row: Mapping[str, Any]) -> str:
    """Claim a difference of methods only if it holds over searches and, where that is known, over sentences."""
    over_sentences = math.isnan(row["p_sentences"]) or row["p_sentences"] < 1 - LEVEL
    if row["p_searches"] < 1 - LEVEL and over_sentences:
        return "a" if row["difference"] > 0 else "b"
    return "models" if row["p_sentences"] < 1 - LEVEL else "open"


def _with_interval(name: str, values: npt.NDArray[np.float64]) -> dict[str, float]:
    low, high = mean_interval(values)
    return {name: float(values.mean()) if len(values) else math.nan, f"{name}_low": low, f"{name}_high": high}
