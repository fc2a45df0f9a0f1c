"""The toy of the PBT paper and a moving optimum, through the real oracle and driver, over many seeds."""

from __future__ import annotations

import math
from typing import Any

import keras_tuner
import numpy as np
import pytest

from nmt_pbt.base.types import Value
from nmt_pbt.search.oracles.baselines import GridOracle
from nmt_pbt.search.oracles.grid_points import points_within
from nmt_pbt.search.oracles.pbt import JournaledPBTOracle
from nmt_pbt.search.population.exploit import Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.space.domains import Choice, Real
from nmt_pbt.space.space import Space
from tests.toys import LENGTH, MOVING, PAPER, Search, best_rate, budget, search

SEEDS = range(24)
QUALITY = keras_tuner.Objective("val_q", "max")
H = Space((Real("h0", 0.0, 1.0), Real("h1", 0.0, 1.0)))


def paper(seed: int, **changes: Any) -> Search:
    """Two members for 200 steps; every 5 the worse adopts from the better."""
    arguments: dict[str, Any] = {
        "space": H,
        "seed": seed,
        "objective": QUALITY,
        "population_size": 2,
        "interval": 1.0,
        "epochs": 40.0,
        "exploit": Truncation(0.5),
        "explore": Perturb(fraction_of_range=0.1, resample_probability=0.0),
        "initial": [{"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0}],
        "synchronous": True,
    }
    workers = changes.pop("workers", 1)
    whole = arguments["budget"] = budget(PAPER, 2, 40.0)
    return search(PAPER, JournaledPBTOracle(**{**arguments, **changes}), whole, workers)


def quality(result: Search) -> float:
    value = result.winner.metrics["val_q"]
    assert value is not None
    return value


def multiplied(values: dict[str, Value], space: Space, random: np.random.Generator) -> dict[str, Value]:
    """The step of other systems: times 1.2 or 0.8."""
    return {name: min(float(value) * float(random.choice([0.8, 1.2])), 1.0) for name, value in values.items()}


def test_on_the_papers_toy_grid_search_ends_at_its_ceiling() -> None:
    space = Space((Choice("start", ("first", "second")),))
    for seed in SEEDS:
        whole = budget(PAPER, 2, 40.0)
        points = points_within(space, whole, 40.0, {}, seed)
        oracle = GridOracle(
            space=space, points=points, budget=whole, epochs=40.0, max_initial_failures=2, objective=QUALITY, seed=seed
        )
        result = search(PAPER, oracle, whole)
        assert {record.values["start"] for record in result.assigned} == {"first", "second"}
        assert 0.37 < quality(result) <= 0.391


def test_on_the_papers_toy_exploit_without_explore_does_no_better() -> None:
    reached = [quality(paper(seed, explore=None)) for seed in SEEDS]
    assert max(reached) <= 0.391
    assert min(reached) > 0.37


@pytest.mark.parametrize("synchronous", [True, False])
def test_on_the_papers_toy_pbt_reaches_the_top(synchronous: bool) -> None:
    reached = [quality(paper(seed, synchronous=synchronous)) for seed in SEEDS]
    assert np.median(reached) >= 1.15
    assert max(reached) <= 1.2


def test_on_the_papers_toy_two_asynchronous_workers_pass_the_ceiling_though_one_is_always_ahead() -> None:
    reached = [quality(paper(seed, synchronous=False, workers=2)) for seed in SEEDS]
    assert np.median(reached) >= 1.1


def test_on_the_papers_toy_a_multiplying_explore_is_caught_at_0() -> None:
    reached = [quality(paper(seed, explore=multiplied)) for seed in SEEDS]
    assert max(reached) <= 0.391


def log_error(rates: list[float]) -> float:
    """Mean distance in decades from the best rate, over the steps."""
    steps = [(rate, interval * 5 + step) for interval, rate in enumerate(rates) for step in range(5)]
    return float(np.mean([abs(math.log10(rate / best_rate(age))) for rate, age in steps]))


@pytest.mark.parametrize(("synchronous", "workers"), [(True, 1), (False, 4)])
def test_pbts_schedule_follows_a_moving_optimum(synchronous: bool, workers: int) -> None:
    constants = [log_error([rate] * (LENGTH // 5)) for rate in np.logspace(-3.5, -1.5, 201).tolist()]
    best_constant = min(constants)
    assert best_constant == pytest.approx(0.25, abs=0.01)
    errors = []
    for seed in range(20):
        oracle = JournaledPBTOracle(
            space=Space((Real("rate", 1e-4, 1e-1, "log"),)),
            budget=budget(MOVING, 10, LENGTH / 5),
            seed=seed,
            objective=QUALITY,
            population_size=10,
            interval=1.0,
            epochs=LENGTH / 5,
            exploit=Truncation(0.25),
            explore=Perturb(factor=1.25, resample_probability=0.1),
            synchronous=synchronous,
        )
        result = search(MOVING, oracle, oracle.budget, workers)
        schedule = [float(value) for value in result.schedule("rate")]
        assert result.most_states <= 2 * 10 + 2
        errors.append(log_error(schedule))
    assert max(errors) <= best_constant / 2
