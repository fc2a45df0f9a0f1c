"""Journal records as tidy tables: one row an observation, one column a variable.

Columns every table shares: `method`, `seed` and, where it is about one trial, `trial`. Amounts of training
(`trained_pairs`, `spent_pairs`, `pairs`, `budget_pairs`, `interval_pairs`) are in sentence pairs; columns named
`..._epochs` hold the same in epochs. Times are in seconds. `score` is the objective's value, NaN where it was not
finite. Hyperparameters and metrics are columns under their own names; a hyperparameter that a method does not set is
missing there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from nmt_pbt.base.errors import JournalError
from nmt_pbt.report.clock import SearchClock, workers_of
from nmt_pbt.run.greediness import Greediness
from nmt_pbt.run.journal import (
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    Guessed,
    OtherTest,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Tested,
)
from nmt_pbt.search.diagnostics import Diagnosis
from nmt_pbt.space.space import Space

SCHEMA_VERSION = 2
"""Version of the columns of all tables; grows when one is renamed, removed or changes its meaning."""

SECONDS = ("train", "evaluate", "load", "save", "decide", "idle")
"""What wall-clock is itemised into, in the order shown."""

_TYPES = {
    **dict.fromkeys(("method", "trial", "parent", "worker", "status", "reason", "objective", "direction"), "object"),
    **dict.fromkeys(("outputs", "test_set", "child", "left", "alarms"), "object"),
    **dict.fromkeys(
        ("seed", "generation", "interval_index", "intervals", "trained_pairs", "spent_pairs", "pairs", "budget_pairs"),
        "int64",
    ),
    **dict.fromkeys(("interval_pairs", "pairs_per_epoch", "population", "start"), "int64"),
    **dict.fromkeys(("member", "parent_member"), "Int64"),
    **dict.fromkeys(
        ("score", "best", "trained_epochs", "spent_epochs", "seconds", "test", "total", *SECONDS), "float64"
    ),
    **dict.fromkeys(("parent_score", "left_score"), "float64"),
    **dict.fromkeys(("diversity", "exploits", "donors", "founders", "largest"), "float64"),
    **dict.fromkeys(("inherited", "improved", "finished"), "bool"),
}


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], extra: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows as a table whose columns and their types do not depend on which rows there are.

    Args:
        rows: One mapping a row; what a row does not name is missing there.
        columns: Columns of this module's vocabulary, in order.
        extra: Further columns (hyperparameters, metrics), whose type is the narrowest that holds their values.

    Returns:
        The table, with a fresh index.
    """
    data = {name: pd.Series([row[name] for row in rows], dtype=_TYPES[name]) for name in columns}
    data.update({name: _narrowest([row.get(name) for row in rows]) for name in extra})
    return pd.DataFrame(data, columns=[*columns, *extra])


def _narrowest(values: list[Any]) -> pd.Series[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype="float64" if kinds <= {int, float} else "object")


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return all keys, in the order in which they first appear."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def hyperparameters(records: Iterable[AnyRecord]) -> list[str]:
    """Return the names of all hyperparameters that were ever assigned, in order of their first appearance."""
    return _names(record.values for record in records if isinstance(record, Assigned))


def _started(records: Iterable[AnyRecord]) -> dict[tuple[str, int], SearchStarted]:
    """Return the start of every search; a search that was started again by a resume counts once."""
    found: dict[tuple[str, int], SearchStarted] = {}
    for record in records:
        if isinstance(record, SearchStarted):
            found.setdefault((record.method, record.seed), record)
        elif not isinstance(record, RunStarted) and (record.method, record.seed) not in found:
            raise JournalError(
                f"journal: '{record.event}' of {record.method}, seed {record.seed}, before its search began; "
                "restore the journal from a copy"
            )
    return found


def assignments(records: Iterable[AnyRecord]) -> dict[tuple[str, int, str], Assigned]:
    """Return every assigned trial by `(method, seed, trial)`, in order; the last one where it was given out again."""
    found: dict[tuple[str, int, str], Assigned] = {}
    for record in records:
        if isinstance(record, Assigned):
            found[record.method, record.seed, record.trial] = record
        elif isinstance(record, (Evaluated, Ended)) and (record.method, record.seed, record.trial) not in found:
            raise JournalError(
                f"journal: '{record.event}' of {record.method}, seed {record.seed}, trial '{record.trial}', "
                "before it was given out; restore the journal from a copy"
            )
    return found


