"""A small corpus of digit sequences whose target is its source, with one subword a digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from nmt_pbt.tasks.translation.corpus.subwords import EOS
from nmt_pbt.tasks.translation.decoding.batches import source_batch, target_batch
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask
from nmt_pbt.tasks.translation.training.trainable import TranslationTrainable


class Digits:
    """Ten subwords after PAD, UNK, BOS and EOS."""

    size = 14

    def encode(self, lines: Sequence[str]) -> list[np.ndarray]:
        return [np.array([4 + int(digit) for digit in line.split()], np.int32) for line in lines]

    def decode(self, sequences: Sequence[np.ndarray]) -> list[str]:
        return [" ".join(str(i - 4) for i in ids if i >= 4) for ids in sequences]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return ["</s>" if i == EOS else str(i - 4) for i in ids]


@dataclass
class Stream:
    source: list[np.ndarray]
    target: list[np.ndarray]

    @property
    def epoch(self) -> int:
        return len(self.source)

    def batches(
        self, position: int, pairs: int, batch_size: int, subword_sampling: float = 0.0
    ) -> Iterator[SimpleNamespace]:
        for start in range(position, position + pairs, batch_size):
            chosen = [i % len(self.source) for i in range(start, min(start + batch_size, position + pairs))]
            yield SimpleNamespace(
                source=source_batch([self.source[i] for i in chosen]),
                target=target_batch([self.target[i] for i in chosen]),
            )


@dataclass
class Prepared:
    train_source: list[np.ndarray]
    train_target: list[np.ndarray]
    dev_source: list[np.ndarray]
    dev_target: list[np.ndarray]
    corpus: SimpleNamespace
    subwords: Digits

    def stream(self, seed: int) -> Stream:
        return Stream(self.train_source, self.train_target)


def digit_lines(count: int, longest: int, seed: int) -> tuple[str, ...]:
    random = np.random.default_rng(seed)
    return tuple(" ".join(map(str, random.integers(0, 10, random.integers(1, longest + 1)))) for _ in range(count))


def _prepare_copy(train: int, dev: int, longest: int = 8) -> Prepared:
    subwords = Digits()
    text = digit_lines(train, longest, 1)
    dev_text = digit_lines(dev, longest, 2)
    ids, dev_ids = subwords.encode(text), subwords.encode(dev_text)
    corpus = SimpleNamespace(dev=SimpleNamespace(source=dev_text, target=dev_text))
    return Prepared(ids, ids, dev_ids, dev_ids, corpus, subwords)


@pytest.fixture(scope="session")
def digits():
    return _prepare_copy(300, 40)


@pytest.fixture(scope="session")
def prepare_copy():
    return _prepare_copy


@pytest.fixture(scope="session")
def small_settings():
    return load_settings(
        overrides={
            "model.embedding_units": 12,
            "model.units": 16,
            "training.batch_size": 8,
            "evaluation.batch_size": 16,
        }
    )


@pytest.fixture(scope="session")
def trainable(small_settings, digits) -> TranslationTrainable:
    """A live model for all tests that reset it or load a state first: building and tracing one takes seconds."""
    return TranslationTask(small_settings, digits).build({})
