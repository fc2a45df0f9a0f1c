"""Greedy and beam search over a step function; neither knows what model is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt_pbt.model.scoring import Coverage, hypothesis_scores, length_normalisation

Step = Callable[[tf.Tensor, Any, Any], tuple[tf.Tensor, tf.Tensor, Any]]
"""`(tokens [B, K], cache, memory) -> (log-probabilities [B, K, V], attention [B, K, S], next cache)`.

Tensors of the cache begin with `[B, K]` and follow their hypothesis when beams are reordered; those of the memory begin
with `[B]` and belong to the sentence. The attention is that with which the log-probabilities were made.
"""

NEVER = -1e9
"""A log-probability that no hypothesis reaches."""


class Hypotheses(NamedTuple):
    """Translations of a batch, the best first.

    Attributes:
        tokens: Subword ids without BOS, ended by EOS unless cut off, then pads: int32 `[B, K, L]`.
        lengths: Subwords, EOS included: int32 `[B, K]`.
        log_probabilities: Sum over the subwords, nats: `[B, K]`.
        scores: By which they are ordered, see `scoring.hypothesis_scores`: `[B, K]`.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    log_probabilities: tf.Tensor
    scores: tf.Tensor


class GreedySampler:
    """Takes the most probable subword at each step.

    Args:
        begin: Id that starts a sentence.
        end: Id that ends one.
        pad: Id after the end.
    """

    def __init__(self, begin: int, end: int, pad: int = 0) -> None:
        self.begin, self.end, self.pad = begin, end, pad

    def __call__(
        self,
        step: Step,
        cache: Any,
        memory: Any,
        batch: tf.Tensor,
        limits: tf.Tensor,
        length_penalty: float | tf.Tensor = 1.0,
        coverage: Coverage | None = None,
    ) -> Hypotheses:
        """Translate a batch.

        Args:
            step: The model.
            cache: Its first cache, tensors `[B, 1, ...]`.
            memory: What it sees of each sentence.
            batch: B, scalar.
            limits: Most subwords of each translation, EOS included: int32 `[B]`.
            length_penalty: Exponent of the length normalisation; decides the score, not the translation.
            coverage: What source positions left out cost; the same.

        Returns:
            One hypothesis a sentence, K = 1.
        """
        longest = tf.reduce_max(limits)

        def going(position, state):
            return tf.logical_and(position < longest, tf.reduce_any(state["open"]))

        def body(position, state):
            log_probabilities, attention, cache = step(state["tokens"][:, None], state["cache"], memory)
            log_probabilities = log_probabilities[:, 0]
            best = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
            gained = tf.gather(log_probabilities, best, batch_dims=1)
            tokens = tf.where(state["open"], best, self.pad)
            following = {
                "tokens": tokens,
                "open": state["open"] & (tokens != self.end) & (position + 1 < limits),
                "total": state["total"] + tf.where(state["open"], gained, 0.0),
                "lengths": state["lengths"] + tf.cast(state["open"], tf.int32),
                "written": state["written"].write(position, tokens),
                "cache": cache,
            }
            if coverage is not None:
                following["covered"] = state["covered"] + tf.where(state["open"][:, None], attention[:, 0], 0.0)
            return position + 1, following

        first = {
            "tokens": tf.fill([batch], self.begin),
            "open": tf.fill([batch], True),
            "total": tf.zeros([batch]),
            "lengths": tf.zeros([batch], tf.int32),
            "written": tf.TensorArray(tf.int32, size=longest, element_shape=[None]),
            "cache": cache,
        }
        if coverage is not None:
            first["covered"] = coverage.start
        position, last = tf.while_loop(going, body, (tf.constant(0), first))
        tokens = tf.transpose(last["written"].gather(tf.range(position)))
        scores = hypothesis_scores(last["total"], last["lengths"], length_penalty, coverage, last.get("covered"))
        return Hypotheses(tokens[:, None], last["lengths"][:, None], last["total"][:, None], scores[:, None])


class BeamSampler:
    """Beam search with length normalisation and coverage penalty (Wu et al. 2016, section 7).

    A hypothesis that ends with one of the K best continuations goes to a list of finished ones, and the K best that
    have not ended stay open. Those that are open compete by log-probability, those that are finished by score. A
    sentence is done when K have finished, or when no open hypothesis can still get among the `n_best` finished ones,
    as log-probabilities only fall and the coverage penalty is at best 0. With K = 1 this is greedy search.

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
        coverage: Coverage | None = None,
    ) -> Hypotheses:
        """Translate a batch.

        Args:
            step: The model.
            cache: Its first cache, tensors `[B, 1, ...]`.
            memory: What it sees of each sentence.
            batch: B, scalar.
            limits: Most subwords of each translation, EOS included: int32 `[B]`.
            length_penalty: Exponent of the length normalisation, at least 0; scalar.
            coverage: What source positions left out cost; None: nothing.

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
            log_probabilities, attention, cache = step(state["tokens"], state["cache"], memory)
            vocabulary = tf.shape(log_probabilities)[2]
            totals = tf.reshape(state["open"][:, :, None] + log_probabilities, [batch, beam * vocabulary])
            # at most K of 2K candidates end, as each open hypothesis has one end: K are left to go on
            totals, chosen = tf.math.top_k(totals, k=2 * beam)
            origin, token = chosen // vocabulary, chosen % vocabulary
            grown = tf.where(
                tf.range(longest) == position, token[:, :, None], tf.gather(state["prefix"], origin, batch_dims=1)
            )
            covered = None
            if coverage is not None:
                covered = tf.gather(state["covered"] + attention, origin, batch_dims=1)
            ends = token == self.end
            cut = (position + 1 >= limits)[:, None]
            counts = (ends | cut)[:, :beam] & hopeful(position, state)[:, None] & (totals[:, :beam] > NEVER / 2)
            length = tf.fill([batch, beam], position + 1)
            score = hypothesis_scores(
                totals[:, :beam], length, penalty, coverage, None if covered is None else covered[:, :beam]
            )
            pool = {
                "scores": tf.concat([state["scores"], tf.where(counts, score, NEVER)], axis=1),
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
            if covered is not None:
                following["covered"] = tf.gather(covered, continued, batch_dims=1)
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
        if coverage is not None:
            first["covered"] = tf.repeat(coverage.start[:, None], beam, axis=1)
        _, last = tf.while_loop(
            lambda position, state: tf.reduce_any(hopeful(position, state)), body, (tf.constant(0), first)
        )
        return Hypotheses(*(last[name][:, : self.n_best] for name in ("finished", "lengths", "totals", "scores")))