def score_of(metrics: Mapping[str, float | None], objective: str) -> float:
    """Return the objective's value; NaN where it is missing or was not finite."""
    value = metrics.get(objective)
    return math.nan if value is None or not math.isfinite(value) else value


def better(score: float, than: float, direction: str) -> bool:
    """Return whether a score is strictly better. NaN is worse than every number, and no better than itself."""
    if math.isnan(score) or math.isnan(than):
        return math.isnan(than) and not math.isnan(score)
    return score > than if direction == "max" else score < than


def searches(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a search, in the order they were started.

    Returns:
        Columns: method, seed, objective, direction (`max` or `min`), budget_pairs, interval_pairs (sentence pairs
        between two evaluations), pairs_per_epoch, population, spent_pairs (so far), finished (whether the search
        ended), reason (why it ended; empty while it has not).
    """
    ended: dict[tuple[str, int], SearchEnded] = {}
    spent: dict[tuple[str, int], int] = {}
    guessed: dict[tuple[str, int], int] = {}
    for record in records:
        if isinstance(record, RunStarted):
            continue
        key = record.method, record.seed
        if isinstance(record, Evaluated):
            spent[key] = max(spent.get(key, 0), record.spent_pairs)
        elif isinstance(record, SearchEnded):
            ended[key] = record
        elif isinstance(record, Guessed):
            ended.pop(key, None)
            guessed[key] = guessed.get(key, 0) + record.pairs
    rows = []
    for key, record in _started(records).items():
        end = ended.get(key)
        rows.append(
            {
                **record.model_dump(include={"method", "seed", "objective", "direction", "pairs_per_epoch"}),
                "budget_pairs": record.budget_pairs + guessed.get(key, 0),
                "interval_pairs": record.interval_pairs,
                "population": record.population,
                "spent_pairs": end.spent_pairs if end else spent.get(key, 0),
                "finished": end is not None,
                "reason": end.reason if end else "",
            }
        )
    columns = [
        "method",
        "seed",
        "objective",
        "direction",
        "budget_pairs",
        "interval_pairs",
        "pairs_per_epoch",
        "population",
    ]
    return table(rows, [*columns, "spent_pairs", "finished", "reason"])


def trials(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a trial, in the order they were given out.

    Returns:
        Columns: method, seed, trial, member, generation, parent, inherited, worker, pairs (to be trained), status
        (`completed`, `failed`, or `running` when the journal does not tell its end), reason (why it failed), intervals
        (how often it was evaluated), trained_pairs (sentence pairs its weights were trained on), score (of the last
        evaluation), best (its best score), then one column for each hyperparameter.
    """
    started = _started(records)
    given = assignments(records)
    ended = {(record.method, record.seed, record.trial): record for record in records if isinstance(record, Ended)}
    evaluated: dict[tuple[str, int, str], list[Evaluated]] = {}
    for record in records:
        if isinstance(record, Evaluated):
            evaluated.setdefault((record.method, record.seed, record.trial), []).append(record)
    rows: list[dict[str, Any]] = []
    for key, record in given.items():
        search = started[key[:2]]
        points = evaluated.get(key, [])
        scores = [score_of(point.metrics, search.objective) for point in points]
        finite = [score for score in scores if not math.isnan(score)]
        end = ended.get(key)
        rows.append(
            {
                **record.model_dump(exclude={"time", "event", "values"}),
                "status": end.status if end else "running",
                "reason": end.reason if end else "",
                "intervals": len(points),
                "trained_pairs": points[-1].trained_pairs if points else 0,
                "score": scores[-1] if scores else math.nan,
                "best": (max if search.direction == "max" else min)(finite) if finite else math.nan,
                **record.values,
            }
        )
    columns = ["method", "seed", "trial", "member", "generation", "parent", "inherited", "worker", "pairs"]
    return table(
        rows,
        [*columns, "status", "reason", "intervals", "trained_pairs", "score", "best"],
        hyperparameters(records),
    )


def evaluations(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row an evaluation, in the order of the journal.

    Returns:
        Columns: method, seed, trial, member, generation, interval_index (0-based, within the trial), trained_pairs,
        spent_pairs (by the whole search), trained_epochs, seconds (wall-clock of this interval), score, then one column
        for each metric, then one for each hyperparameter: the values in force.
    """
    started, given = _started(records), assignments(records)
    points = [record for record in records if isinstance(record, Evaluated)]
    rows: list[dict[str, Any]] = []
    for record in points:
        search = started[record.method, record.seed]
        trial = given[record.method, record.seed, record.trial]
        rows.append(
            {
                **record.model_dump(
                    include={"method", "seed", "trial", "interval_index", "trained_pairs", "spent_pairs"}
                ),
                "member": trial.member,
                "generation": trial.generation,
                "trained_epochs": record.trained_pairs / search.pairs_per_epoch,
                "seconds": math.fsum(record.seconds.model_dump().values()),
                "score": score_of(record.metrics, search.objective),
                **record.metrics,
                **trial.values,
            }
        )
    columns = ["method", "seed", "trial", "member", "generation", "interval_index", "trained_pairs", "spent_pairs"]
    return table(
        rows,
        [*columns, "trained_epochs", "seconds", "score"],
        [*_names(record.metrics for record in points), *hyperparameters(records)],
    )


def best_so_far(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """How good the best state was that each search had seen at each evaluation, in the order of the journal.

    Returns:
        Columns: method, seed, trial, interval_index, spent_pairs, spent_epochs, seconds (wall-clock since the search
        began, see `SearchClock`), score, best (of all evaluations up to this one; NaN before the first finite one),
        improved (this one is the new best).
    """
    started = _started(records)
    best: dict[tuple[str, int], float] = {}
    clocks: dict[tuple[str, int], SearchClock] = {}
    workers = workers_of(records)
    rows: list[dict[str, Any]] = []
    for record in records:
        if isinstance(record, Assigned):
            clocks.setdefault((record.method, record.seed), SearchClock(workers)).assigned(record.trial)
        if not isinstance(record, Evaluated):
            continue
        key = record.method, record.seed
        search = started[key]
        seconds = clocks[key].evaluated(record)
        score = score_of(record.metrics, search.objective)
        improved = better(score, best.get(key, math.nan), search.direction)
        if improved:
            best[key] = score
        rows.append(
            {
                **record.model_dump(include={"method", "seed", "trial", "interval_index", "spent_pairs"}),
                "spent_epochs": record.spent_pairs / search.pairs_per_epoch,
                "seconds": seconds,
                "score": score,
                "best": best.get(key, math.nan),
                "improved": improved,
            }
        )
    columns = [
        "method",
        "seed",
        "trial",
        "interval_index",
        "spent_pairs",
        "spent_epochs",
        "seconds",
        "score",
        "best",
        "improved",
    ]
    return table(rows, columns)


def winners(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """The best evaluation on the dev split of each search, wherever in it that was; ties go to the first.

    Returns:
        Columns: method, seed, trial, interval_index, trained_pairs, spent_pairs (when it was found), trained_epochs,
        score, then one column for each hyperparameter: the values in force. Searches without a finite evaluation are
        left out.
    """
    points = evaluations(records)
    improved = best_so_far(records)["improved"]
    last = points[improved.to_numpy(dtype=bool)].groupby(["method", "seed"], sort=False).tail(1)
    order = {key: place for place, key in enumerate(_started(records))}
    place = [order[method, seed] for method, seed in zip(last["method"], last["seed"], strict=True)]
    last = last.iloc[sorted(range(len(last)), key=place.__getitem__)]
    columns = [
        "method",
        "seed",
        "trial",
        "interval_index",
        "trained_pairs",
        "spent_pairs",
        "trained_epochs",
        "score",
        *hyperparameters(records),
    ]
    return last[columns].reset_index(drop=True)


def diagnoses(records: Sequence[AnyRecord], space: Space | None, populations: Collection[str]) -> pd.DataFrame:
    """How greedy each population was, one row a generation.

    Args:
        records: The journal's records.
        space: What the run searches; None where its settings do not tell.
        populations: Names of the methods that have a population.

    Returns:
        Columns: method, seed, generation, diversity (of the members' values, as a share of the first generation's),
        exploits (share of the members that adopted), donors and founders (effective numbers of states adopted, NaN
        where there were none, and of first ancestors), largest (share of the members that descend from the most
        frequent first ancestor), alarms (what collapsed early; several joined by "; "), then X_spread for each
        hyperparameter X: 1 where its values lie evenly over the range, 0 where they are equal. Empty without a space.
    """
    found: list[tuple[str, int, Diagnosis]] = []
    greediness = Greediness(space, populations) if space is not None else None
    for record in records:
        diagnosis = greediness.take(record) if greediness is not None else None
        if diagnosis is not None and isinstance(record, Assigned):
            found.append((record.method, record.seed, diagnosis))
    return diagnosis_table(found)


def diagnosis_table(found: Sequence[tuple[str, int, Diagnosis]]) -> pd.DataFrame:
    """Return diagnoses, each with its method and seed, as `diagnoses` lays them out."""
    rows: list[dict[str, Any]] = [
        {
            "method": method,
            "seed": seed,
            "generation": diagnosis.generation,
            "diversity": diagnosis.diversity,
            "exploits": diagnosis.exploits,
            "donors": math.nan if diagnosis.donors is None else diagnosis.donors,
            "founders": diagnosis.founders,
            "largest": diagnosis.largest,
            "alarms": "; ".join(diagnosis.alarms),
            **{f"{name}_spread": value for name, value in diagnosis.spread.items()},
        }
        for method, seed, diagnosis in found
    ]
    columns = ["method", "seed", "generation", "diversity", "exploits", "donors", "founders", "largest", "alarms"]
    return table(rows, columns, [f"{name}_spread" for name in _names(diagnosis.spread for *_, diagnosis in found)])


def time_spent(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """Wall-clock of each search, itemised and summed over its workers, in seconds.

    Returns:
        Columns: method, seed, train, evaluate, load, save, decide, idle, test (decoding the test split), total.
    """
    spent = {key: dict.fromkeys((*SECONDS, "test"), 0.0) for key in _started(records)}
    for record in records:
        if isinstance(record, Evaluated):
            for name, seconds in record.seconds.model_dump().items():
                spent[record.method, record.seed][name] += seconds
        elif isinstance(record, Tested):
            spent[record.method, record.seed]["test"] += record.seconds
    rows = [
        {"method": method, "seed": seed, **items, "total": math.fsum(items.values())}
        for (method, seed), items in spent.items()
    ]
    return table(rows, ["method", "seed", *SECONDS, "test", "total"])


def latest_tests(records: Sequence[AnyRecord]) -> list[Tested]:
    """Return the last test of each search that had one, in the order in which the searches were started."""
    found = {(record.method, record.seed): record for record in records if isinstance(record, Tested)}
    return [found[search] for search in _started(records) if search in found]


def tests(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a winner that was decoded on the test split; the last record where a search was tested again.

    Returns:
        Columns: method, seed, trial, interval_index, trained_pairs, outputs (file, relative to the run), then `dev_X`,
        `test_X` and `signature_X` for each metric X, for instance `test_bleu`. What the search called `val_X` is
        `dev_X` here.
    """
    rows: list[dict[str, Any]] = []
    for record in latest_tests(records):
        row: dict[str, Any] = record.model_dump(
            include={"method", "seed", "trial", "interval_index", "trained_pairs", "outputs"}
        )
        for name, value in record.dev.items():
            if not name.startswith("train_"):
                row[f"dev_{name.removeprefix('val_')}"] = value
        row.update({f"test_{name}": value for name, value in record.test.items()})
        row.update({f"signature_{name}": value for name, value in record.signatures.items()})
        rows.append(row)
    columns = ["method", "seed", "trial", "interval_index", "trained_pairs", "outputs"]
    return table(rows, columns, [name for name in _names(rows) if name not in columns])


def test_sets(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a winner and test set, where there are several; the one that methods are compared by first.

    Returns:
        Columns: method, seed, test_set, outputs, then `test_X` and `signature_X` for each metric X, as in `tests`.
    """
    rows: list[dict[str, Any]] = []
    for record in latest_tests(records):
        several: list[Tested | OtherTest] = [record, *record.others]
        for one in several:
            if one.test_set is not None:
                row = {"method": record.method, "seed": record.seed, "test_set": one.test_set, "outputs": one.outputs}
                row.update({f"test_{name}": value for name, value in one.test.items()})
                row.update({f"signature_{name}": value for name, value in one.signatures.items()})
                rows.append(row)
    columns = ["method", "seed", "test_set", "outputs"]
    return table(rows, columns, [name for name in _names(rows) if name not in columns])
