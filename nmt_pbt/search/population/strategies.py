"""Exploit and explore strategies by name. Adding one is a `register_exploit` or `register_explore`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.search.population.exploit import Backtrack, Exploit, Tournament, Truncation, TTest
from nmt_pbt.search.population.explore import Explorer, Perturb
from nmt_pbt.search.registry import Registry
from nmt_pbt.tasks.protocol import Objective


@dataclass(frozen=True)
class ExploitSpec:
    """Declares a strategy that decides who adopts whose state.

    Attributes:
        name: What `search.pbt.exploit` calls it.
        summary: Who adopts from whom, in half a sentence.
        build: Makes the strategy; called with the named settings, or without any for its own defaults.
        settings: Names of settings under `search.pbt` that `build` takes as keyword arguments.
        objectives: The objectives that it can decide by; empty: any.
    """

    name: str
    summary: str
    build: Callable[..., Exploit]
    settings: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()

    def check(self, objective: Objective) -> None:
        """Refuse an objective that the strategy cannot decide by."""
        if self.objectives and objective.name not in self.objectives:
            raise UsageError(
                f"search.pbt.exploit {self.name}: decides by {' or '.join(self.objectives)}, but search.objective is "
                f"{objective.name}; change that, or take another exploit"
            )


@dataclass(frozen=True)
class ExploreSpec:
    """Declares a strategy that moves adopted hyperparameters.

    Attributes:
        name: What `search.pbt.explore` calls it.
        summary: How values move, in half a sentence.
        build: Makes the strategy; called with the named settings, or without any for its own defaults.
        settings: Names of settings under `search.pbt` that `build` takes as keyword arguments.
    """

    name: str
    summary: str
    build: Callable[..., Explorer]
    settings: tuple[str, ...] = ()


EXPLOITS: Registry[ExploitSpec] = Registry("exploit strategy")
EXPLORES: Registry[ExploreSpec] = Registry("explore strategy")
register_exploit = EXPLOITS.register
register_explore = EXPLORES.register


def exploit_named(name: str, section: Section | None = None) -> Exploit:
    """Return an exploit strategy.

    Args:
        name: Its name.
        section: Settings to take its arguments from; None takes its own defaults.

    Raises:
        UsageError: There is none of that name.
    """
    spec = EXPLOITS.get(name)
    return spec.build(**_arguments(spec.settings, section))


def explore_named(name: str, section: Section | None = None) -> Explorer:
    """Return an explore strategy; see `exploit_named` for the arguments."""
    spec = EXPLORES.get(name)
    return spec.build(**_arguments(spec.settings, section))


def _arguments(names: tuple[str, ...], section: Section | None) -> dict[str, Any]:
    return {name: getattr(section, name) for name in names} if section is not None else {}


def _pb2(resample_probability: float = 0.25, factor: float = 1.25, fraction_of_range: float = 0.15) -> Explorer:
    from nmt_pbt.search.population.pb2 import PB2  # SciPy takes a second to import

    return PB2(resample_probability, Perturb(factor, fraction_of_range, resample_probability))


def _pb2_mix(resample_probability: float = 0.25, factor: float = 1.25, fraction_of_range: float = 0.15) -> Explorer:
    from nmt_pbt.search.population.pb2_mix import PB2Mix

    return PB2Mix(resample_probability, Perturb(factor, fraction_of_range, resample_probability))


register_exploit(
    ExploitSpec("truncation", "the bottom fraction from the top fraction", Truncation, settings=("fraction",))
)
register_exploit(ExploitSpec("tournament", "whoever loses against a member drawn at random", Tournament))
register_exploit(
    ExploitSpec(
        "ttest",
        "as `tournament`, when the last evaluations differ significantly",
        TTest,
        settings=("significance", "evaluations"),
    )
)
register_exploit(
    ExploitSpec(
        "backtrack",
        "the bottom fraction from the best states there have been",
        Backtrack,
        settings=("fraction",),
    )
)
_STEPS = ("resample_probability", "factor", "fraction_of_range")
register_explore(ExploreSpec("perturb", "by a step, or afresh", Perturb, settings=_STEPS))
register_explore(ExploreSpec("pb2", "a Gaussian process chooses (Parker-Holder et al. 2020)", _pb2, settings=_STEPS))
register_explore(
    ExploreSpec(
        "pb2-mix",
        "as `pb2`, and a bandit chooses unordered values (Parker-Holder et al. 2021)",
        _pb2_mix,
        settings=_STEPS,
    )
)
