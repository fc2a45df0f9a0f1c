"""A child that takes over a donor's state is the donor, until its own values say otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nmt_pbt.experiment.engine import Leg
from nmt_pbt.experiment.worker import TraineePool, Worker
from nmt_pbt.training.state import ITERATIONS, OPTIMIZER, WEIGHTS, StateStore, content_hash, part_hash
from nmt_pbt.training.trainee import TranslationTask

DONOR = {"learning_rate": 3e-3, "dropout": 0.3, "recurrent_dropout": 0.2, "batch_size": 10}
CHILD = {"learning_rate": 7e-4, "dropout": 0.1, "recurrent_dropout": 0.0, "batch_size": 10}


@pytest.fixture(scope="module")
def task(small_settings, digits):
    return TranslationTask(small_settings, digits)


@pytest.fixture(scope="module")
def donor(task):
    """A live model in mid-training, and the state it was saved in."""
    trainee = task.build({})
    trainee.reset(1)
    trainee.apply(DONOR)
    trainee.train(95)
    return trainee, trainee.state()


@pytest.fixture
def child(task, donor):
    """Another live model, which trained something else before it took the donor's state over."""
    trainee = task.build({})
    trainee.reset(2)
    trainee.apply({**CHILD, "clip_norm": 0.5})
    trainee.train(30)
    trainee.load(donor[1])
    return trainee


def test_weights_optimizer_slots_and_iterations_hash_equal_right_after_the_load(child, donor):
    held, state = child.state(), donor[1]
    for part in (WEIGHTS, OPTIMIZER):
        assert part_hash(held, part) == part_hash(state, part)
    assert held.arrays[ITERATIONS] == state.arrays[ITERATIONS] == 10
    assert content_hash(held) == content_hash(state)


def test_under_equal_values_and_generators_the_first_batch_has_the_donors_loss(child, donor):
    trainee, state = donor
    child.apply(DONOR)
    trainee.load(state)
    trainee.apply(DONOR)
    assert child.train(10) == trainee.train(10)
    assert content_hash(child.state()) == content_hash(trainee.state())


def test_without_the_donors_optimizer_slots_the_second_batch_would_differ(child, donor):
    """What the check above would miss if it looked at weights alone."""
    trainee, state = donor
    trainee.load(state)
    trainee.apply(DONOR)
    bare = {name: np.zeros_like(a) if name.startswith(OPTIMIZER) else a for name, a in state.arrays.items()}
    child.load(dataclasses.replace(state, arrays=bare))
    child.apply(DONOR)
    assert child.train(10) == trainee.train(10)
    assert child.train(10) != trainee.train(10)


def test_the_childs_own_values_are_in_force_and_the_donors_iterations_go_on(child, donor, task, tmp_path):
    states = StateStore(tmp_path)
    start = states.save("donor", donor[1])
    pool = TraineePool(task)
    leg = Leg("child", CHILD, 20, None, weights_seed=1, masks_seed=5, order_seed=0, save_as="child")
    worker = Worker("w", pool, states)
    elsewhere = worker.run(leg)
    assert elsewhere.state is not None
    reference = dataclasses.replace(elsewhere.state, name="donor", hash=start)
    result = worker.run(dataclasses.replace(leg, start=reference))
    state = states.load("child")
    assert result.age == 95 + 20
    assert state.arrays[ITERATIONS] == 10 + 2
    held = pool.get(CHILD).trainee.values_in_force()
    assert {name: held[name] for name in CHILD} == CHILD
