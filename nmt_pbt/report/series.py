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
from nmt_pbt.report.columns import SECONDS, fields, names_in, table
from nmt_pbt.run.clock import SearchClock, workers_of
from nmt_pbt.run.greediness import Greediness
from nmt_pbt.run.records import (
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    Extended,
    Guessed,
    OtherTest,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Tested,
)
from nmt_pbt.search.population.diagnostics import Diagnosis
from nmt_pbt.space.space import Space

Search = tuple[str, int]
"""A method and a seed."""


def hyperparameters(records: Iterable[AnyRecord]) -> list[str]:
    """Return the names of all hyperparameters that were ever assigned, in order of their first appearance."""
    return names_in(record.values for record in records if isinstance(record, Assigned))


def started(records: Iterable[AnyRecord]) -> dict[Search, SearchStarted]:
    """Return the start of every search; a search that was started again by a resume counts once."""
    found: dict[Search, SearchStarted] = {}
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


def winning(records: Iterable[AnyRecord]) -> dict[Search, Evaluated]:
    """Return the best evaluation of each search that has a finite one, wherever in it it was; ties go to the first."""
    searches, best = started(records), dict[Search, Evaluated]()
    for record in records:
        if isinstance(record, Evaluated):
            key = record.method, record.seed
            objective, direction = searches[key].objective, searches[key].direction
            held = score_of(best[key].metrics, objective) if key in best else math.nan
            if better(score_of(record.metrics, objective), held, direction):
                best[key] = record
    return {key: best[key] for key in searches if key in best}


