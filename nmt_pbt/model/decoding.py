"""Greedy and beam search over a step function; neither knows what model is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Step = Callable[[tf.Tensor, Any, Any], tuple[tf.Tensor, Any]]
"""`(tokens [B, K], cache, memory) -> (log-probabilities [B, K, V], next cache)`.

Tensors of the cache begin with `[B, K]` and follow their hypothesis when beams are reordered; those of the memory begin
with `[B]` and belong to the sentence.
"""

NEVER = -1e9
"""A log-probability that no hypothesis reaches."""


class Hypotheses(NamedTuple):
    """Translations of a batch, the best first.

    Attributes:
        tokens: Subword ids without BOS, ended by EOS unless cut off, then pads: int32 `[B, K, L]`.
        lengths: Subwords, EOS included: int32 `[B, K]`.
        log_probabilities: Sum over the subwords, nats: `[B, K]`.
        scores: `log_probabilities / length_normalisation(lengths)`, by which they are ordered: `[B, K]`.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    log_probabilities: tf.Tensor
    scores: tf.Tensor


def length_normalisation(lengths: tf.Tensor, exponent: float | tf.Tensor) -> tf.Tensor:
    """Return `((5 + length) / 6) ** exponent` (Wu et al. 2016, eq. 14, without the coverage term)."""
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** exponent


class GreedySampler:
    """Takes the most probable subword at each step.

    Args:
        begin: Id that starts a sentence.
        end: Id that ends one.
        pad: Id after the end.
    """

    def __init__(self, begin: int, end: int, pad: int = 0) -> None:
        self.begin, self.end, self.pad = begin, end, pad

    def __call__(self, step: Step, cache: Any, memory: Any, batch: tf.Tensor, limits: tf.Tensor) -> Hypotheses:
        """Translate a batch.

        Args:
            step: The model.
            cache: Its first cache, tensors `[B, 1, ...]`.
            memory: What it sees of each sentence.
            batch: B, scalar.
            limits: Most subwords of each translation, EOS included: int32 `[B]`.

        Returns:
            One hypothesis a sentence, K = 1.
        """
        longest = tf.reduce_max(limits)

        def going(position, _tokens, open_, *_):
            return tf.logical_and(position < longest, tf.reduce_any(open_))

        def body(position, tokens, open_, total, lengths, written, cache):
            log_probabilities, cache = step(tokens[:, None], cache, memory)
            log_probabilities = log_probabilities[:, 0]
            best = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
            gained = tf.gather(log_probabilities, best, batch_dims=1)
            tokens = tf.where(open_, best, self.pad)
            total += tf.where(open_, gained, 0.0)
            lengths += tf.cast(open_, tf.int32)
            open_ = open_ & (tokens != self.end) & (position + 1 < limits)
            return position + 1, tokens, open_, total, lengths, written.write(position, tokens), cache

        written = tf.TensorArray(tf.int32, size=longest, element_shape=[None])
        first = (
            tf.constant(0),
            tf.fill([batch], self.begin),
            tf.fill([batch], True),
            tf.zeros([batch]),
            tf.zeros([batch], tf.int32),
            written,
            cache,
        )
        position, _, _, total, lengths, written, _ = tf.while_loop(going, body, first)
        tokens = tf.transpose(written.gather(tf.range(position)))
        return Hypotheses(tokens[:, None], lengths[:, None], total[:, None], total[:, None])


