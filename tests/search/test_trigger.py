"""A population without exploit: whose values move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nmt_pbt.search.population.exploit import Truncation
from nmt_pbt.search.population.explore import UserExplore
from nmt_pbt.space.space import Space
from tests.search.test_population import population, run, score


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("fraction", [1 / 6, 1 / 3, 1 / 2])
def test_without_exploit_as_many_members_move_as_would_adopt_and_strong_ones_too(fraction: float, workers: int) -> None:
    def redraw(values: Mapping[str, Any], space: Space, random: np.random.Generator) -> dict[str, Any]:
        return {**values, "dropout": random.uniform(0.0, 0.6)}

    people = population(
        exploit=None, trigger=Truncation(fraction), explore=UserExplore(redraw), epochs=40.0, synchronous=True
    )
    log = run(people, workers)
    turns = {(turn.generation, turn.member): turn for turn in log}
    places = []
    for generation in range(1, 40):
        before = [turns[generation - 1, member] for member in range(6)]
        moved = [turn.member for turn in before if turns[generation, turn.member].values != turn.values]
        assert len(moved) == round(6 * fraction)
        weakest_first = sorted(before, key=score)
        places += [place for place, turn in enumerate(weakest_first) if turn.member in moved]
    assert set(places) == set(range(6))
    assert min(places.count(place) for place in range(6)) > len(places) / 6 / 3


def test_without_exploit_only_members_past_burn_in_that_have_not_failed_move() -> None:
    arguments = {"exploit": None, "trigger": Truncation(1 / 2), "synchronous": True, "epochs": 12.0, "burn_in": 4.0}
    log = run(population(**arguments), fails=lambda turn: turn.member == 2 and turn.generation == 5)
    turns = {(turn.generation, turn.member): turn for turn in log}
    moved = [
        key
        for key, turn in turns.items()
        if turn.parent is not None and turn.values != turns[key[0] - 1, key[1]].values
    ]
    assert min(generation for generation, _ in moved) == 4
    assert turns[6, 2].parent is None
    assert all(generation >= 10 for generation, member in moved if member == 2 and generation > 5)
