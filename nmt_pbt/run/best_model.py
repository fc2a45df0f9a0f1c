"""Which of a run's models to use: the best on dev among those that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, RunStarted, SearchStarted, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.settings.tree import RunSettings
from nmt_pbt.tasks.kept_model import KeptModel

Settings = TypeVar("Settings", bound=RunSettings)


def best_winner(path: Path, kind: type[Settings]) -> KeptModel[Settings]:
    """Return the winner of a run that is the best on dev, of all methods and seeds.

    Args:
        path: The run's folder.
        kind: The class of its settings.

    Raises:
        UsageError: The folder holds no run, or no winner.
    """
    (chosen,) = choose_models(path, kind)
    return chosen


def choose_models(
    path: Path, kind: type[Settings], method: str | None = None, seed: int | None = None, count: int = 1
) -> tuple[KeptModel[Settings], ...]:
    """Choose the best models of a run on dev. The test split has no say in it.

    Args:
        path: The run's folder.
        kind: The class of its settings.
        method: Models of which method; None takes all methods'.
        seed: Models of the search with which seed; None takes all.
        count: How many: 1 takes the best winner. More take winners and whatever other members' models were kept.

    Returns:
        What is needed to load them, the best first.

    Raises:
        UsageError: The folder holds no run, no such winner, or not so many models; says what there is.
    """
    run = RunDirectory(path)
    settings = run.read_settings(kind)
    records = read_journal(run.journal_file)
    started = next(record for record in records if isinstance(record, RunStarted))
    winners = _winners(path, records, method, seed)
    start = next(record for record in records if isinstance(record, SearchStarted))
    sign = 1 if start.direction == "max" else -1
    searches = {(record.method, record.seed) for record in winners}
    values = {
        (record.method, record.seed, record.trial): record.values for record in records if isinstance(record, Assigned)
    }

    def model(record: Tested | Evaluated, name: str, score: float) -> KeptModel[Settings]:
        trial = values[record.method, record.seed, record.trial]
        return KeptModel(name, record.trial, dict(trial), start.objective, score, path, settings, started.data)

    found = [model(record, f"{record.method}-seed{record.seed}", record.dev[start.objective]) for record in winners]
    if count > 1:
        for record in records:
            if isinstance(record, Evaluated) and (record.method, record.seed) in searches:
                score = record.metrics.get(start.objective)
                if score is not None:
                    found.append(model(record, member_name(record), score))
        found = [chosen for chosen in found if chosen.is_there]
    found.sort(key=lambda chosen: -sign * chosen.score)
    _check(path, kind, found, count)
    return tuple(found[:count])


def member_name(record: Evaluated) -> str:
    """Return the name under which the model of a member that did not win is kept."""
    return f"{record.method}-seed{record.seed}-trial{record.trial}-interval{record.interval_index}"


def _winners(path: Path, records: Sequence[AnyRecord], method: str | None, seed: int | None) -> list[Tested]:
    # A search by hand may have been tested several times; its model is that of the last.
    tested = list({(record.method, record.seed): record for record in records if isinstance(record, Tested)}.values())
    if not tested:
        raise UsageError(f"{path}: no search is finished yet; continue it with nmt-pbt compare --resume {path}")
    for name, wanted, known in (
        ("method", method, {record.method for record in tested}),
        ("seed", None if seed is None else str(seed), {str(record.seed) for record in tested}),
    ):
        if wanted is not None and wanted not in known:
            raise UsageError(f"{path}: holds no winner of {name} {wanted}{suggest(wanted, known)}")
    tested = [record for record in tested if method in (None, record.method) and seed in (None, record.seed)]
    if not tested:
        raise UsageError(f"{path}: method {method} was not searched with seed {seed}; leave one of them out")
    return tested


def _check(path: Path, kind: type[RunSettings], found: Sequence[KeptModel[Settings]], count: int) -> None:
    """Refuse what is not there."""
    if count > len(found):
        kept = "; ".join(map(str, found)) or "none"
        raise UsageError(
            f"{path}: {counted(count, 'model')} asked for, {len(found)} kept: {kept}; ask for no more, or search again "
            f"with --set evaluation.kept_models={count}"
        )
    missing = next((chosen.name for chosen in found[:count] if not chosen.is_there), None)
    if missing is None and not all((path / name).is_file() for name in kind.model_files):
        missing = found[0].name
    if missing is not None:
        raise UsageError(
            f"{path}: the model of {missing} is not there (a run shared without its models?); "
            "run it again with --config settings.yaml and another --out"
        )
