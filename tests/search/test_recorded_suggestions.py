"""PB2 and PB2-Mix suggest what they suggested before the process was made faster."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.types import Value
from nmt_pbt.search.population.explore import Observation
from nmt_pbt.search.population.pb2 import PB2
from nmt_pbt.search.population.pb2_mix import PB2Mix
from nmt_pbt.space.domains import Choice, Real
from nmt_pbt.space.space import Space

ONE = Space((Real("rate", 1e-4, 1e-1, "log"),))
FOUR = Space(
    (
        Real("rate", 1e-4, 1e-1, "log"),
        Real("dropout", 0.0, 0.6),
        Real("smoothing", 0.0, 0.3),
        Choice("kind", ("a", "b", "c")),
    )
)
RECORDED = Path(__file__).parent / "suggestions" / "pb2.json"
MEMBERS = 12
TOGETHER = 3


def suggestions() -> dict[str, list[dict[str, Value]]]:
    """Return what is suggested, a few times in a row, by explorer and space."""
    return {
        "pb2, one value": _suggested(PB2(), ONE, generations=20),
        "pb2, four values": _suggested(PB2(resample_probability=0.0), FOUR, generations=8),
        "pb2-mix, four values": _suggested(PB2Mix(resample_probability=0.0), FOUR, generations=8),
    }


def _suggested(explorer: PB2, space: Space, generations: int) -> list[dict[str, Value]]:
    """Let members train and the last ones decide; those with even numbers all go the same way, as members may."""
    random = np.random.default_rng(7)
    given = []
    for generation in range(generations):
        common, moment = space.sample(0, "common", generation), Observation(float(generation), 0.3 * generation**0.5)
        for member in range(MEMBERS):
            values = common if member % 2 == 0 else space.sample(0, "own", generation, member)
            noise = 0.0 if member % 2 == 0 else 0.1 * float(random.normal())
            rise = 1.0 - abs(math.log10(float(values["rate"])) + 2.0 + generation / 20) + noise
            explorer.observe(space, values, moment, Observation(moment.age + 1, moment.score + rise), 1.0)
        if generation % 4 == 3:
            moment = Observation(generation + 1.0, 0.3 * (generation + 1) ** 0.5)
            together = [explorer.propose(space, common, moment, np.random.default_rng(n)) for n in range(TOGETHER)]
            for values in together:
                explorer.observe(space, values, moment, None, 1.0)
            given += together
    return given


def test_suggestions_are_as_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())
    suggested = suggestions()
    assert suggested.keys() == recorded.keys()
    for name, values in recorded.items():
        assert len(values) == len(suggested[name])
        for before, after in zip(values, suggested[name], strict=True):
            assert after.keys() == before.keys()
            for hyperparameter, value in before.items():
                close = value if isinstance(value, str) else pytest.approx(value, rel=1e-6, abs=1e-9)
                assert after[hyperparameter] == close
