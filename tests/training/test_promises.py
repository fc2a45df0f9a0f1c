"""What is promised in numbers: a member moves in milliseconds, and a small model learns to copy."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask


@pytest.mark.alone
def test_moving_to_another_member_of_3_million_parameters_takes_at_most_50_ms(digits):
    settings = load_settings(overrides={"model.units": 384, "model.embedding_units": 128})
    trainable = TranslationTask(settings, digits).build({})
    assert sum(np.prod(weight.shape) for weight in trainable.model.trainable_variables) >= 3_000_000
    states = []
    for seed in range(2):
        trainable.reset(seed)
        states.append(trainable.state())
    taken = []
    for move in range(20):
        begin = time.process_time()  # of all threads: other processes of the machine do not count
        trainable.load(states[move % 2])
        trainable.set_hyperparameters({"dropout": 0.3, "learning_rate": 1e-3})
        taken.append(time.process_time() - begin)
    assert np.median(taken) <= 0.050


@pytest.mark.alone
def test_copying_is_learned_within_90_seconds_of_one_core(prepare_copy):
    settings = load_settings(overrides={"model.units": 64, "model.embedding_units": 32})
    corpus = prepare_copy(10_000, 500, 12)
    trainable = TranslationTask(settings, corpus).build({})
    assert sum(np.prod(weight.shape) for weight in trainable.model.trainable_variables) <= 200_000
    trainable.reset(0)
    begin = time.process_time()
    for rate in (4e-3, 4e-3, 4e-3, 1e-3, 3e-4):
        trainable.set_hyperparameters(
            {"learning_rate": rate, "dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.0}
        )
        trainable.train(6_000)
    assert time.process_time() - begin <= 90
    dev = corpus.corpus.dev
    exact = [found == wanted for found, wanted in zip(trainable.translate(dev.source), dev.target, strict=True)]
    assert np.mean(exact) >= 0.99
