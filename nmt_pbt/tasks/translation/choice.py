"""Which of a run's models to translate with: the best on dev among those that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.text import counted
from nmt_pbt.base.types import Value
from nmt_pbt.run.journal import AnyRecord, Assigned, Evaluated, SearchStarted, Tested, read_journal
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.tree import TranslationSettings


@dataclass(frozen=True)
class ChosenModel:
    """A model on the disk.

    Attributes:
        name: Of its file: `METHOD-seedSEED` for a winner; for another member, that of its state.
        trial: The trial it comes from.
        values: Its hyperparameters.
        objective: The dev metric that decided.
        score: That metric's value.
        run: The run it belongs to.
        settings: The run's settings.
    """

    name: str
    trial: str
    values: dict[str, Value]
    objective: str
    score: float
    run: RunDirectory
    settings: TranslationSettings

    @property
    def is_kept(self) -> bool:
        """Whether its file is there."""
        return (self.run.models / f"{self.name}.safetensors").is_file()

    def __str__(self) -> str:
        return f"{self.name} ({self.objective} {self.score:.2f})"


def choose_models(
    path: Path, method: str | None = None, seed: int | None = None, count: int = 1
) -> tuple[ChosenModel, ...]:
    """Choose the best models of a run on dev. The test split has no say in it.

    Args:
        path: The run's folder.
        method: Models of which method; None takes all methods'.
        seed: Models of the search with which seed; None takes all.
        count: How many: 1 takes the best winner. More take winners and whatever other members' models were kept.

    Returns:
        What is needed to load them, the best first.

    Raises:
        UsageError: The folder holds no run, no such winner, or not so many models; says what there is.
    """
    run = RunDirectory(path)
    settings = run.read_settings()
    records = read_journal(run.journal_file)
    winners = _winners(path, records, method, seed)
    start = next(record for record in records if isinstance(record, SearchStarted))
    sign = 1 if start.direction == "max" else -1
    searches = {(record.method, record.seed) for record in winners}
    values = {
        (record.method, record.seed, record.trial): record.values for record in records if isinstance(record, Assigned)
    }

    def model(record: Tested | Evaluated, name: str, score: float) -> ChosenModel:
        trial = values[record.method, record.seed, record.trial]
        return ChosenModel(name, record.trial, dict(trial), start.objective, score, run, settings)

    found = [model(record, f"{record.method}-seed{record.seed}", record.dev[start.objective]) for record in winners]
    if count > 1:
        for record in records:
            if isinstance(record, Evaluated) and (record.method, record.seed) in searches:
                score = record.metrics.get(start.objective)
                if score is not None:
                    found.append(model(record, member_name(record), score))
        found = [chosen for chosen in found if chosen.is_kept]
    found.sort(key=lambda chosen: -sign * chosen.score)
    _check(path, found, count)
    return tuple(found[:count])


def member_name(record: Evaluated) -> str:
    """Return the name under which the model of a member that did not win is kept."""
    return f"{record.method}-seed{record.seed}-trial{record.trial}-interval{record.interval_index}"


def _winners(path: Path, records: Sequence[AnyRecord], method: str | None, seed: int | None) -> list[Tested]:
    tested = [record for record in records if isinstance(record, Tested)]
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


def _check(path: Path, found: Sequence[ChosenModel], count: int) -> None:
    """Refuse what is not there."""
    if count > len(found):
        kept = "; ".join(map(str, found)) or "none"
        raise UsageError(
            f"{path}: {counted(count, 'model')} asked for, {len(found)} kept: {kept}; ask for no more, or search again "
            f"with --set evaluation.kept_models={count}"
        )
    missing = next((chosen.name for chosen in found[:count] if not chosen.is_kept), None)
    if missing is not None or not found[0].run.subwords_file.is_file():
        raise UsageError(
            f"{path}: the model of {missing or found[0].name} is not there (a run shared without its models?); "
            "run it again with --config settings.yaml and another --out"
        )
