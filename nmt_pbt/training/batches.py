"""Padded batches of id sequences for decoding and scoring, cut from sentences sorted by length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmt_pbt.corpus.subwords import BOS, EOS, PAD


def source_batch(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return `[B, S]` int32: each sentence, EOS, pads."""
    return _padded([np.append(ids, EOS) for ids in sentences])


def target_batch(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return `[B, T]` int32: BOS, each sentence, EOS, pads."""
    return _padded([np.concatenate(([BOS], ids, [EOS])) for ids in sentences])


def _padded(sequences: Sequence[np.ndarray]) -> np.ndarray:
    batch = np.full((len(sequences), max(len(ids) for ids in sequences)), PAD, np.int32)
    for row, ids in zip(batch, sequences, strict=True):
        row[: len(ids)] = ids
    return batch


def by_length(sentences: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """Cut sentences into batches of similar length.

    Args:
        sentences: Ids of each.
        size: Sentences in a batch.

    Returns:
        For each batch, the indices of its sentences. Equal lengths keep their order.
    """
    order = np.argsort([len(ids) for ids in sentences], kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]
