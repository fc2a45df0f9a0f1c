"""The models that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError

if TYPE_CHECKING:
    from nmt_pbt.tasks.kept_model import KeptModel
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings


def models_of(
    runs: Sequence[Path], method: str | None = None, seed: int | None = None, of_each: int = 1
) -> tuple[KeptModel[TranslationSettings], ...]:
    """Return the best models of some runs, to translate together; see `choose_models`.

    Args:
        runs: The runs' folders. The settings of the first decide how to translate.
        method: Models of which method; None takes all methods'.
        seed: Models of the search with which seed; None takes all.
        of_each: How many models of each run.

    Raises:
        UsageError: A run has not so many, or the runs do not go together.
    """
    from nmt_pbt.run.best_model import choose_models
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

    chosen = [choose_models(run, TranslationSettings, method, seed, of_each) for run in runs]
    _check_together(chosen)
    return tuple(model for models in chosen for model in models)


def _check_together(chosen: Sequence[Sequence[KeptModel[TranslationSettings]]]) -> None:
    """Refuse models that cannot translate together: a mean of probabilities is over the same subwords.

    Args:
        chosen: The models of each run.

    Raises:
        UsageError: A run is named twice, or has other languages or subwords than the first.
    """
    from nmt_pbt.tasks.translation.decoding.text import same_direction
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

    first, *others = [models[0] for models in chosen]
    (name,) = TranslationSettings.model_files
    subwords = (first.run / name).read_bytes()
    named = {first.run.resolve()}
    for other in others:
        if other.run.resolve() in named:
            raise UsageError(f"{other.run}: named twice; name each run once, --ensemble takes several models of each")
        named.add(other.run.resolve())
        same_direction([first], [other])
        if (other.run / name).read_bytes() != subwords:
            raise UsageError(
                f"{other.run}: its subwords are not those of {first.run}; name runs of the same training text and "
                "vocabulary"
            )
