"""The hyperparameters of translation, as `ModelSettings` and `TrainingSettings` declare them."""

from __future__ import annotations

from nmt_pbt.base.types import Value
from nmt_pbt.space.hyperparameters import declared_hyperparameters
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.tasks.translation.settings import ModelSettings, TrainingSettings

_OF_TRAINING = declared_hyperparameters(TrainingSettings)
_OF_MODEL = declared_hyperparameters(ModelSettings)
HYPERPARAMETERS = {declared.name: declared for declared in (*_OF_TRAINING, *_OF_MODEL)}
"""All of them by name."""
SEARCHABLE = tuple(HYPERPARAMETERS)
"""Names that a search space may hold."""
MUTABLE = tuple(declared.name for declared in _OF_TRAINING if declared.mutable)
"""Names of those that may change during training."""
STRUCTURAL = tuple(declared.name for declared in _OF_MODEL)
"""Names of those that a model is built with, most of them shapes."""


def check_domain(name: str, domain: NumberDomain | ChoiceDomain) -> None:
    """Refuse a domain of the search space; see `Hyperparameter.check_domain`."""
    HYPERPARAMETERS[name].check_domain(domain, f"search.space.{name}")


def check_value(name: str, value: Value, where: str) -> None:
    """Refuse a value; see `Hyperparameter.check`."""
    HYPERPARAMETERS[name].check(value, where)
