from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.grid import check_levels
from nmt_pbt.search.oracles.grid_points import LARGEST, grid_points
from nmt_pbt.space.domains import Choice, Integer, Real
from nmt_pbt.space.space import Space

SPACE = Space(
    (
        Real("rate", 1e-4, 1e-2, "log"),
        Real("dropout", 0.0, 0.6),
        Integer("layers", 1, 2),
        Choice("batch_size", (16, 32, 64, 128)),
    )
)


@given(st.integers(1, 200), st.integers(0, 20))
def test_a_grid_has_at_least_the_points_asked_for_and_is_balanced(count: int, seed: int) -> None:
    points = grid_points(SPACE, count, {}, seed)
    assert len(points) >= count
    assert len({tuple(point.values()) for point in points}) == len(points)
    sizes = {name: len({point[name] for point in points}) for name in SPACE.names}
    assert math.prod(sizes.values()) == len(points)
    assert min(sizes.values()) == 2
    assert sizes["layers"] == 2
    # No level more than needed: with one less of the finest, the grid would not do.
    finest = max(sizes.values())
    assert finest == 2 or len(points) // finest * (finest - 1) < count
    for point in points:
        SPACE.check(point, "grid")


def test_the_first_points_of_a_grid_use_every_level_equally_often() -> None:
    points = grid_points(SPACE, 8, {}, 0)
    assert len(points) == 16
    for name in SPACE.names:
        used = [point[name] for point in points[:8]]
        assert sorted(used.count(level) for level in set(used)) == [4, 4]


def test_the_users_levels_are_crossed_as_given() -> None:
    levels = {"rate": [1e-3], "dropout": [0.0, 0.3, 0.6], "layers": [1], "batch_size": [16]}
    points = grid_points(SPACE, 3, levels, 0)
    assert sorted(point["dropout"] for point in points) == [0.0, 0.3, 0.6]
    assert {point["rate"] for point in points} == {1e-3}


def test_a_huge_grid_is_thinned_out_by_the_seed() -> None:
    levels = {"dropout": [number / 1000 for number in range(600)], "rate": [1e-4 * (1 + n / 100) for n in range(99)]}
    points = grid_points(SPACE, 6, levels, 0)
    assert len(points) == LARGEST
    assert len({tuple(point.values()) for point in points}) == LARGEST
    assert points == grid_points(SPACE, 6, levels, 0)
    assert points[0] != grid_points(SPACE, 6, levels, 1)[0]


def test_a_space_with_fewer_points_than_trials_gives_them_all() -> None:
    tiny = Space((Choice("a", (1, 2)), Choice("b", ("x", "y", "z"))))
    assert len(grid_points(tiny, 50, {}, 0)) == 6


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ({"dropuot": [0.1]}, "levels.dropuot: not in the search space; did you mean 'dropout'"),
        ({"dropout": [0.7]}, "levels.dropout: 0.7; it has to be a number from 0 to 0.6"),
        ({"dropout": []}, "list at least one value"),
        ({"dropout": [0.1, 0.1]}, "none twice"),
    ],
)
def test_levels_that_are_not_of_the_space_are_refused(levels: dict[str, list[float]], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        check_levels(SPACE, levels)
