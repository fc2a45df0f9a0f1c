"""The search space: which hyperparameters are searched, and which of them may change in training."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.randomness import generator
from nmt_pbt.base.types import Value
from nmt_pbt.space.domains import Choice, Constant, Domain, Integer, Real, describe
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain


@dataclass(frozen=True)
class Space:
    """An ordered set of domains.

    Attributes:
        domains: The domains. A name may come twice under conditions that exclude each other.
        structural: Names that change weight shapes: inherited along a lineage, never changed in training.
        frozen: Names that explore leaves alone for another reason.
    """

    domains: tuple[Domain, ...]
    structural: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.domains:
            raise UsageError("the search space is empty; name at least one hyperparameter")
        for domain in self.domains:
            if not isinstance(domain, (Real, Integer, Choice, Constant)):
                raise UsageError(
                    f"the search space holds {domain!r}, which is no domain; give a tuple of those of "
                    "nmt_pbt.space.domains, for instance (Real('dropout', 0.0, 0.5),)"
                )
        object.__setattr__(self, "names", tuple(dict.fromkeys(domain.name for domain in self.domains)))
        for first, second in itertools.combinations(self.domains, 2):
            if first.name == second.name and first.conditions == second.conditions:
                raise UsageError(f"{first.name}: defined twice in the search space; remove one")
        for kind, chosen in (("structural", self.structural), ("frozen", self.frozen)):
            for name in sorted(chosen):
                if name not in self.names:
                    raise UsageError(f"{kind} {name}: not in the search space{suggest(name, self.names)}")

    @classmethod
    def from_domains(
        cls,
        domains: Mapping[str, NumberDomain | ChoiceDomain],
        structural: Iterable[str] = (),
        frozen: Iterable[str] = (),
    ) -> Space:
        """Build the space that settings describe: the only place that reads their domains.

        Args:
            domains: Domains by name, as in `search.space`.
            structural: Names that are structural where they are searched.
            frozen: Names that explore leaves alone.

        Returns:
            The space.

        Raises:
            UsageError: A domain cannot be used, or a frozen name is not in the space.
        """
        return cls(
            tuple(domain_of(name, domain) for name, domain in domains.items()),
            structural=frozenset(structural) & frozenset(domains),
            frozen=frozenset(frozen),
        )

    def active(self, values: Mapping[str, Value]) -> Iterator[Domain]:
        """Yield the domains whose conditions hold, in order."""
        for domain in self.domains:
            if all(condition.holds(values) for condition in domain.conditions):
                yield domain

    def mutable(self, values: Mapping[str, Value]) -> Iterator[Domain]:
        """Yield the active domains that explore may change, in order."""
        for domain in self.active(values):
            held = domain.name in self.structural or domain.name in self.frozen or isinstance(domain, Constant)
            if not held:
                yield domain

    def sample(self, seed: int, purpose: str, *keys: str | int) -> dict[str, Value]:
        """Draw values for all active hyperparameters.

        Each name has a stream of its own: adding a hyperparameter changes no other's draws.

        Args:
            seed: The run's seed.
            purpose: What the draw is for.
            *keys: What tells this draw from others of its purpose.

        Returns:
            Values by name, in the order of the space.
        """
        return self.complete({}, seed, purpose, *keys)

    def complete(self, values: Mapping[str, Value], seed: int, purpose: str, *keys: str | int) -> dict[str, Value]:
        """Keep the values of active hyperparameters, and draw those that are missing.

        Args:
            values: Values by name, some of which may be missing or no longer active.
            seed: The run's seed.
            purpose: What the draw is for.
            *keys: What tells this draw from others of its purpose.

        Returns:
            Values of exactly the active hyperparameters.
        """
        whole: dict[str, Value] = {}
        for domain in self.domains:
            if not all(condition.holds(whole) for condition in domain.conditions):
                continue
            if domain.name in values and domain.contains(values[domain.name]):
                whole[domain.name] = values[domain.name]
            else:
                whole[domain.name] = domain.sample(generator(seed, purpose, *keys, domain.name))
        return whole

    def check(self, values: Mapping[str, Value], source: str) -> None:
        """Refuse values that are not of this space.

        Args:
            values: Values by name.
            source: Who made them, for the error's text.

        Raises:
            UsageError: A name is missing or unknown, or a value is out of bounds or off the grid.
        """
        active = {domain.name: domain for domain in self.active(values)}
        for name, value in values.items():
            if name not in active:
                raise UsageError(f"{source}: no hyperparameter '{name}' in the search space{suggest(name, active)}")
            if not active[name].contains(value):
                raise UsageError(f"{source}: {name} = {value!r}; it has to be {describe(active[name])}")
        for name in active:
            if name not in values:
                raise UsageError(f"{source}: {name} is missing; give it a value, {describe(active[name])}")


def domain_of(name: str, domain: NumberDomain | ChoiceDomain) -> Domain:
    """Return a domain as the settings give it, as the search uses it."""
    if isinstance(domain, ChoiceDomain):
        return Choice(name, tuple(domain.choices), domain.ordered)
    if domain.integer:
        return Integer(name, int(domain.min), int(domain.max), domain.scale, domain.step)
    return Real(name, domain.min, domain.max, domain.scale, domain.step)
