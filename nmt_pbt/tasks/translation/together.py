"""Which models can translate together."""

from __future__ import annotations

from collections.abc import Sequence

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.text import same_direction
from nmt_pbt.tasks.translation.tree import TranslationSettings


def check_together(chosen: Sequence[Sequence[KeptModel[TranslationSettings]]]) -> None:
    """Refuse models that cannot translate together: a mean of probabilities is over the same subwords.

    Args:
        chosen: The models of each run.

    Raises:
        UsageError: A run is named twice, or has other languages or subwords than the first.
    """
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
