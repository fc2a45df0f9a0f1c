"""The tasks with a known answer that other toolkits test themselves by, at their sizes and numbers of updates.

JoeyNMT's reverse task: digits 0 to 49, up to 25 of them, 50,000 pairs, LSTMs of 64, embeddings of 16, 7,000 updates of
24 pairs: 95 BLEU. Sockeye's system tests: up to 9 digits, 10,000 lines, LSTMs of 64, embeddings of 32, updates of 16
pairs: copy 98 BLEU after 4,000, sort 97 and a perplexity of 1.03 after 7,000.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.parallel import ParallelText
from nmt_pbt.tasks.translation.corpus.stream import PairStream
from nmt_pbt.tasks.translation.corpus.synthetic import digit_pairs
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HELD_OUT = 1_000


class Numbers:
    """A subword for each number, after PAD, UNK, BOS and EOS."""

    def __init__(self, symbols: int) -> None:
        self.size = 4 + symbols

    def encode(self, lines: Sequence[str]) -> list[np.ndarray]:
        return [np.array([4 + int(number) for number in line.split()], np.int32) for line in lines]

    def decode(self, sentences: Sequence[np.ndarray]) -> list[str]:
        return [" ".join(str(i - 4) for i in ids if i >= 4) for ids in sentences]


@dataclass(frozen=True)
class Dev:
    """What a trainable reads of a corpus: the text of its dev split."""

    dev: ParallelText


@dataclass(frozen=True)
class Task:
    """A corpus of numbers, prepared for training."""

    subwords: Numbers
    corpus: Dev
    train_source: list[np.ndarray]
    train_target: list[np.ndarray]
    dev_source: list[np.ndarray]
    dev_target: list[np.ndarray]

    @classmethod
    def of(cls, name: str, symbols: int, longest: int, count: int) -> Task:
        pairs = digit_pairs(name, generator(0, name), symbols, longest)
        lines = [next(pairs) for _ in range(count + HELD_OUT)]
        dev = ParallelText(*(tuple(side) for side in zip(*lines[count:], strict=True)))
        subwords = Numbers(symbols)
        source, target = (subwords.encode(side) for side in zip(*lines[:count], strict=True))
        return cls(subwords, Dev(dev), source, target, subwords.encode(dev.source), subwords.encode(dev.target))

    def stream(self, seed: int) -> PairStream:
        return PairStream(self.train_source, self.train_target, seed)


def learn(task: Task, embedding: int, batch: int, updates: int, peak: float, **values: float) -> dict[str, float]:
    """Train with a learning rate that falls to zero, and return the dev scores."""
    settings = load_settings(overrides={"model.units": 64, "model.embedding_units": embedding, "engine.threads": 1})
    trainable = TranslationTask(settings, task).build({})
    trainable.reset(0)
    plain = {"batch_size": batch, "dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.0}
    parts = 20
    begin = time.process_time()
    for part in range(parts):
        trainable.set_hyperparameters({**plain, **values, "learning_rate": peak * (1 - part / parts)})
        trainable.train(batch * updates // parts)
    scores = dict(trainable.evaluate().metrics)
    steps = int(trainable.state().arrays["optimizer/iterations"])
    print(f"{steps} updates in {time.process_time() - begin:.0f} s of one core: {scores}")  # noqa: T201
    assert steps == updates
    assert time.process_time() - begin <= 300
    return scores


def test_reversing_reaches_95_bleu_at_joeynmt_s_size() -> None:
    # eight pairs fewer than 50,000: a whole number of batches
    assert learn(Task.of("reverse", 50, 25, 49_992), 16, 24, 7_000, 4e-3)["val_bleu"] >= 95


def test_copying_reaches_98_bleu_at_sockeye_s_size() -> None:
    assert learn(Task.of("copy", 10, 9, 10_000), 32, 16, 4_000, 4e-3)["val_bleu"] >= 98


def test_sorting_reaches_97_bleu_and_a_perplexity_of_1_03_at_sockeye_s_size() -> None:
    scores = learn(Task.of("sort", 10, 9, 10_000), 32, 16, 7_000, 4e-3)
    assert scores["val_bleu"] >= 97
    assert math.exp(scores["val_loss"]) <= 1.03
