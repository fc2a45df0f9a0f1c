"""Weights of another run that translation models start from instead of fresh ones: fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.space.settings import ChoiceDomain
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.translation.settings.sections import STRUCTURAL, ModelSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings


@dataclass(frozen=True)
class Start:
    """What models start from.

    Attributes:
        weights: The weights alone.
        subwords: The serialised vocabulary that they are of; None where the new run has it already.
    """

    weights: MemberState
    subwords: bytes | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        from nmt_pbt.tasks.state import content_hash

        return content_hash(self.weights)


Winner = KeptModel[TranslationSettings]


def shape_of(winner: Winner) -> dict[str, Any]:
    """Return the settings of a winner's model, by name."""
    structural = {name: winner.values[name] for name in STRUCTURAL if name in winner.values}
    return {**winner.settings.model.model_dump(), **structural}


def choose_start(settings: TranslationSettings, winner: Winner) -> Start:
    """Return the weights of another run's winner, for models of the same shape.

    Args:
        settings: Of a new run.
        winner: The best winner of the run that `start_from` names.

    Raises:
        UsageError: A model of these settings does not take its weights; says which setting.
        StateError: The winner's file is damaged.
    """
    from nmt_pbt.tasks.state import StateStore, weights_of
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS

    folder, shape, space = winner.run, shape_of(winner), settings.search.space
    for name in STRUCTURAL:
        if name in space and space[name] != ChoiceDomain(choices=[shape[name]]):
            raise UsageError(
                f"start_from {folder}: its model has {name} {shape[name]}, which cannot be searched; leave "
                f"search.space.{name} out, or set it to {{choices: [{shape[name]}]}}"
            )
    wanted = [(f"model.{name}", shape[name], getattr(settings.model, name)) for name in ModelSettings.model_fields]
    for name in ("vocabulary_size", "normalization", "byte_fallback"):
        wanted.append((f"corpus.{name}", getattr(winner.settings.corpus, name), getattr(settings.corpus, name)))
    for name, there, here in wanted:
        if there != here:
            raise UsageError(f"start_from {folder}: was trained with {name} {there}, not {here}; set {name}={there}")
    weights = weights_of(StateStore(winner.folder).load(winner.name))
    return Start(weights, (folder / SUBWORDS).read_bytes())


def start_of_run(folder: Path, settings: TranslationSettings, best_winner: Callable[[Path], Winner]) -> Start | None:
    """Return the weights that the models of a run start from: the run's own copy, or those of the run it names.

    Args:
        folder: The run's.
        settings: Its settings.
        best_winner: Returns the best winner of another run by its folder.

    Returns:
        The weights; None where models start from fresh ones.

    Raises:
        UsageError: The other run is gone, or has another winner by now.
    """
    from nmt_pbt.tasks.state import START, StateStore

    digest = settings.start_digest
    if digest is None:
        return None
    kept = StateStore(folder)
    if kept.problem(START, digest) is None:
        return Start(kept.load(START, digest))
    found = choose_start(settings, best_winner(Path(settings.start_from or "")))
    if found.digest != digest:
        raise UsageError(
            f"start_from {settings.start_from}: its best winner is another one than when the run was begun; restore "
            f"{kept.path(START)} from a copy, or start a new run"
        )
    return found
