"""What the members of a population start with."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.search.population.starts import initial_values, sobol_values
from nmt_pbt.space.domains import Choice, Condition, Constant, Integer, Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL

SPACE = Space(
    (
        Real("rate", 1e-4, 1e-1, "log"),
        Real("dropout", 0.0, 0.8),
        Choice("batch", (16, 32, 64, 128)),
        Choice("kind", ("a", "b")),
        Integer("units", 1, 8),
        Real("slope", 0.0, 1.0, conditions=(Condition("kind", ("b",)),)),
        Constant("fixed", 3),
    )
)


@pytest.mark.parametrize("seed", range(6))
def test_of_eight_points_one_lies_in_each_eighth_of_each_range(seed: int) -> None:
    spread = sobol_values(SPACE, 8, seed)
    for name in ("rate", "dropout"):
        domain = next(domain for domain in SPACE.domains if domain.name == name)
        assert sorted(int(8 * domain.to_unit(values[name])) for values in spread) == list(range(8))
    for name, each in (("batch", 2), ("kind", 4), ("units", 1)):
        values = [values[name] for values in spread]
        assert {values.count(value) for value in values} == {each}
    for values in spread:
        SPACE.check(values, "sobol")


def test_single_draws_leave_gaps_that_the_sequence_does_not() -> None:
    def largest_gap(values: list[float]) -> float:
        return float(np.diff([0.0, *sorted(values), 0.8]).max())

    spread, drawn = (
        np.mean([largest_gap([float(one["dropout"]) for one in draw(seed)]) for seed in range(50)])
        for draw in (
            lambda seed: sobol_values(SPACE, 8, seed),
            lambda seed: [SPACE.sample(seed, "initial", member) for member in range(8)],
        )
    )
    assert spread < 0.8 * drawn


def test_the_same_seed_spreads_alike_and_another_one_does_not() -> None:
    assert sobol_values(SPACE, 6, 0) == sobol_values(SPACE, 6, 0) == sobol_values(SPACE, 8, 0)[:6]
    assert sobol_values(SPACE, 6, 0) != sobol_values(SPACE, 6, 1)


def test_what_is_given_is_kept_and_the_rest_is_spread() -> None:
    values = initial_values(SPACE, 4, [{"dropout": 0.5}], 0, sobol=True)
    assert len(values) == 4
    assert values[0]["dropout"] == 0.5
    assert values[0]["rate"] == sobol_values(SPACE, 4, 0)[0]["rate"]
    assert values[1:] == sobol_values(SPACE, 4, 0)[1:]


@pytest.mark.parametrize(("method", "changes"), [("pbt-sobol", []), ("pb2", ["search.pbt.sobol_start=true"])])
def test_every_population_can_start_so(method: str, changes: list[str]) -> None:
    settings = load_settings(assignments=[*SMALL, *changes])
    plan = settings.search_plan()
    oracle = build_method(method, plan, 3, 1000)
    first = [dict(oracle.assignment(oracle.create_trial(str(worker))).values) for worker in range(6)]
    assert first == sobol_values(plan.space, 6, 3)
