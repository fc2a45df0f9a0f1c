"""A child that takes over a donor's state is the donor, until its own values say otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nmt_pbt.run.jobs import TrainingJob
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import ITERATIONS, OPTIMIZER, WEIGHTS, StateStore, content_hash
from nmt_pbt.tasks.translation.task import TranslationTask

DONOR = {"learning_rate": 3e-3, "dropout": 0.3, "recurrent_dropout": 0.2, "batch_size": 10}
CHILD = {"learning_rate": 7e-4, "dropout": 0.1, "recurrent_dropout": 0.0, "batch_size": 10}


@pytest.fixture(scope="module")
def task(small_settings, digits):
    return TranslationTask(small_settings, digits)


@pytest.fixture(scope="module")
def donor(trainable):
    """A live model in mid-training, and the state it was saved in."""
    trainable.reset(1)
    trainable.set_hyperparameters(DONOR)
    trainable.train(95)
    return trainable, trainable.state()


@pytest.fixture(scope="module")
def another(task):
    return task.build({})


@pytest.fixture
def child(another, donor):
    """Another live model, which trained something else before it took the donor's state over."""
    another.reset(2)
    another.set_hyperparameters({**CHILD, "clip_norm": 0.5})
    another.train(30)
    another.load(donor[1])
    return another


def test_weights_optimizer_slots_and_iterations_hash_equal_right_after_the_load(child, donor):
    held, state = child.state(), donor[1]
    for part in (WEIGHTS, OPTIMIZER):
        held_part, part_of_donor = (
            MemberState({name: array for name, array in one.arrays.items() if name.startswith(part)}, 0)
            for one in (held, state)
        )
        assert held_part.arrays
        assert content_hash(held_part) == content_hash(part_of_donor)
    assert held.arrays[ITERATIONS] == state.arrays[ITERATIONS] == 10
    assert content_hash(held) == content_hash(state)


def test_under_equal_values_and_generators_the_first_batch_has_the_donors_loss(child, donor):
    trainable, state = donor
    child.set_hyperparameters(DONOR)
    trainable.load(state)
    trainable.set_hyperparameters(DONOR)
    assert child.train(10) == trainable.train(10)
    assert content_hash(child.state()) == content_hash(trainable.state())


def test_without_the_donors_optimizer_slots_the_second_batch_would_differ(child, donor):
    """What the check above would miss if it looked at weights alone."""
    trainable, state = donor
    trainable.load(state)
    trainable.set_hyperparameters(DONOR)
    bare = {name: np.zeros_like(a) if name.startswith(OPTIMIZER) else a for name, a in state.arrays.items()}
    child.load(dataclasses.replace(state, arrays=bare))
    child.set_hyperparameters(DONOR)
    assert child.train(10) == trainable.train(10)
    assert child.train(10) != trainable.train(10)


def test_the_childs_own_values_are_in_force_and_the_donors_iterations_go_on(child, donor, task, tmp_path):
    states = StateStore(tmp_path)
    start = states.save("donor", donor[1])
    pool = TrainablePool(task)
    job = TrainingJob("child", CHILD, 20, None, weights_seed=1, masks_seed=5, order_seed=0, save_as="child")
    worker = Worker("w", pool, states)
    elsewhere = worker.run(job)
    assert elsewhere.state is not None
    reference = dataclasses.replace(elsewhere.state, name="donor", hash=start)
    result = worker.run(dataclasses.replace(job, start=reference))
    state = states.load("child")
    assert result.trained_pairs == 95 + 20
    assert state.arrays[ITERATIONS] == 10 + 2
    held = pool.get(CHILD).trainable.effective_values()
    assert {name: held[name] for name in CHILD} == CHILD
