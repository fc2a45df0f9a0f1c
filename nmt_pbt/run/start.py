"""Weights of another run that translation models start from instead of fresh ones: fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.choice import choose_models
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.space.settings import ChoiceDomain
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.translation.hyperparameters import STRUCTURAL
from nmt_pbt.tasks.translation.settings import ModelSettings
from nmt_pbt.tasks.translation.tree import TranslationSettings


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


def best_winner(folder: Path) -> KeptModel[TranslationSettings]:
    """Return the best winner of a translation run on dev."""
    (chosen,) = choose_models(folder, TranslationSettings)
    return chosen


def shape_of(winner: KeptModel[TranslationSettings]) -> dict[str, Any]:
    """Return the settings of a winner's model, by name."""
    structural = {name: winner.values[name] for name in STRUCTURAL if name in winner.values}
    return {**winner.settings.model.model_dump(), **structural}


def choose_start(settings: TranslationSettings) -> Start:
    """Return the weights that settings name, of a model of the same shape.

    Args:
        settings: Of a new run, with `start_from`.

    Raises:
        UsageError: There is no such winner, or a model of these settings does not take its weights; says which setting.
        StateError: The winner's file is damaged.
    """
    from nmt_pbt.tasks.state import StateStore, weights_of
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS

    folder = Path(settings.start_from or "")
    winner = best_winner(folder)
    shape, space = shape_of(winner), settings.search.space
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


def start_of_run(run: RunDirectory, settings: TranslationSettings) -> Start | None:
    """Return what the models of a run start from: its own copy, or else that of the run it names.

    Args:
        run: The run.
        settings: Its settings.

    Returns:
        It; None for fresh weights.

    Raises:
        UsageError: These weights are not to be had any more.
    """
    from nmt_pbt.tasks.state import START, StateStore

    digest = settings.start_digest
    if digest is None:
        return None
    kept = StateStore(run.path)
    if kept.problem(START, digest) is None:
        return Start(kept.load(START, digest))
    found = choose_start(settings)
    if found.digest != digest:
        raise UsageError(
            f"start_from {settings.start_from}: its best winner is another one than when the run was begun; restore "
            f"{kept.path(START)} from a copy, or start a new run"
        )
    return found