def searches(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a search, in the order they were started.

    Returns:
        Columns: method, seed, objective, direction (`max` or `min`), budget_pairs, interval_pairs (sentence pairs
        between two evaluations), pairs_per_epoch, population, spent_pairs (so far), finished (whether the search
        ended), reason (why it ended; empty while it has not).
    """
    columns = "method seed objective direction budget_pairs interval_pairs pairs_per_epoch population"
    found = {
        key: {**fields(record, columns), "spent_pairs": 0, "finished": False, "reason": ""}
        for key, record in started(records).items()
    }
    for record in records:
        if isinstance(record, Evaluated):
            row = found[record.method, record.seed]
            row["spent_pairs"] = max(row["spent_pairs"], record.spent_pairs)
        elif isinstance(record, SearchEnded):
            row = found[record.method, record.seed]
            row.update(spent_pairs=record.spent_pairs, finished=True, reason=record.reason)
        elif isinstance(record, Guessed | Extended):
            row = found[record.method, record.seed]
            row.update(budget_pairs=row["budget_pairs"] + record.pairs, finished=False, reason="")
    return table(list(found.values()), f"{columns} spent_pairs finished reason")


def trials(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a trial, in the order they were given out.

    Returns:
        Columns: method, seed, trial, member, generation, parent, inherited, worker, pairs (to be trained), status
        (`completed`, `failed`, `stopped` with its whole search, or `running`), reason (why it failed), intervals
        (how often it was evaluated), trained_pairs (sentence pairs its weights were trained on), score (of the last
        evaluation), best (its best score), then one column for each hyperparameter.
    """
    columns = "method seed trial member generation parent inherited worker pairs status reason intervals trained_pairs"
    begun, given = started(records), assignments(records)
    ended = {(record.method, record.seed, record.trial): record for record in records if isinstance(record, Ended)}
    stopped = {(record.method, record.seed) for record in records if isinstance(record, SearchEnded) and record.rule}
    evaluated: dict[tuple[str, int, str], list[Evaluated]] = {}
    for record in records:
        if isinstance(record, Evaluated):
            evaluated.setdefault((record.method, record.seed, record.trial), []).append(record)
    rows: list[dict[str, Any]] = []
    for key, record in given.items():
        search = begun[key[:2]]
        points = evaluated.get(key, [])
        scores = [score_of(point.metrics, search.objective) for point in points]
        finite = [score for score in scores if not math.isnan(score)]
        end = ended.get(key)
        rows.append(
            {
                **fields(record, columns),
                "status": end.status if end else "stopped" if key[:2] in stopped else "running",
                "reason": end.reason if end else "",
                "intervals": len(points),
                "trained_pairs": points[-1].trained_pairs if points else 0,
                "score": scores[-1] if scores else math.nan,
                "best": (max if search.direction == "max" else min)(finite) if finite else math.nan,
                **record.values,
            }
        )
    return table(rows, f"{columns} score best", hyperparameters(records))


def evaluations(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row an evaluation, in the order of the journal.

    Returns:
        Columns: method, seed, trial, member, generation, interval_index (0-based, within the trial), trained_pairs,
        spent_pairs (by the whole search), trained_epochs, seconds (wall-clock of this interval), score, then one column
        for each metric, then one for each hyperparameter: the values in force.
    """
    columns = (
        "method seed trial member generation interval_index trained_pairs spent_pairs trained_epochs seconds score"
    )
    begun, given = started(records), assignments(records)
    points = [record for record in records if isinstance(record, Evaluated)]
    rows: list[dict[str, Any]] = []
    for record in points:
        search = begun[record.method, record.seed]
        trial = given[record.method, record.seed, record.trial]
        rows.append(
            {
                **fields(record, columns),
                "member": trial.member,
                "generation": trial.generation,
                "trained_epochs": record.trained_pairs / search.pairs_per_epoch,
                "seconds": math.fsum(record.seconds.model_dump().values()),
                "score": score_of(record.metrics, search.objective),
                **record.metrics,
                **trial.values,
            }
        )
    return table(rows, columns, [*names_in(record.metrics for record in points), *hyperparameters(records)])


def best_so_far(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """How good the best state was that each search had seen at each evaluation, in the order of the journal.

    Returns:
        Columns: method, seed, trial, interval_index, spent_pairs, spent_epochs, seconds (wall-clock since the search
        began, see `SearchClock`), score, best (of all evaluations up to this one; NaN before the first finite one),
        improved (this one is the new best).
    """
    columns = "method seed trial interval_index spent_pairs spent_epochs seconds score best improved"
    begun = started(records)
    best: dict[Search, float] = {}
    clocks: dict[Search, SearchClock] = {}
    workers = workers_of(records)
    rows: list[dict[str, Any]] = []
    for record in records:
        if isinstance(record, Assigned):
            clocks.setdefault((record.method, record.seed), SearchClock(workers)).assigned(record.trial)
        if not isinstance(record, Evaluated):
            continue
        key = record.method, record.seed
        search = begun[key]
        seconds = clocks[key].evaluated(record)
        score = score_of(record.metrics, search.objective)
        improved = better(score, best.get(key, math.nan), search.direction)
        if improved:
            best[key] = score
        rows.append(
            {
                **fields(record, columns),
                "spent_epochs": record.spent_pairs / search.pairs_per_epoch,
                "seconds": seconds,
                "score": score,
                "best": best.get(key, math.nan),
                "improved": improved,
            }
        )
    return table(rows, columns)


def winners(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """The best evaluation on the dev split of each search, wherever in it that was; ties go to the first.

    Returns:
        Columns: method, seed, trial, interval_index, trained_pairs, spent_pairs (when it was found), trained_epochs,
        score, then one column for each hyperparameter: the values in force. Searches without a finite evaluation are
        left out.
    """
    columns = "method seed trial interval_index trained_pairs spent_pairs trained_epochs score"
    searches, given = started(records), assignments(records)
    rows = [
        {
            **given[method, seed, record.trial].values,
            **fields(record, columns),
            "trained_epochs": record.trained_pairs / searches[method, seed].pairs_per_epoch,
            "score": score_of(record.metrics, searches[method, seed].objective),
        }
        for (method, seed), record in winning(records).items()
    ]
    return table(rows, columns, hyperparameters(records))


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
    extra = [f"{name}_spread" for name in names_in(diagnosis.spread for *_, diagnosis in found)]
    return table(rows, "method seed generation diversity exploits donors founders largest alarms", extra)


def time_spent(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """Wall-clock of each search, itemised and summed over its workers, in seconds.

    Returns:
        Columns: method, seed, train, evaluate, load, save, decide, idle, test (decoding the test split), total.
    """
    spent = {key: dict.fromkeys((*SECONDS, "test"), 0.0) for key in started(records)}
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
    return table(rows, f"method seed {' '.join(SECONDS)} test total")


def latest_tests(records: Sequence[AnyRecord]) -> list[Tested]:
    """Return the last test of each search that had one, in the order in which the searches were started."""
    found = {(record.method, record.seed): record for record in records if isinstance(record, Tested)}
    return [found[search] for search in started(records) if search in found]


def tests(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a winner that was decoded on the test split; the last record where a search was tested again.

    Returns:
        Columns: method, seed, trial, interval_index, trained_pairs, outputs (file, relative to the run), then `dev_X`,
        `test_X` and `signature_X` for each metric X, for instance `test_bleu`. What the search called `val_X` is
        `dev_X` here.
    """
    rows: list[dict[str, Any]] = []
    columns = "method seed trial interval_index trained_pairs outputs"
    for record in latest_tests(records):
        known = {
            name.removeprefix("val_"): value for name, value in record.dev.items() if not name.startswith("train_")
        }
        rows.append(
            {**fields(record, columns), **{f"dev_{name}": value for name, value in known.items()}, **_scores(record)}
        )
    return table(rows, columns, [name for name in names_in(rows) if name not in columns.split()])


def test_sets(records: Sequence[AnyRecord]) -> pd.DataFrame:
    """One row a winner and test set, where there are several; the one that methods are compared by first.

    Returns:
        Columns: method, seed, test_set, outputs, then `test_X` and `signature_X` for each metric X, as in `tests`.
    """
    columns = "method seed test_set outputs"
    rows: list[dict[str, Any]] = []
    for record in latest_tests(records):
        several: list[Tested | OtherTest] = [record, *record.others]
        rows += [
            {**fields(one, columns), "method": record.method, "seed": record.seed, **_scores(one)}
            for one in several
            if one.test_set is not None
        ]
    known = columns.split()
    scores = [name for name in names_in(rows) if name.startswith(("test_", "signature_")) and name not in known]
    return table(rows, columns, scores)


def _scores(tested: Tested | OtherTest) -> dict[str, Any]:
    """Return a test's scores and their signatures as columns."""
    signatures = {f"signature_{name}": value for name, value in tested.signatures.items()}
    return {**{f"test_{name}": value for name, value in tested.test.items()}, **signatures}
