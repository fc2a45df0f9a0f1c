"""The training pairs as an endless stream of padded batches, counted in sentence pairs and resumable anywhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, smallest_type
from nmt_pbt.tasks.translation.corpus.subword_regularization import Resampling, WordCuts
from nmt_pbt.tasks.translation.corpus.subwords import BOS, EOS, PAD, Subwords

_BLOCK = 256  # pairs of like length that stay together
_POOL = 64 * _BLOCK  # pairs among which like lengths are looked for
_ORDERS_KEPT = 4  # members of a population are in neighbouring epochs


@dataclass(frozen=True, eq=False)
class Batch:
    """Sentence pairs padded to the longest among them.

    Attributes:
        source: `[B, S]` int32: ids, EOS, pads.
        target: `[B, T]` int32: BOS, ids, EOS, pads.
    """

    source: np.ndarray
    target: np.ndarray

    @property
    def pairs(self) -> int:
        """Sentence pairs in the batch, B."""
        return len(self.source)


class PairStream:
    """Sentence pairs in an order that depends on the seed and the epoch alone, not on how they are asked for.

    An epoch is shuffled, sorted by length inside pools of 16,384 pairs, and cut into blocks of 256, which are shuffled.
    So a batch has little padding, and every pair comes exactly once an epoch.

    Args:
        source: Ids of each source sentence, without BOS and EOS.
        target: Ids of its translation, likewise.
        seed: Decides the order, and how words are cut; may be assigned at any time.
        subwords: What the sentences were cut into; None where they are never cut afresh.
        longest: Most subwords of a sentence that is cut afresh, see `Resampling`; None for any number.
    """

    def __init__(
        self,
        source: Sequence[np.ndarray],
        target: Sequence[np.ndarray],
        seed: int,
        subwords: Subwords | None = None,
        longest: int | None = None,
    ) -> None:
        if not len(source) or len(source) != len(target):
            raise ValueError(f"expected pairs, as many sources as targets; received {len(source)} and {len(target)}")
        self._source, self._target = IdSequences.of(source), IdSequences.of(target)
        self.seed = seed
        self._orders: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._resampling = None
        if subwords is not None:
            words = WordCuts(subwords)
            self._resampling = (
                Resampling(self._source, subwords, "source", longest, words),
                Resampling(self._target, subwords, "target", longest, words),
            )

    @property
    def epoch(self) -> int:
        """Sentence pairs in one epoch."""
        return len(self._source)

    def batches(self, position: int, pairs: int, batch_size: int, subword_sampling: float = 0.0) -> Iterator[Batch]:
        """Return the next `pairs` sentence pairs from `position` on.

        Asking for two segments one after the other gives the same pairs in the same order as asking for both at once,
        and the same batches where the first is a multiple of `batch_size`.

        Args:
            position: Sentence pairs since the first epoch's start.
            pairs: Sentence pairs to give out.
            batch_size: Pairs of a batch; only the last of the segment and the last of an epoch may have fewer.
            subword_sampling: Share of the words that are cut by a draw, which an epoch has its own of; see
                `Resampling`. The order of the pairs does not depend on it.

        Returns:
            The batches in order.
        """
        if position < 0 or pairs < 0 or batch_size < 1:
            raise ValueError(
                "expected position and pairs >= 0, batch_size >= 1; "
                f"received position={position}, pairs={pairs}, batch_size={batch_size}"
            )
        return self._batches(position, position + pairs, batch_size, subword_sampling)

    def _batches(self, position: int, end: int, batch_size: int, subword_sampling: float) -> Iterator[Batch]:
        while position < end:
            epoch, offset = divmod(position, self.epoch)
            indices = self._order(epoch)[offset : offset + min(batch_size, end - position)].astype(np.int64)
            source, target = self._cut(indices, epoch, subword_sampling)
            yield Batch(_padded(*source, before=0), _padded(*target, before=1))
            position += len(indices)

    def _cut(
        self, indices: np.ndarray, epoch: int, subword_sampling: float
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return the ids of both sides of some pairs, end to end, and how many each sentence has."""
        if not subword_sampling:
            return self._source.gather(indices), self._target.gather(indices)
        if self._resampling is None:
            raise ValueError("expected subwords to cut sentences afresh by; received none")
        source, target = (side.draw(self.seed, epoch, subword_sampling, indices) for side in self._resampling)
        return source, target

    def _order(self, epoch: int) -> np.ndarray:
        """Return the indices of all pairs in the order of an epoch."""
        order = self._orders.get((self.seed, epoch))
        if order is None:
            order = self._new_order(generator(self.seed, "pair order", epoch))
            self._orders[self.seed, epoch] = order
            if len(self._orders) > _ORDERS_KEPT:
                self._orders.popitem(last=False)
        return order

    def _new_order(self, random: np.random.Generator) -> np.ndarray:
        shuffled = random.permutation(self.epoch)
        blocks: list[np.ndarray] = []
        for start in range(0, len(shuffled), _POOL):
            pool = shuffled[start : start + _POOL]
            # Sources go up and down in turn, so that the step from one target length to the next is small.
            # EOS counts on both sides, and BOS with the targets.
            targets, sources = self._target.lengths(pool) + 2, self._source.lengths(pool) + 1
            pool = pool[np.lexsort((np.where(targets % 2, sources, -sources), targets))]
            short = len(pool) % _BLOCK
            if short:
                # What does not fill a block ends the epoch: before other blocks it would shift their batches.
                begin = _BLOCK * int(random.integers(len(pool) // _BLOCK + 1))
                rest = pool[begin : begin + short]
                pool = np.delete(pool, slice(begin, begin + short))
            blocks.extend(pool.reshape(-1, _BLOCK))
        ordered = [blocks[index] for index in random.permutation(len(blocks)).tolist()]
        if self.epoch % _BLOCK:
            ordered.append(rest)
        return np.concatenate(ordered).astype(smallest_type(self.epoch))


def _padded(ids: np.ndarray, lengths: np.ndarray, before: int) -> np.ndarray:
    """Return sentences as rows padded to the longest, `[B, longest]` int32, each with EOS and, with `before=1`, BOS.

    Args:
        ids: Those of all sentences, end to end.
        lengths: How many each has, `[B]`.
        before: 1 for BOS before each.
    """
    longest = int(lengths.max())
    batch = np.full((len(lengths), before + longest + 1), PAD, np.int32)
    batch[:, :before] = BOS
    batch[:, before : before + longest][np.arange(longest) < lengths[:, None]] = ids
    batch[np.arange(len(lengths)), before + lengths] = EOS
    return batch
