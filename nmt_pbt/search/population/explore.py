"""Explore: after an exploit, the adopted hyperparameters move (Jaderberg et al. 2017, section 3.2.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.types import Value
from nmt_pbt.search.population.exploit import Stateless
from nmt_pbt.space.domains import Choice, Constant, Domain, Integer, Real
from nmt_pbt.space.space import Space

if TYPE_CHECKING:
    import numpy as np

ExploreFunction = Callable[[dict[str, Value], Space, "np.random.Generator"], Mapping[str, Value]]
"""A user's own explore: adopted values, the space, a generator -> new values of the same names."""


class Observation(NamedTuple):
    """Where a member stands: epochs its weights were trained on, and its score, higher being better."""

    age: float
    score: float


class Explorer(Protocol):
    """Chooses new values after an exploit."""

    def propose(
        self, space: Space, values: Mapping[str, Value], start: Observation, random: np.random.Generator
    ) -> dict[str, Value]:
        """Return new values.

        Args:
            space: The search space.
            values: The values to move from, of all active hyperparameters.
            start: Where the adopted state stands.
            random: Generator for this proposal alone.

        Returns:
            Values by name: bounds and grid are kept; structural and frozen ones are as they were.
        """
        ...

    def observe(
        self,
        space: Space,
        values: Mapping[str, Value],
        start: Observation | None,
        end: Observation | None,
        epochs: float,
    ) -> None:
        """Learn what an interval brought.

        Args:
            space: The search space.
            values: The values in force.
            start: Where the member stood before; None for fresh weights.
            end: Where it stands after; None if the interval failed.
            epochs: Length of the interval.
        """
        ...

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, as JSON."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        ...


class _LearnsNothing(Stateless):
    """An explorer that looks at no results."""

    def observe(
        self,
        space: Space,
        values: Mapping[str, Value],
        start: Observation | None,
        end: Observation | None,
        epochs: float,
    ) -> None:
        """Learn nothing."""


@dataclass(frozen=True)
class Perturb(_LearnsNothing):
    """Moves each mutable value by a step that suits its domain, or draws it afresh.

    Attributes:
        factor: A step on a log scale multiplies or divides by this, each as likely: no drift.
        fraction_of_range: A step on a linear scale adds or subtracts this share of the range, so that 0 is no trap.
        resample_probability: Chance that a value is drawn afresh from its domain instead.
    """

    factor: float = 1.25
    fraction_of_range: float = 0.15
    resample_probability: float = 0.25

    def __post_init__(self) -> None:
        if not self.factor > 1:
            raise UsageError(f"explore factor {self.factor:g}; it has to be above 1")
        if not 0 < self.fraction_of_range <= 1:
            raise UsageError(f"explore fraction_of_range {self.fraction_of_range:g}; it has to be in (0, 1]")
        if not 0 <= self.resample_probability <= 1:
            raise UsageError(f"explore resample_probability {self.resample_probability:g}; it has to be in [0, 1]")

    def propose(
        self, space: Space, values: Mapping[str, Value], start: Observation, random: np.random.Generator
    ) -> dict[str, Value]:
        """Return moved values; see `Explorer`."""
        moved = dict(values)
        for domain in space.mutable(values):
            if random.random() < self.resample_probability:
                moved[domain.name] = domain.sample(random)
            else:
                moved[domain.name] = self.step(domain, values[domain.name], random)
        return moved

    def step(self, domain: Domain, value: Value, random: np.random.Generator) -> Value:
        """Return a value one step away, up or down.

        A step that would leave the bounds ends at the bound, so that a bound can be reached exactly, and is left
        again by every second step on average.

        Args:
            domain: The domain of the value.
            value: A value of the domain.
            random: Generator of the direction.

        Returns:
            A value of the domain. Whole numbers move by at least 1, ordered choices to a neighbour; unordered ones
            are drawn afresh, as they have no neighbours.
        """
        if isinstance(domain, Constant):
            return domain.value
        if isinstance(domain, Choice):
            if not domain.ordered:
                return domain.sample(random)
            index = domain.index(value) + (1 if random.random() < 0.5 else -1)
            return domain.values[min(max(index, 0), domain.size - 1)]
        assert not isinstance(value, str)
        if isinstance(domain, Integer) and domain.step is None:
            return self._step_whole(domain, int(value), random)
        length = self._length(domain)
        sign = 1 if random.random() < 0.5 else -1
        if domain.spacing is not None:
            steps = max(1, round(length / domain.spacing))
            assert domain.size is not None
            return domain.at(min(max(domain.index(float(value)) + sign * steps, 0), domain.size - 1))
        target = domain.coordinate(float(value)) + sign * length
        low, high = domain.coordinate(domain.min), domain.coordinate(domain.max)
        if target <= low:
            return domain.clip(domain.min)
        return domain.clip(domain.max if target >= high else domain.at_coordinate(target))

    def _length(self, domain: Real | Integer) -> float:
        """Return the length of a step in the domain's own coordinate."""
        if domain.scale == "linear":
            return self.fraction_of_range * (domain.max - domain.min)
        return math.log(self.factor)

    def _step_whole(self, domain: Integer, value: int, random: np.random.Generator) -> int:
        """Return a whole number about one factor away on a log scale.

        Rounding makes the way up and the way down unequal (4 -> 5 or 3), and truncation would ratchet downwards. So
        the direction is drawn with the probabilities that make the mean step of the logarithm zero.
        """
        mirror = int(domain.max + domain.min) if domain.scale == "reverse_log" else 0
        start = mirror - value if mirror else value
        up = max(start + 1, round(start * self.factor))
        down = min(start - 1, round(start / self.factor))
        chance = 0.5 if down < 1 else math.log(start / down) / math.log(up / down)
        moved = up if random.random() < chance else down
        return domain.clip(mirror - moved if mirror else moved)


@dataclass(frozen=True)
class UserExplore(_LearnsNothing):
    """Explores by a user's function, and checks what it returns.

    Attributes:
        function: Called once an explore with the adopted values, the space and a seeded generator.
    """

    function: ExploreFunction

    def propose(
        self, space: Space, values: Mapping[str, Value], start: Observation, random: np.random.Generator
    ) -> dict[str, Value]:
        """Return the function's values.

        Raises:
            UsageError: They are not of the space, or a structural or frozen one was changed.
        """
        name = getattr(self.function, "__name__", type(self.function).__name__)
        result = self.function(dict(values), space, random)
        if not isinstance(result, Mapping):
            raise UsageError(f"explore function {name}: returned {type(result).__name__}; return a dict of values")
        moved = {key: _plain(value) for key, value in result.items()}
        space.check(moved, f"explore function {name}")
        for key in sorted(space.structural | space.frozen):
            if key in values and moved.get(key) != values[key]:
                raise UsageError(f"explore function {name}: changed {key}, which is structural or frozen; keep it")
        return moved


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar into the Python value that journal and wire can carry."""
    import numpy as np

    return value.item() if isinstance(value, np.generic) else value
