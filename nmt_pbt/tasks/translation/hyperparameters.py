"""Which settings are hyperparameters, and which values each of them takes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from nmt_pbt.base.types import Value
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.tasks.translation.settings import ModelSettings, TrainingSettings

MUTABLE = (
    "learning_rate",
    "batch_size",
    "dropout",
    "recurrent_dropout",
    "label_smoothing",
    "clip_norm",
    "word_dropout",
    "subword_sampling",
    "weight_decay",
    "average_decay",
    "learning_rate_decay",
    "plateau_factor",
    "plateau_patience",
)
"""Hyperparameters that may change during training, in `TrainingSettings`."""
STRUCTURAL = (
    "embedding_units",
    "units",
    "encoder_layers",
    "decoder_layers",
    "attention",
    "variational_dropout",
    "layer_normalisation",
    "input_feeding",
)
"""Hyperparameters that a model is built with, most of them shapes, in `ModelSettings`."""
SEARCHABLE = (*MUTABLE, *STRUCTURAL, "epochs")


def check_domain(name: str, domain: NumberDomain | ChoiceDomain) -> None:
    """Refuse a domain that holds a value which the setting itself would not take."""
    section = ModelSettings if name in STRUCTURAL else TrainingSettings
    whole = section.model_fields[name].annotation is int
    if isinstance(domain, NumberDomain) and whole and not domain.integer:
        raise ValueError(f"search.space.{name}: takes whole numbers; add integer: true, or list choices")
    if isinstance(domain, ChoiceDomain):
        held: Sequence[Value] = domain.choices
    else:
        held = [int(end) if domain.integer else end for end in (domain.min, domain.max)]
    for value in held:
        check_value(name, value, f"search.space.{name}")


def check_value(name: str, value: Value, where: str) -> None:
    """Refuse a value that a hyperparameter's own setting would not take.

    Args:
        name: One of `MUTABLE`, `STRUCTURAL` or `epochs`.
        value: Its value.
        where: What to name in the error.

    Raises:
        ValueError: It is out of place.
    """
    section = ModelSettings if name in STRUCTURAL else TrainingSettings
    try:
        section.model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise ValueError(f"{where}: {value!r} is out of place ({message}); correct it") from None