class BeamSampler:
    """Beam search with length normalisation.

    A hypothesis that ends with one of the K best continuations goes to a list of finished ones, and the K best that
    have not ended stay open. A sentence is done when K have finished, or when no open hypothesis can still get among
    the `n_best` finished ones, as log-probabilities only fall. With K = 1 this is greedy search.

    Args:
        beam: Open hypotheses a sentence, K.
        begin: Id that starts a sentence.
        end: Id that ends one.
        pad: Id after the end.
        n_best: How many hypotheses are wanted, at most K.
    """

    def __init__(self, beam: int, begin: int, end: int, pad: int = 0, n_best: int = 1) -> None:
        if beam < 1:
            raise ValueError(f"Expected a beam of at least 1. Received: beam={beam}")
        if not 1 <= n_best <= beam:
            raise ValueError(f"Expected n_best from 1 to beam={beam}. Received: n_best={n_best}")
        self.beam, self.begin, self.end, self.pad, self.n_best = beam, begin, end, pad, n_best

    def __call__(
        self,
        step: Step,
        cache: Any,
        memory: Any,
        batch: tf.Tensor,
        limits: tf.Tensor,
        length_penalty: float | tf.Tensor = 1.0,
    ) -> Hypotheses:
        """Translate a batch.

        Args:
            step: The model.
            cache: Its first cache, tensors `[B, 1, ...]`.
            memory: What it sees of each sentence.
            batch: B, scalar.
            limits: Most subwords of each translation, EOS included: int32 `[B]`.
            length_penalty: Exponent of the length normalisation, at least 0; scalar.

        Returns:
            The `n_best` best hypotheses a sentence. Of one that has fewer, the last have score `NEVER`.
        """
        beam = self.beam
        longest = tf.reduce_max(limits)
        penalty = tf.convert_to_tensor(length_penalty, tf.float32)
        largest = length_normalisation(limits, penalty)

        def hopeful(position: tf.Tensor, state: dict[str, Any]) -> tf.Tensor:
            """Tell which sentences are not done, bool `[B]`."""
            attainable = tf.reduce_max(state["open"], axis=1) / largest
            finished = tf.reduce_sum(tf.cast(state["scores"] > NEVER, tf.int32), axis=1)
            return (finished < beam) & (attainable > state["scores"][:, self.n_best - 1]) & (position < limits)

        def body(position: tf.Tensor, state: dict[str, Any]) -> tuple[tf.Tensor, dict[str, Any]]:
            log_probabilities, cache = step(state["tokens"], state["cache"], memory)
            vocabulary = tf.shape(log_probabilities)[2]
            totals = tf.reshape(state["open"][:, :, None] + log_probabilities, [batch, beam * vocabulary])
            # at most K of 2K candidates end, as each open hypothesis has one end: K are left to go on
            totals, chosen = tf.math.top_k(totals, k=2 * beam)
            origin, token = chosen // vocabulary, chosen % vocabulary
            grown = tf.where(
                tf.range(longest) == position, token[:, :, None], tf.gather(state["prefix"], origin, batch_dims=1)
            )
            ends = token == self.end
            cut = (position + 1 >= limits)[:, None]
            counts = (ends | cut)[:, :beam] & hopeful(position, state)[:, None] & (totals[:, :beam] > NEVER / 2)
            length = tf.fill([batch, beam], position + 1)
            score = tf.where(counts, totals[:, :beam] / length_normalisation(length, penalty), NEVER)
            pool = {
                "scores": tf.concat([state["scores"], score], axis=1),
                "totals": tf.concat([state["totals"], totals[:, :beam]], axis=1),
                "lengths": tf.concat([state["lengths"], length], axis=1),
                "finished": tf.concat([state["finished"], grown[:, :beam]], axis=1),
            }
            _, kept = tf.math.top_k(pool["scores"], k=beam)
            following = {name: tf.gather(value, kept, batch_dims=1) for name, value in pool.items()}
            open_, continued = tf.math.top_k(tf.where(ends, 2 * NEVER, totals), k=beam)
            parents = tf.gather(origin, continued, batch_dims=1)
            following["open"] = open_
            following["tokens"] = tf.gather(token, continued, batch_dims=1)
            following["prefix"] = tf.gather(grown, continued, batch_dims=1)
            following["cache"] = tf.nest.map_structure(lambda value: tf.gather(value, parents, batch_dims=1), cache)
            for before, after in zip(tf.nest.flatten(state), tf.nest.flatten(following), strict=True):
                after.set_shape(before.shape)  # the loop has to know that shapes stay
            return position + 1, following

        first = {
            "tokens": tf.fill([batch, beam], self.begin),
            # only one of the equal first hypotheses is open, else all K would stay equal
            "open": tf.tile([[0.0] + [NEVER] * (beam - 1)], [batch, 1]),
            "prefix": tf.fill([batch, beam, longest], self.pad),
            "cache": tf.nest.map_structure(lambda value: tf.repeat(value, beam, axis=1), cache),
            "scores": tf.fill([batch, beam], NEVER),
            "totals": tf.fill([batch, beam], NEVER),
            "lengths": tf.zeros([batch, beam], tf.int32),
            "finished": tf.fill([batch, beam, longest], self.pad),
        }
        _, last = tf.while_loop(
            lambda position, state: tf.reduce_any(hopeful(position, state)), body, (tf.constant(0), first)
        )
        return Hypotheses(*(last[name][:, : self.n_best] for name in ("finished", "lengths", "totals", "scores")))
