"""The toys of PBT-Zoo: what ordinary PBT is right for, and what it is not."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_pbt.search.population.exploit import Exploit, Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.fire import FIRE, LONGEST_EVALUATION
from nmt_pbt.search.population.iterated import IPBT, Restart
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.search.population.pb2 import PB2
from nmt_pbt.search.population.pb2_mix import PB2Mix
from tests.pbt_zoo import DECISIONS, MEMBERS, SPACE, by_schedule, line, search

SEEDS = range(20)
CONSTANTS = np.linspace(1e-4, 1.1, 1101)


def best_constant(deceptive: bool) -> float:
    return max(by_schedule([float(h)] * DECISIONS, deceptive) for h in CONSTANTS)


def mean(deceptive: bool, exploit: Exploit | None) -> float:
    return float(np.mean([search(deceptive, seed, exploit, Perturb()).score for seed in SEEDS]))


def test_the_toys_are_those_of_the_paper() -> None:
    falling = [line(age) for age in range(DECISIONS)]
    assert by_schedule([1.0] * DECISIONS, deceptive=False) == pytest.approx(1.1852, abs=5e-5)
    assert by_schedule([1.0] * DECISIONS, deceptive=True) == pytest.approx(0.9546, abs=5e-5)
    assert by_schedule([0.0] * DECISIONS, deceptive=True) == pytest.approx(0.827, abs=5e-4)
    assert by_schedule(falling, deceptive=True) == pytest.approx(1.1979, abs=5e-5)
    assert best_constant(deceptive=False) == pytest.approx(1.1997, abs=5e-5)
    assert best_constant(deceptive=True) == pytest.approx(1.097, abs=5e-4)


def test_where_greed_is_right_pbt_reaches_the_optimum() -> None:
    assert mean(False, Truncation()) >= 1.199


def test_where_greed_is_wrong_pbt_is_worse_than_a_constant_and_than_no_exploit() -> None:
    reached = mean(True, Truncation())
    assert reached <= 1.0
    assert reached < mean(True, None) < best_constant(deceptive=True)


def test_where_greed_is_wrong_parts_that_decide_seldom_find_nearly_the_best_schedule() -> None:
    assert mean(True, MultiFrequency(MEMBERS, (1, 5))) >= 1.15


def test_where_greed_is_wrong_improvement_rates_are_a_better_guide_than_scores() -> None:
    fire = [FIRE(MEMBERS, 0.25, 0.25, 0.01, LONGEST_EVALUATION) for _ in range(8)]
    reached = [search(True, seed, exploit, Perturb()).score for seed, exploit in enumerate(fire[:7])]
    assert np.mean(reached) >= 0.98
    assert search(False, 0, fire[7], Perturb()).score >= 1.199


def test_where_greed_is_wrong_pb2_is_as_greedy() -> None:
    assert 0.88 <= search(True, 0, Truncation(), PB2()).score <= 0.95


def test_restarts_that_keep_weights_help_where_greed_is_right_alone() -> None:
    ipbt = [IPBT(SPACE, MEMBERS, 0, 0.25, Restart()) for _ in range(2)]
    assert search(False, 0, ipbt[0], PB2Mix()).score >= 1.199
    assert search(True, 0, ipbt[1], PB2Mix()).score <= 0.95  # what greed cost is in the weights
    assert ipbt[1].iteration >= 2
