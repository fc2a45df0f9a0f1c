"""Padded batches of id sequences for decoding and scoring, cut from sentences sorted by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nmt_pbt.base.errors import OutOfMemoryError
from nmt_pbt.tasks.translation.corpus.subwords import BOS, EOS, PAD
from nmt_pbt.tasks.translation.model.runtime import fitting_into_memory


def source_batch(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return `[B, S]` int32: each sentence, EOS, pads."""
    return padded([np.append(ids, EOS) for ids in sentences])


def target_batch(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return `[B, T]` int32: BOS, each sentence, EOS, pads."""
    return padded([np.concatenate(([BOS], ids, [EOS])) for ids in sentences])


def padded(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return `[B, longest]` int32: each sequence, pads."""
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


def in_batches(sentences: Sequence[np.ndarray], size: int, work: Callable[[np.ndarray], None]) -> None:
    """Do work on sentences in batches of similar length; a batch that does not fit into memory is halved.

    Args:
        sentences: Ids of each.
        size: Sentences in a batch, at most.
        work: Is given the indices of a batch's sentences.

    Raises:
        OutOfMemoryError: Not even one sentence fits.
    """
    waiting = by_length(sentences, size)[::-1]
    while waiting:
        indices = waiting.pop()
        if _fits(work, indices):
            continue
        if len(indices) == 1:
            length = len(sentences[indices[0]])
            raise OutOfMemoryError(
                f"a sentence of {length} subwords does not fit into memory; make the beam narrower, or cut the sentence"
            )
        half = len(indices) // 2
        waiting += [indices[half:], indices[:half]]


def _fits(work: Callable[[np.ndarray], None], indices: np.ndarray) -> bool:
    # What a failed attempt held is let go when this returns: a retry from inside the except clause would keep it.
    try:
        with fitting_into_memory("a batch", "make it smaller"):
            work(indices)
    except OutOfMemoryError:
        return False
    return True
