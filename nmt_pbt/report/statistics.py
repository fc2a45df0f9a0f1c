"""What may be concluded from a run about the methods, and what may not.

The unit that is repeated is the whole search: a statement about *methods* needs several searches each. With one search
each there is only a statement about the two *models* that won, on the test sentences. Both are computed here and kept
apart by name: `searches` for the former, `sentences` for the latter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nmt_pbt.report.inference import (
    LEVEL,
    holm,
    mean_interval,
    paired_t_test,
    probability_of_superiority,
    seeds_needed,
)
from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.run import Run
from nmt_pbt.report.sentences import SentenceTests
from nmt_pbt.report.series import better


def summary(run: Run) -> pd.DataFrame:
    """One row a method: what its searches cost and what came of them.

    Returns:
        Columns: method, searches, finished, scored (have a winner) and tested (of them), trials and failed (mean a
        search), spent_pairs (mean a search), wall and seconds (mean a search: wall-clock without pauses, and working
        time summed over workers with the test), dev (mean over searches of the winner's objective) with dev_low and
        dev_high (95%, NaN for one search), then for each test metric X test_X, test_X_low, test_X_high likewise and
        gap_X (mean of dev X less test X), area (mean best-so-far), to_target (mean sentence pairs to reach the best
        baseline's final score, over the searches that did), reached (how many did).
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
            "scored": len(mine["winners"]),
            "tested": len(mine["tests"]),
            "trials": len(mine["trials"]) / count,
            "failed": float((mine["trials"]["status"] == "failed").sum()) / count,
            "spent_pairs": float(mine["searches"]["spent_pairs"].mean()),
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
        row["to_target"] = float(mine["targets"]["spent_pairs"].mean())
        row["reached"] = int(mine["targets"]["spent_pairs"].notna().sum())
        rows.append(row)
    return pd.DataFrame(rows)


def reference_method(run: Run) -> str:
    """Return the method that others are compared with: the first `pbt` where there is one, else the first method."""
    methods = [str(method) for method in dict.fromkeys(run.searches["method"])]
    return next((method for method in methods if base_method(method) == "pbt"), methods[0])


def tested_metrics(run: Run) -> list[str]:
    """Return the names of the metrics the test split was scored with, for instance `bleu` and `chrf`."""
    return [name.removeprefix("test_") for name in run.tests.columns if name.startswith("test_")]


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
    return str(scores.idxmax() if direction(run) == "max" else scores.idxmin())


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
        if not math.isnan(target) and not math.isnan(row["best"]) and not better(target, row["best"], direction(run)):
            reached.setdefault((row["method"], row["seed"]), float(row["spent_pairs"]))
    rows = [
        (search["method"], search["seed"], targets[search["seed"]], reached.get((search["method"], search["seed"])))
        for search in run.searches.to_dict("records")
        if search["seed"] in targets
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "target", "spent_pairs"]).astype({"spent_pairs": "float64"})


def direction(run: Run) -> str:
    """Return whether the objective is to be `max`imised or `min`imised."""
    return str(run.searches["direction"].iloc[0])


_MINIMISED = ("loss", "error", "mse", "mae", "mape", "perplexity")


def test_direction(run: Run, metric: str) -> str:
    """Return whether a test metric is to be `max`imised or `min`imised: as the objective, else as its name says."""
    if str(run.searches["objective"].iloc[0]).removeprefix("val_") == metric:
        return direction(run)
    return "min" if any(word in metric.lower() for word in _MINIMISED) else "max"


test_direction.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def population_methods(run: Run) -> list[str]:
    """Return the methods that search with a population, in the order of the run."""
    members, replays = run.trials.dropna(subset="member"), replay_methods(run)
    return [method for method in dict.fromkeys(members["method"]) if method not in replays]


def replay_methods(run: Run) -> list[str]:
    """Return the methods that train by what another one has found, in the order of the run: they search nothing."""
    return [str(name) for name in dict.fromkeys(run.searches["method"]) if method_info(str(name)).kind == "replay"]


def sentence_intervals(run: Run, metric: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Return the 95% interval of each winner's test score over resampled test sentences, by method and seed."""
    return _sentence_tests(run, metric).intervals()


def _sentence_tests(run: Run, metric: str) -> SentenceTests:
    return SentenceTests(metric, {search: counts[metric] for search, counts in run.counts.items()})


def comparisons(run: Run, metric: str) -> pd.DataFrame:
    """Compare all methods two by two on the test split, on the seeds both have been tested with.

    A run asks two questions beforehand: how its reference method, PBT, compares with its rivals, and how with its
    ablations, which tell what its parts are worth. Each is a family of comparisons of its own: they come first, are
    adjusted for as many as their family has, and may be claimed, so that any false claim among the answers to one
    question has a chance of at most 5%. The other pairs are looked through afterwards: they are adjusted for all
    pairs, and hints at most. Without PBT all other methods are rivals of the reference.

    Args:
        run: The run.
        metric: `bleu` or `chrf`.

    Returns:
        Columns: method_a, method_b, metric, searches (seeds both have), difference (mean of A less B, in points),
        low and high (95% over searches), p_searches (paired t-test over searches), sentences_low, sentences_high and
        p_sentences (paired bootstrap and approximate randomisation over test sentences; NaN where the run keeps no
        sentence counts), probability (that one search of A beats one of B), wins and losses (seeds in which A, or B, is
        better), needed (searches each that would show this difference with 80% chance; 0 when it cannot be told),
        family (`rivals`, `ablations`, or `others` for what nobody asked beforehand), compared (how many comparisons
        p-values and `needed` are adjusted for, by Holm's method: those of the family, of `others` all),
        verdict: `a` or `b`
        is better as a method, `hint` (the same of a pair that nobody asked about beforehand), `models` (these models
        differ, the methods are not shown to), or `open`. The reference is method_a in its rows. What is over searches
        is NaN where there is one. Intervals are each on its own, not adjusted.
    """
    tested = {(row["method"], int(row["seed"])): float(row[f"test_{metric}"]) for row in run.tests.to_dict("records")}
    methods = list(dict.fromkeys(method for method, _ in tested))
    reference = reference_method(run)
    if reference in methods:
        methods.insert(0, methods.pop(methods.index(reference)))
    pairs = [(a, b) for place, a in enumerate(methods) for b in methods[place + 1 :]]
    families = [_family(a, b, reference) for a, b in pairs]
    # Those that are asked about beforehand first: rivals, then ablations.
    order = sorted(range(len(pairs)), key=lambda place: _FAMILIES.index(families[place]))
    pairs, families = [pairs[place] for place in order], [families[place] for place in order]
    sizes = {**Counter(families), "others": len(pairs)}
    seeds = [[seed for method, seed in tested if method == a and (b, seed) in tested] for a, b in pairs]
    over_sentences = _sentence_tests(run, metric).compare(
        [
            ([(a, seed) for seed in both], [(b, seed) for seed in both])
            for (a, b), both in zip(pairs, seeds, strict=True)
        ]
    )
    sign = 1 if test_direction(run, metric) == "max" else -1
    rows = []
    for (a, b), family, both, sentences in zip(pairs, families, seeds, over_sentences, strict=True):
        scores = [tested[a, seed] for seed in both], [tested[b, seed] for seed in both]
        row = {**_compare(a, b, metric, *scores, sign, compared=sizes[family]), "family": family}
        if sentences is not None:
            row["sentences_low"], row["sentences_high"], row["p_sentences"] = sentences
        rows.append(row)
    for name in ("p_searches", "p_sentences"):
        p_values = np.array([row[name] for row in rows])
        adjusted = np.array(holm(p_values))
        for family in set(families) - {"others"}:
            mine = np.array(families) == family
            adjusted[mine] = holm(p_values[mine])
        for row, value in zip(rows, adjusted, strict=True):
            row[name] = float(value)
    for row in rows:
        row["verdict"] = _verdict(row, sign, asked=row["family"] != "others")
    return pd.DataFrame(rows, columns=_COMPARISON)


def against(pairs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the comparisons of the reference method, of those that `comparisons` returns."""
    return pairs[pairs["method_a"] == reference].reset_index(drop=True)


_COMPARISON = [
    *("method_a", "method_b", "metric", "searches", "difference", "low", "high", "p_searches"),
    *("sentences_low", "sentences_high", "p_sentences", "probability", "wins", "losses", "needed"),
    *("family", "compared", "verdict"),
]
_FAMILIES = ("rivals", "ablations", "others")


def _family(a: str, b: str, reference: str) -> str:
    """Return which question a comparison of two methods answers."""
    if a != reference:
        return "others"
    return "ablations" if base_method(reference) == "pbt" and method_info(b).ablation else "rivals"


def _compare(
    a: str, b: str, metric: str, scores_a: list[float], scores_b: list[float], sign: int, compared: int
) -> dict[str, Any]:
    """Compare two methods by their scores with the same seeds; one of so many comparisons. `sign` -1: low is good."""
    count = len(scores_a)
    differences = np.subtract(scores_a, scores_b)
    low, high = mean_interval(differences)
    return {
        "method_a": a,
        "method_b": b,
        "metric": metric,
        "searches": count,
        "difference": float(differences.mean()) if count else math.nan,
        "low": low,
        "high": high,
        "p_searches": paired_t_test(differences),
        "sentences_low": math.nan,
        "sentences_high": math.nan,
        "p_sentences": math.nan,
        "probability": (
            probability_of_superiority([sign * score for score in scores_a], [sign * score for score in scores_b])
            if count > 1
            else math.nan
        ),
        "wins": int((sign * differences > 0).sum()),
        "losses": int((sign * differences < 0).sum()),
        "needed": seeds_needed(differences, compared) or 0,
        "compared": compared,
    }


def _verdict(row: Mapping[str, Any], sign: int, asked: bool) -> str:
    """Claim a difference of methods only if it holds over searches and, where that is known, over sentences."""
    over_sentences = math.isnan(row["p_sentences"]) or row["p_sentences"] < 1 - LEVEL
    if row["p_searches"] < 1 - LEVEL and over_sentences:
        return ("a" if sign * row["difference"] > 0 else "b") if asked else "hint"
    return "models" if row["p_sentences"] < 1 - LEVEL else "open"


def _with_interval(name: str, values: npt.NDArray[np.float64]) -> dict[str, float]:
    low, high = mean_interval(values)
    return {name: float(values.mean()) if len(values) else math.nan, f"{name}_low": low, f"{name}_high": high}
