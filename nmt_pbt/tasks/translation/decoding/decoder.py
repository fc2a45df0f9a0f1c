"""Text in, text out, by one model or by several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.parallel import one_line
from nmt_pbt.tasks.translation.corpus.subwords import BOS, EOS, PAD
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention
from nmt_pbt.tasks.translation.decoding.batches import in_batches, padded, source_batch
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.output_limit import LEAST_OFFSET, LEAST_RATIO, OutputLimit
from nmt_pbt.tasks.translation.model.decoding import NEVER, BeamSampler, Coverage, GreedySampler, Hypotheses
from nmt_pbt.tasks.translation.model.runtime import graph_function
from nmt_pbt.tasks.translation.model.scoring import Forced, ensemble, teacher_forced_scores
from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

_IDS = tf.TensorSpec([None, None], tf.int32)
_NUMBER = tf.TensorSpec([], tf.float32)


@dataclass(frozen=True)
class Translation:
    """One translation, found or given.

    Attributes:
        text: Detokenised text, one line.
        log_probability: Sum over its subwords and EOS, nats.
        score: The log-probability, normalised by length, less the coverage penalty: what n-best lists are ordered by.
        subwords: Its ids, ended by EOS unless it was cut off.
    """

    text: str
    log_probability: float
    score: float
    subwords: tuple[int, ...]


NOTHING = Translation("", 0.0, 0.0, ())
"""The translation of a line without text."""


def first_texts(found: Sequence[Sequence[Translation]]) -> list[str]:
    """Return the text of the best translation of each sentence; nothing where there is none."""
    return [translations[0].text if translations else "" for translations in found]


class TextDecoder:
    """Translates text, and scores given translations.

    Args:
        models: One model, or several that translate together: the mean of their probabilities decides.
        subwords: The subwords of all of them.
        batch_size: Sentences decoded together, at most; fewer where memory does not suffice.
        limit: The most subwords of a translation.

    Attributes:
        traces: How often a function was traced.
    """

    def __init__(
        self, models: Sequence[Seq2Seq], subwords: Subwords, batch_size: int, limit: OutputLimit | None = None
    ) -> None:
        self.subwords = subwords
        self._decoding_batch_size = batch_size
        self._limit = limit or OutputLimit()
        self.traces = 0
        self._models = tuple(models)
        self._predict_next = ensemble([model.step for model in models])
        self._searches: dict[tuple[int, int, bool, int], Any] = {}
        self._forced: dict[bool, Any] = {}

    def translate(self, lines: Sequence[str], options: DecodingOptions | None = None) -> list[str]:
        """Translate sentences.

        Args:
            lines: Sentences in the source language.
            options: How; None is greedy.

        Returns:
            As many translations, in the same order. A line without text has an empty one, and so has every line of a
            model of NaNs.

        Raises:
            OutOfMemoryError: Even one sentence does not fit into memory.
        """
        return first_texts(self.translate_n_best(lines, options))

    def translate_n_best(
        self, lines: Sequence[str], options: DecodingOptions | None = None, n_best: int = 1
    ) -> list[list[Translation]]:
        """Return the `n_best` best translations of each sentence, the best first; see `translate`.

        A very short search may find fewer.

        Raises:
            UsageError: More translations are wanted than the beam is wide.
            OutOfMemoryError: Even one sentence does not fit into memory.
        """
        options = options or DecodingOptions()
        if not 1 <= n_best <= options.beam:
            raise UsageError(f"n_best is {n_best} with a beam of {options.beam}; expected 1 to the beam width")
        return self.translate_ids(self.subwords.encode(lines), options, n_best)

    def translate_ids(
        self, sources: Sequence[np.ndarray], options: DecodingOptions, n_best: int = 1
    ) -> list[list[Translation]]:
        """Translate sentences given as ids without EOS; see `translate_n_best`."""
        filled = [index for index, ids in enumerate(sources) if len(ids)]
        sentences = [sources[index] for index in filled]
        search = self._search(options, n_best)
        penalties = _penalties(options)
        hypotheses: list[tuple[int, tuple[int, ...], float, float]] = []

        def decode(indices: np.ndarray) -> None:
            found = search(source_batch([sentences[index] for index in indices]), *penalties)
            tokens, lengths, totals, scores = (part.numpy() for part in found)
            for row, k in np.argwhere(scores > NEVER).tolist():
                ids = tuple(tokens[row, k, : lengths[row, k]].tolist())
                hypotheses.append((filled[indices[row]], ids, float(totals[row, k]), float(scores[row, k])))

        in_batches(sentences, self._decoding_batch_size, decode)
        translations: list[list[Translation]] = [[] if len(ids) else [NOTHING] for ids in sources]
        # all at once: a call of the tokenizer costs as much as many sentences
        texts = self.subwords.decode([ids for _, ids, _, _ in hypotheses])
        for (index, ids, total, score), text in zip(hypotheses, texts, strict=True):
            translations[index].append(Translation(one_line(text), total, score, ids))
        return translations

    def score(
        self, lines: Sequence[str], translations: Sequence[str], options: DecodingOptions | None = None
    ) -> list[Translation]:
        """Score given translations as if search had found them; see `translate`.

        Where the subwords of a text are not those with which search wrote it, its score is another, too. Of a pair
        without text on either side it is 0.

        Raises:
            UsageError: There are not as many translations as sentences.
            OutOfMemoryError: Even one pair does not fit into memory.
        """
        if len(lines) != len(translations):
            raise UsageError(f"{len(lines)} sources but {len(translations)} translations; give as many of each")
        sources, targets = self.subwords.encode(lines), self.subwords.encode(translations)
        pairs = [index for index, pair in enumerate(zip(sources, targets, strict=True)) if any(map(len, pair))]
        ids = [(*targets[index].tolist(), EOS) for index in pairs]
        found = [NOTHING for _ in lines]

        def take(places: np.ndarray, forced: Forced) -> None:
            totals, scores = forced.log_probabilities.numpy(), forced.scores.numpy()
            for place, total, score in zip(places, totals, scores, strict=True):
                text = translations[pairs[place]]
                found[pairs[place]] = Translation(text, float(total), float(score), ids[place])

        self._force([sources[index] for index in pairs], ids, take, options or DecodingOptions())
        return found

    def attention(self, lines: Sequence[str], translations: Sequence[Translation]) -> list[SentenceAttention]:
        """Return where the model looked while it wrote these translations.

        Args:
            lines: Sentences in the source language.
            translations: A translation of each.

        Returns:
            The weights, for each line that has a translation; `line` is its place among `lines`. The end of the
            sentence belongs to the subwords on both sides.
        """
        sources = self.subwords.encode(lines)
        places = [place for place, its in enumerate(translations) if its.subwords]
        ids = [translations[place].subwords for place in places]
        found: dict[int, np.ndarray] = {}

        def take(indices: np.ndarray, forced: Forced) -> None:
            for index, weights in zip(indices.tolist(), forced.attention.numpy(), strict=True):
                found[index] = weights[: len(ids[index]), : len(sources[places[index]]) + 1]

        self._force([sources[place] for place in places], ids, take, DecodingOptions())
        return [
            SentenceAttention(
                place, self.subwords.pieces([*sources[place], EOS]), self.subwords.pieces(ids[index]), found[index]
            )
            for index, place in enumerate(places)
        ]

    @property
    def weight_variables(self) -> list[tf.Variable]:
        """The variables that translating reads."""
        return [weight.value for model in self._models for weight in model.trainable_variables]

    def search_function(self, options: DecodingOptions, n_best: int = 1) -> Any:
        """Return the graph function `(source [B, S], length penalty, coverage penalty) -> Hypotheses`.

        Args:
            options: Of the coverage penalty, only whether there is one: without one, attention is not summed up.
            n_best: Hypotheses wanted.
        """
        size, with_coverage = options.no_repeat_ngram_size, options.coverage_penalty > 0
        sampler = (
            GreedySampler(BOS, EOS, PAD, size)
            if options.beam == 1
            else BeamSampler(options.beam, BOS, EOS, PAD, n_best, size)
        )

        def decode(source: tf.Tensor, length_penalty: tf.Tensor, coverage_penalty: tf.Tensor) -> Hypotheses:
            self.traces += 1
            cache, memory = self._start(source)
            coverage = _coverage(source, coverage_penalty) if with_coverage else None
            batch, limits = tf.shape(source)[0], output_limits(source, self._limit)
            return sampler(self._predict_next, cache, memory, batch, limits, length_penalty, coverage)

        return graph_function(decode, [_IDS, _NUMBER, _NUMBER])

    def _search(self, options: DecodingOptions, n_best: int) -> Any:
        key = (options.beam, n_best, options.coverage_penalty > 0, options.no_repeat_ngram_size)
        if key not in self._searches:
            self._searches[key] = self.search_function(options, n_best)
        return self._searches[key]

    def _start(self, source: tf.Tensor) -> tuple[Any, Any]:
        """Return all models' caches and memories."""
        caches, memories = zip(*(model.start(source) for model in self._models), strict=True)
        return caches, memories

    def _force(
        self,
        sources: Sequence[np.ndarray],
        ids: Sequence[Sequence[int]],
        take: Callable[[np.ndarray, Forced], None],
        options: DecodingOptions,
    ) -> None:
        """Step through given translations; `take` gets the indices of a batch's sentences and what was found."""
        with_coverage = options.coverage_penalty > 0
        if with_coverage not in self._forced:
            self._forced[with_coverage] = self._force_function(with_coverage)
        penalties = _penalties(options)

        def step_through(indices: np.ndarray) -> None:
            given = [np.asarray(ids[i], np.int32) for i in indices]
            lengths = np.array([len(its) for its in given], np.int32)
            batch = source_batch([sources[i] for i in indices])
            take(indices, self._forced[with_coverage](batch, padded(given), lengths, *penalties))

        in_batches(sources, self._decoding_batch_size, step_through)

    def _force_function(self, with_coverage: bool) -> Any:
        def run(
            source: tf.Tensor,
            tokens: tf.Tensor,
            lengths: tf.Tensor,
            length_penalty: tf.Tensor,
            coverage_penalty: tf.Tensor,
        ) -> Forced:
            self.traces += 1
            cache, memory = self._start(source)
            coverage = _coverage(source, coverage_penalty) if with_coverage else None
            return teacher_forced_scores(
                self._predict_next, cache, memory, tokens, lengths, BOS, length_penalty, coverage
            )

        lengths = tf.TensorSpec([None], tf.int32)
        return graph_function(run, [_IDS, _IDS, lengths, _NUMBER, _NUMBER])


def _penalties(options: DecodingOptions) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant(options.length_penalty, tf.float32), tf.constant(options.coverage_penalty, tf.float32)


def _coverage(source: tf.Tensor, penalty: tf.Tensor) -> Coverage:
    return Coverage(penalty, tf.cast(tf.equal(source, PAD), tf.float32))


def output_limits(source: tf.Tensor, limit: OutputLimit) -> tf.Tensor:
    """Return the most subwords of each translation, EOS included, int32 `[B]`.

    Args:
        source: Ids, int32 `[B, S]`, ended by EOS, then pads.
        limit: The rule.
    """
    lengths = tf.reduce_sum(tf.cast(tf.not_equal(source, PAD), tf.int32), axis=1)
    learned = tf.math.ceil(limit.ratio * tf.cast(lengths, tf.float32)) + limit.offset
    return tf.maximum(LEAST_RATIO * lengths + LEAST_OFFSET, tf.cast(learned, tf.int32))
