"""Greedy and beam search over a step function; neither knows what model is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt_pbt.tasks.translation.model.loops import State, top_k, while_any

_BLOCKED = -1e30  # below any log-probability, also of a hypothesis that is none
_LEAST = 1e-10  # attention that underflows to 0 costs as much as this, not infinitely much


class Coverage(NamedTuple):
    """What source positions that were not attended to cost.

    Attributes:
        penalty: Weight of the penalty, beta in Wu et al. 2016, eq. 14; at least 0; scalar.
        start: Attention each source position has received before the first step: 0, but 1 at pads, which nothing need
            attend to: `[B, S]`.
    """

    penalty: tf.Tensor
    start: tf.Tensor


def length_normalisation(lengths: tf.Tensor, exponent: float | tf.Tensor) -> tf.Tensor:
    """Return `((5 + length) / 6) ** exponent` (Wu et al. 2016, eq. 14)."""
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** exponent


def coverage_score(covered: tf.Tensor) -> tf.Tensor:
    """Return `sum over i of log(min(covered_i, 1))`, at most 0 (Wu et al. 2016, eq. 14, without its weight).

    Args:
        covered: Attention that each source position received in all, `[..., S]`.

    Returns:
        `[...]`.
    """
    return tf.reduce_sum(tf.math.log(tf.clip_by_value(covered, _LEAST, 1.0)), axis=-1)


def hypothesis_scores(
    log_probabilities: tf.Tensor,
    lengths: tf.Tensor,
    length_penalty: float | tf.Tensor,
    coverage: Coverage | None,
    covered: tf.Tensor | None,
) -> tf.Tensor:
    """Score finished hypotheses (Wu et al. 2016, eq. 14).

    Args:
        log_probabilities: Of each, nats: `[...]`.
        lengths: Subwords of each, EOS included: `[...]`.
        length_penalty: Exponent of the length normalisation, at least 0.
        coverage: What source positions left out cost; None: nothing.
        covered: Attention that each source position received in all, `[..., S]`; needed with `coverage`.

    Returns:
        The scores, `[...]`.
    """
    scores = log_probabilities / length_normalisation(lengths, length_penalty)
    if coverage is None:
        return scores
    return scores + coverage.penalty * coverage_score(covered)


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


def block_repeats(log_probabilities: tf.Tensor, written: tf.Tensor, position: tf.Tensor, size: int) -> tf.Tensor:
    """Make every subword that would repeat an n-gram of its hypothesis impossible (Paulus et al. 2018, section 2.5).

    The end of a sentence is never blocked: it stands only once in a hypothesis.

    Args:
        log_probabilities: Of the next subword: `[B, K, V]`.
        written: The hypotheses so far, then anything: int32 `[B, K, L]`.
        position: How many subwords of each are written, scalar.
        size: n of the n-grams, at least 1.

    Returns:
        The log-probabilities, `[B, K, V]`.
    """
    starts = tf.maximum(tf.shape(written)[2] - size + 1, 0)
    # an n-gram that begins at i is written when its last subword is, at i + n - 1
    repeats = tf.broadcast_to(tf.range(starts) <= position - size, tf.shape(written[:, :, :starts]))
    for offset in range(size - 1):
        latest = tf.maximum(position - size + 1 + offset, 0)  # where there are fewer, nothing repeats
        repeats &= written[:, :, offset : starts + offset] == written[:, :, latest][:, :, None]
    places = tf.where(repeats)
    last = tf.gather_nd(written[:, :, size - 1 :], places)
    blocked = tf.concat([places[:, :2], tf.cast(last, tf.int64)[:, None]], axis=1)
    return tf.tensor_scatter_nd_update(log_probabilities, blocked, tf.fill(tf.shape(last), _BLOCKED))


def _checked_size(no_repeat_ngram_size: int) -> int:
    if no_repeat_ngram_size < 0:
        raise ValueError(f"Expected no_repeat_ngram_size of at least 0. Received: {no_repeat_ngram_size}")
    return no_repeat_ngram_size


class GreedySampler:
    """Takes the most probable subword at each step.

    Args:
        begin: Id that starts a sentence.
        end: Id that ends one.
        pad: Id after the end.
        no_repeat_ngram_size: No n-gram of so many subwords comes twice in a hypothesis; 0 allows all.
    """

    def __init__(self, begin: int, end: int, pad: int = 0, no_repeat_ngram_size: int = 0) -> None:
        self.begin, self.end, self.pad = begin, end, pad
        self.no_repeat_ngram_size = _checked_size(no_repeat_ngram_size)

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

        def advance(position: tf.Tensor, state: State) -> State:
            log_probabilities, attention, cache = step(state["tokens"][:, None], state["cache"], state["memory"])
            if self.no_repeat_ngram_size:
                written = state["written"][:, None]
                log_probabilities = block_repeats(log_probabilities, written, position, self.no_repeat_ngram_size)
            log_probabilities, open_ = log_probabilities[:, 0], state["open"]
            best = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
            gained = tf.gather(log_probabilities, best, batch_dims=1)
            tokens = tf.where(open_, best, self.pad)
            following = {
                **state,
                "tokens": tokens,
                "open": open_ & (tokens != self.end) & (position + 1 < state["limits"]),
                "totals": state["totals"] + tf.where(open_, gained, 0.0),
                "lengths": state["lengths"] + tf.cast(open_, tf.int32),
                "written": tf.where(tf.range(longest) == position, tokens[:, None], state["written"]),
                "cache": cache,
            }
            if coverage is not None:
                following["covered"] = state["covered"] + tf.where(open_[:, None], attention[:, 0], 0.0)
            return following

        wanted = ["written", "lengths", "totals"] + ([] if coverage is None else ["covered"])
        found = while_any(
            lambda position, state: state["open"],
            advance,
            lambda state: {name: state[name] for name in wanted},
            {
                "tokens": tf.fill([batch], self.begin),
                "open": limits > 0,
                "totals": tf.zeros([batch]),
                "lengths": tf.zeros([batch], tf.int32),
                "written": tf.fill([batch, longest], self.pad),
                "limits": limits,
                "cache": cache,
                "memory": memory,
                **({} if coverage is None else {"covered": coverage.start}),
            },
        )
        scores = hypothesis_scores(found["totals"], found["lengths"], length_penalty, coverage, found.get("covered"))
        return Hypotheses(
            found["written"][:, None], found["lengths"][:, None], found["totals"][:, None], scores[:, None]
        )


class BeamSampler:
    """Beam search with length normalisation and coverage penalty (Wu et al. 2016, section 7).

    A hypothesis that ends with one of the K best continuations goes to a list of finished ones, and the K best that
    have not ended stay open. Those that are open compete by log-probability, those that are finished by score. A
    sentence is done when no open hypothesis can still get among the `n_best` finished ones: its log-probability only
    falls, the length normalisation is at most that of the longest translation allowed, and the coverage penalty is at
    best 0. So the hypotheses found do not depend on how many have finished (Huang et al. 2017). K = 1 is greedy search,
    which ends with its only hypothesis.

    Args:
        beam: Open hypotheses a sentence, K.
        begin: Id that starts a sentence.
        end: Id that ends one.
        pad: Id after the end.
        n_best: How many hypotheses are wanted, at most K.
        no_repeat_ngram_size: No n-gram of so many subwords comes twice in a hypothesis; 0 allows all.
    """

    def __init__(
        self, beam: int, begin: int, end: int, pad: int = 0, n_best: int = 1, no_repeat_ngram_size: int = 0
    ) -> None:
        if beam < 1:
            raise ValueError(f"Expected a beam of at least 1. Received: beam={beam}")
        if not 1 <= n_best <= beam:
            raise ValueError(f"Expected n_best from 1 to beam={beam}. Received: n_best={n_best}")
        self.beam, self.begin, self.end, self.pad, self.n_best = beam, begin, end, pad, n_best
        self.no_repeat_ngram_size = _checked_size(no_repeat_ngram_size)

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
        """Translate a batch; see `GreedySampler`. Here `length_penalty` and `coverage` decide the translation as well.

        Returns:
            The `n_best` best hypotheses a sentence. Of one that has fewer, the last have score `NEVER`.
        """
        beam = self.beam
        longest = tf.reduce_max(limits)
        penalty = tf.convert_to_tensor(length_penalty, tf.float32)

        def is_open(position: tf.Tensor, state: State) -> tf.Tensor:
            # An upper bound: log-probabilities only fall, no hypothesis is divided by more, and coverage costs >= 0.
            attainable = tf.reduce_max(state["open"], axis=1) / length_normalisation(state["limits"], penalty)
            hopeful = attainable > state["scores"][:, self.n_best - 1]
            if beam == 1:  # greedy search: a second hypothesis is none of its
                hopeful &= state["scores"][:, 0] <= NEVER
            return hopeful & (position < state["limits"])

        def advance(position: tf.Tensor, state: State) -> State:
            log_probabilities, attention, cache = step(state["tokens"], state["cache"], state["memory"])
            if self.no_repeat_ngram_size:
                log_probabilities = block_repeats(
                    log_probabilities, state["prefix"], position, self.no_repeat_ngram_size
                )
            vocabulary = log_probabilities.shape[2] or tf.shape(log_probabilities)[2]
            totals = tf.reshape(state["open"][:, :, None] + log_probabilities, [-1, beam * vocabulary])
            # at most K of 2K candidates end, as each open hypothesis has one end: K are left to go on
            totals, chosen = top_k(totals, 2 * beam)
            origin, token = chosen // vocabulary, chosen % vocabulary
            grown = tf.where(
                tf.range(longest) == position, token[:, :, None], tf.gather(state["prefix"], origin, batch_dims=1)
            )
            covered = None
            if coverage is not None:
                covered = tf.gather(state["covered"] + attention, origin, batch_dims=1)
            ends = token == self.end
            cut = (position + 1 >= state["limits"])[:, None]
            counts = (ends | cut)[:, :beam] & is_open(position, state)[:, None] & (totals[:, :beam] > NEVER / 2)
            length = tf.fill(tf.shape(counts), position + 1)
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
            following = {**state, **{name: tf.gather(value, kept, batch_dims=1) for name, value in pool.items()}}
            open_, continued = tf.math.top_k(tf.where(ends, 2 * NEVER, totals), k=beam)
            parents = tf.gather(origin, continued, batch_dims=1)
            following["open"] = open_
            following["tokens"] = tf.gather(token, continued, batch_dims=1)
            following["prefix"] = tf.gather(grown, continued, batch_dims=1)
            following["cache"] = tf.nest.map_structure(lambda value: tf.gather(value, parents, batch_dims=1), cache)
            if covered is not None:
                following["covered"] = tf.gather(covered, continued, batch_dims=1)
            return following

        first = {
            "tokens": tf.fill([batch, beam], self.begin),
            # only one of the equal first hypotheses is open, else all K would stay equal
            "open": tf.tile([[0.0] + [NEVER] * (beam - 1)], [batch, 1]),
            "prefix": tf.fill([batch, beam, longest], self.pad),
            "cache": tf.nest.map_structure(lambda value: tf.repeat(value, beam, axis=1), cache),
            "memory": memory,
            "limits": limits,
            "scores": tf.fill([batch, beam], NEVER),
            "totals": tf.fill([batch, beam], NEVER),
            "lengths": tf.zeros([batch, beam], tf.int32),
            "finished": tf.fill([batch, beam, longest], self.pad),
        }
        if coverage is not None:
            first["covered"] = tf.repeat(coverage.start[:, None], beam, axis=1)
        wanted = ("finished", "lengths", "totals", "scores")
        found = while_any(
            is_open, advance, lambda state: {name: state[name][:, : self.n_best] for name in wanted}, first
        )
        return Hypotheses(*(found[name] for name in wanted))
