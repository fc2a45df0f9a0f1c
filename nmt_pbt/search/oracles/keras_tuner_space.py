"""Between the project's search space and KerasTuner's `HyperParameters`."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Collection, Iterable

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_types

from nmt_pbt.base.errors import UsageError
from nmt_pbt.space.domains import Choice, Condition, Constant, Domain, Integer, Real
from nmt_pbt.space.space import Space

_WILDCARDS = frozenset("*?[")


def matching(names: Iterable[str], declared: Iterable[str]) -> set[str]:
    """Return those names that are declared, by themselves or by a pattern such as `units_*`."""
    patterns = list(declared)
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def to_hyperparameters(space: Space) -> keras_tuner.HyperParameters:
    """Return a space as KerasTuner's hyperparameters.

    Args:
        space: The space.

    Returns:
        The same domains. A real grid becomes a `Choice` of its values, for KerasTuner drops the last one of some
        (`Float(0, 0.5, step=0.1)` never gives 0.5).
    """
    hyperparameters = keras_tuner.HyperParameters()
    for domain in space.domains:
        with contextlib.ExitStack() as scopes:
            for condition in domain.conditions:
                scopes.enter_context(hyperparameters.conditional_scope(condition.parent, list(condition.values)))
            _register(hyperparameters, domain)
    return hyperparameters


def from_hyperparameters(
    hyperparameters: keras_tuner.HyperParameters, structural: Collection[str] = (), frozen: Iterable[str] = ()
) -> Space:
    """Return KerasTuner's hyperparameters as a space.

    Args:
        hyperparameters: Any of Float, Int, Choice, Boolean and Fixed, conditional ones too.
        structural: Names that change weight shapes; `units_*` stands for all that begin so, and may match none yet.
        frozen: Names that explore leaves alone.

    Returns:
        The same domains, whose largest value is the `max_value` that was written down.

    Raises:
        UsageError: There are none, or a domain cannot be used, or a name is not among them.
    """
    names = [hyperparameter.name for hyperparameter in hyperparameters.space]
    plain = {name for name in structural if not _WILDCARDS & set(name)}
    return Space(
        tuple(_from_keras_tuner(hyperparameter) for hyperparameter in hyperparameters.space),
        structural=frozenset(matching(names, structural) | plain),
        frozen=frozenset(frozen),
    )


def _register(hyperparameters: keras_tuner.HyperParameters, domain: Domain) -> None:
    if isinstance(domain, Real):
        if domain.size is not None:
            values = [domain.at(index) for index in range(domain.size)]
            hyperparameters.Choice(domain.name, values, ordered=True)
        else:
            hyperparameters.Float(domain.name, domain.min, domain.max, sampling=domain.scale)
    elif isinstance(domain, Integer):
        step = None if domain.step is None else int(domain.step)
        hyperparameters.Int(domain.name, int(domain.min), int(domain.max), step=step, sampling=domain.scale)
    elif isinstance(domain, Constant):
        hyperparameters.Fixed(domain.name, domain.value)
    elif domain.size == 1:
        hyperparameters.Fixed(domain.name, domain.values[0])
    elif isinstance(domain.values[0], bool):
        # A Choice would turn truth values into 0 and 1.
        hyperparameters.Boolean(domain.name)
    else:
        ordered = bool(domain.ordered) and not isinstance(domain.values[0], str)
        hyperparameters.Choice(domain.name, list(domain.values), ordered=ordered)


def _from_keras_tuner(hyperparameter: hp_types.HyperParameter) -> Domain:
    name = hyperparameter.name
    conditions = tuple(Condition(parent.name, tuple(parent.values)) for parent in hyperparameter.conditions)
    if isinstance(hyperparameter, hp_types.Fixed):
        return Constant(name, hyperparameter.value, conditions)
    if isinstance(hyperparameter, hp_types.Boolean):
        return Choice(name, (False, True), False, conditions)
    if isinstance(hyperparameter, hp_types.Choice):
        return Choice(name, tuple(hyperparameter.values), bool(hyperparameter.ordered), conditions)
    for kind, domain in ((hp_types.Int, Integer), (hp_types.Float, Real)):
        if isinstance(hyperparameter, kind):
            low, high = hyperparameter.min_value, hyperparameter.max_value
            return domain(name, low, high, hyperparameter.sampling, hyperparameter.step, conditions)
    raise UsageError(f"{name}: hyperparameters of type {type(hyperparameter).__name__} cannot be searched")
