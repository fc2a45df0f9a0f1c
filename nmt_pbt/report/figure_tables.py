"""Tables made for one figure each, so that drawing computes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from nmt_pbt.report.methods import base_method, method_info
from nmt_pbt.report.run import Run
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain
from nmt_pbt.tasks.protocol import LEARNING_RATE

_NEAR_BOUND = 0.02  # share of the range that counts as being at its end


def progress_curves(best: pd.DataFrame, against: str, direction: str) -> pd.DataFrame:
    """Best-so-far of each method over its searches, as steps.

    Args:
        best: `series.best_so_far`.
        against: The column that is the horizontal axis: `spent_epochs` or `seconds`.
        direction: `max` or `min`.

    Returns:
        Columns: method, x, mean, low, high (least and greatest over searches), searches. Rows begin where all of a
        method's searches have a first score.
    """
    accumulate = np.maximum.accumulate if direction == "max" else np.minimum.accumulate
    rows: list[tuple[str, float, float, float, float, int]] = []
    for method in dict.fromkeys(best["method"]):
        curves = []
        for _, curve in best[best["method"] == method].groupby("seed", sort=False):
            ordered = curve.dropna(subset="best").sort_values(against, kind="stable")
            if len(ordered):
                # Several workers finish in another order than the journal's: the best is taken anew.
                scores = ordered["score"].fillna(-math.inf if direction == "max" else math.inf)
                curves.append((ordered[against].to_numpy(dtype=float), accumulate(scores.to_numpy(dtype=float))))
        if not curves:
            continue
        begin = max(float(x[0]) for x, _ in curves)
        grid = np.unique(np.concatenate([x for x, _ in curves]))
        grid = grid[grid >= begin]
        values = np.stack([y[np.searchsorted(x, grid, side="right") - 1] for x, y in curves])
        columns = (grid, values.mean(axis=0), values.min(axis=0), values.max(axis=0))
        rows += [(method, *map(float, point), len(curves)) for point in zip(*columns, strict=True)]
    return pd.DataFrame(rows, columns=["method", "x", "mean", "low", "high", "searches"])


def member_curves(run: Run, method: str, seed: int) -> pd.DataFrame:
    """The learning curve of each trial of one search, each beginning where its parent's ended.

    Returns:
        Columns: trial, member, epochs (of training of these weights), score, winner (this point lies on the way to the
        winning evaluation), root (the parent's last point, repeated to join the two).
    """
    chain = _winning(run, method, seed)
    parents = {row["trial"]: row["parent"] for row in rows_of(run.trials, method, seed)}
    last: dict[str, tuple[float, float]] = {}
    rows: list[tuple[str, object, float, float, bool, bool]] = []
    for point in rows_of(run.evaluations, method, seed):
        trial, here = str(point["trial"]), (float(point["trained_epochs"]), float(point["score"]))
        won = point["trained_pairs"] <= chain.get(trial, -math.inf)
        if trial not in last and parents[trial] in last:
            rows.append((trial, point["member"], *last[parents[trial]], trial in chain, True))
        rows.append((trial, point["member"], *here, won, False))
        last[trial] = here
    return pd.DataFrame(rows, columns=["trial", "member", "epochs", "score", "winner", "root"])


def _winning(run: Run, method: str, seed: int) -> dict[str, float]:
    """Return the trials of the winner's lineage, with the age up to which each belongs to it."""
    if not rows_of(run.winners, method, seed):
        return {}
    chain = run.ancestry.chain(method, seed)
    return {str(row["trial"]): float(row["trained_pairs"]) for row in chain.to_dict("records")}


def exploits(run: Run, method: str, seed: int) -> pd.DataFrame:
    """Where a member gave up its own state for another's.

    Returns:
        Columns: child, left_epochs, left_score (the state given up; its score may be NaN), epochs, score (the state
        adopted).
    """
    last = {
        str(row["trial"]): (float(row["trained_epochs"]), float(row["score"]))
        for row in rows_of(run.evaluations, method, seed)
    }
    rows = [
        (row["child"], *last[str(row["left"])], *last[str(row["parent"])])
        for row in rows_of(run.lineage, method, seed)
        if row["inherited"] and row["left"] in last and row["parent"] in last
    ]
    return pd.DataFrame(rows, columns=["child", "left_epochs", "left_score", "epochs", "score"])


def ablation_curves(run: Run) -> pd.DataFrame:
    """Scores over the training of the weights that won, for PBT and for its ablations.

    For a method that chooses among its models, this is the best so far on the way to each search's winner, which it
    keeps to the end; for one that trains what was found from several initial weights, the mean over its models, of
    which none was chosen.

    Returns:
        Columns: method, epochs (of training of these weights), mean, low, high (over searches, or over models where
        none was chosen). Rows only where every search has a score; empty where the run has no ablation.
    """
    columns = ["method", "epochs", "mean", "low", "high"]
    methods = [str(method) for method in dict.fromkeys(run.searches["method"])]
    shown = [method for method in methods if base_method(method) == "pbt" or method_info(method).ablation]
    if not any(base_method(method) == "pbt" for method in shown) or len(shown) < 2:
        return pd.DataFrame(columns=columns)
    points = run.evaluations[run.evaluations["method"].isin(shown)].dropna(subset="score")
    ages = sorted(points["trained_epochs"].unique())
    tables = []
    for method in shown:
        mine = points[points["method"] == method]
        if mine.empty:  # just begun, or every trial failed
            continue
        if method_info(method).kind != "replay":
            mine = pd.concat([_best_on_the_way(run, method, seed, rows, ages) for seed, rows in mine.groupby("seed")])
        grouped = mine.groupby("trained_epochs")
        table = grouped["score"].agg(["mean", "min", "max"]).set_axis(["mean", "low", "high"], axis=1)
        table = table[grouped["seed"].nunique() == mine["seed"].nunique()]
        tables.append(table.rename_axis("epochs").reset_index().assign(method=method))
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _best_on_the_way(run: Run, method: str, seed: Any, points: pd.DataFrame, ages: list[float]) -> pd.DataFrame:
    """Return the best score so far along the lineage of a search's winner, at each age from its first on."""
    ends = _winning(run, method, int(seed))
    on = [
        age <= ends.get(str(trial), -math.inf)
        for trial, age in zip(points["trial"], points["trained_pairs"], strict=True)
    ]
    way = points[on].sort_values("trained_epochs").groupby("trained_epochs")["score"].last()
    best = way.cummax() if rows_of(run.searches, method, int(seed))[0]["direction"] == "max" else way.cummin()
    return best.reindex(ages, method="ffill").dropna().rename_axis("trained_epochs").reset_index().assign(seed=seed)


def rows_of(frame: pd.DataFrame, method: str, seed: int) -> list[dict[Any, Any]]:
    """Return the rows of one search as mappings."""
    return frame[(frame["method"] == method) & (frame["seed"] == seed)].to_dict("records")


def family_tree(run: Run, method: str, seed: int) -> pd.DataFrame:
    """Every trial of a population by member and generation, joined to its parent.

    Returns:
        Columns: trial, generation, member, parent_generation, parent_member (NaN for roots), inherited, rank (of its
        last score among its generation, 0 best to 1 worst; NaN where it failed), winner (leads to the winning state).
    """
    mine = (run.trials["method"] == method) & (run.trials["seed"] == seed) & (run.trials["intervals"] > 0)
    found = run.trials[mine].dropna(subset="member")
    ascending = rows_of(run.searches, method, seed)[0]["direction"] == "min"
    chain = _winning(run, method, seed)
    place = {str(row["trial"]): (row["generation"], int(row["member"])) for row in found.to_dict("records")}
    ranks = found.groupby("generation")["score"].rank(method="min", ascending=ascending) - 1
    others = (found.groupby("generation")["score"].transform("count") - 1).clip(lower=1)
    rows = []
    for row, rank in zip(found.to_dict("records"), ranks / others, strict=True):
        parent = place.get(str(row["parent"]), (math.nan, math.nan))
        rows.append(
            {
                "trial": row["trial"],
                "generation": row["generation"],
                "member": int(row["member"]),
                "parent_generation": parent[0],
                "parent_member": parent[1],
                "inherited": row["inherited"],
                "rank": rank,
                "winner": str(row["trial"]) in chain,
            }
        )
    columns = ["trial", "generation", "member", "parent_generation", "parent_member", "inherited", "rank", "winner"]
    return pd.DataFrame(rows, columns=columns)


def member_schedules(run: Run, method: str) -> pd.DataFrame:
    """The schedules of a method's searches: one lineage for each member that was alive at the end, and the winner's.

    Returns:
        Columns of `lineage.Ancestry.steps`, preceded by seed, lineage (its last trial) and winner.
    """
    found = []
    for search in run.searches[run.searches["method"] == method].to_dict("records"):
        seed = int(search["seed"])
        lines = [(end, False, run.ancestry.steps(method, seed, end)) for end in run.ancestry.latest(method, seed)]
        if won := rows_of(run.winners, method, seed):
            lines.append((str(won[0]["trial"]), True, run.ancestry.steps(method, seed)))
        for end, winner, steps in lines:
            steps.insert(0, "seed", seed)
            steps.insert(1, "lineage", end)
            steps.insert(2, "winner", winner)
            found.append(steps)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def rates_set_in_training(run: Run, method: str) -> list[str]:
    """Return the metrics that tell what training made of learning rates, for instance callbacks of a Keras model."""
    mine = run.evaluations[run.evaluations["method"] == method].dropna(axis="columns", how="all")
    return [str(name) for name in mine if str(name).endswith(LEARNING_RATE) and name not in run.hyperparameters]


def schedules_vary(schedules: pd.DataFrame, hyperparameter: str) -> bool:
    """Return whether a hyperparameter ever changes along a lineage of `member_schedules`."""
    if schedules.empty:
        return False
    return bool((schedules.groupby(["seed", "lineage", "winner"])[hyperparameter].nunique() > 1).any())


def value_points(run: Run) -> pd.DataFrame:
    """Values against score, one point for each model that was trained to the end of its search.

    For methods with fixed values a model is a trial, with its best score. For a population it is a member that was
    alive at the end, with the values then in force and its last score. The winner is there besides, with the values
    that were in force when it won.

    Returns:
        Columns: method, seed, trial, score, winner, one column for each hyperparameter, then X_bound for each: `lower`
        or `upper` for a winner's value at an end of its range that leaves room beyond, else empty.
    """
    names = run.hyperparameters
    rows: list[dict[str, Any]] = []
    for search in run.searches.to_dict("records"):
        method, seed = str(search["method"]), int(search["seed"])
        mine = [row for row in rows_of(run.trials, method, seed) if row["intervals"] > 0]
        score = "best"
        if any(not pd.isna(row["member"]) for row in mine):
            alive = set(run.ancestry.latest(method, seed))
            mine, score = [row for row in mine if row["trial"] in alive], "score"
        won = rows_of(run.winners, method, seed)
        for row in mine:
            if not (won and row["trial"] == won[0]["trial"]):
                values = {name: row[name] for name in names}
                rows.append({**values, "method": method, "seed": seed, "trial": row["trial"], "score": row[score]})
        for row in won:
            bounds = {f"{name}_bound": bound(row[name], run.space.get(name)) for name in names}
            values = {name: row[name] for name in (*names, "method", "seed", "trial", "score")}
            rows.append({**values, **bounds, "winner": True})
    columns = ["method", "seed", "trial", "score", "winner", *names, *(f"{name}_bound" for name in names)]
    points = pd.DataFrame(rows, columns=columns).dropna(subset="score")
    points["winner"] = points["winner"].eq(True)
    edges = [f"{name}_bound" for name in names]
    points[edges] = points[edges].fillna("")
    return points.reset_index(drop=True)


def bound(value: object, domain: Domain | None) -> str:
    """Return which end of its range a value lies at, when what lies beyond could have been searched as well.

    Args:
        value: A hyperparameter's value.
        domain: Its range.

    Returns:
        `lower`, `upper` or empty. A lower end of 0 does not count: nothing lies beyond. Nor do the ends of unordered
        choices.
    """
    if isinstance(domain, NumberDomain) and isinstance(value, (int, float)) and domain.max > domain.min:
        if domain.scale == "log":
            place = math.log(value / domain.min) / math.log(domain.max / domain.min)
        else:
            place = (value - domain.min) / (domain.max - domain.min)
        if place >= 1 - _NEAR_BOUND:
            return "upper"
        return "lower" if place <= _NEAR_BOUND and domain.min != 0 else ""
    if isinstance(domain, ChoiceDomain) and len(domain.choices) > 1:
        numbers = [choice for choice in domain.choices if isinstance(choice, (int, float))]
        if domain.ordered is False or (domain.ordered is None and len(numbers) < len(domain.choices)):
            return ""
        ordered = sorted(numbers) if len(numbers) == len(domain.choices) else domain.choices
        if value == ordered[-1]:
            return "upper"
        return "lower" if value == ordered[0] and ordered[0] != 0 else ""
    return ""
