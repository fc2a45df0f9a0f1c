"""A model with its subwords: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from nmt_pbt.corpus.subwords import BOS, EOS, PAD
from nmt_pbt.errors import StateError, UsageError
from nmt_pbt.model.decoding import BeamSampler, GreedySampler, Hypotheses
from nmt_pbt.model.seq2seq import Seq2Seq
from nmt_pbt.settings import STRUCTURAL, ModelSettings, Settings
from nmt_pbt.training.batches import by_length, source_batch, target_batch
from nmt_pbt.training.protocol import MemberState
from nmt_pbt.training.state import AVERAGE, WEIGHTS
from nmt_pbt.training.threads import use_threads
from nmt_pbt.values import Value

if TYPE_CHECKING:
    from nmt_pbt.corpus.subwords import Subwords

_IDS = tf.TensorSpec([None, None], tf.int32)


@dataclass(frozen=True)
class Translation:
    """One hypothesis.

    Attributes:
        text: Detokenised text.
        log_probability: Sum over its subwords and EOS, nats.
        score: The log-probability, normalised by length; what n-best lists are ordered by.
    """

    text: str
    log_probability: float
    score: float


def model_settings(settings: ModelSettings, values: Mapping[str, Value]) -> ModelSettings:
    """Return settings with the structural ones among `values` in place of their own."""
    return settings.model_copy(update={name: values[name] for name in STRUCTURAL if name in values})


class TranslationModel:
    """A live model that translates; `TranslationTrainee` adds training.

    Args:
        settings: The run's settings.
        subwords: Its subwords.
        values: Hyperparameters; the structural ones decide the model's shapes.
        seed: Of the initial weights.
    """

    def __init__(
        self, settings: Settings, subwords: Subwords, values: Mapping[str, Value] | None = None, seed: int = 0
    ) -> None:
        use_threads(settings.engine.threads)
        self.settings = settings
        self.subwords = subwords
        self.shape = model_settings(settings.model, values or {})
        self.model = Seq2Seq(
            vocabulary=subwords.size,
            embedding_units=self.shape.embedding_units,
            units=self.shape.units,
            encoder_layers=self.shape.encoder_layers,
            decoder_layers=self.shape.decoder_layers,
            attention=self.shape.attention,
            tie_embeddings=self.shape.tie_embeddings,
            variational_dropout=self.shape.variational_dropout,
            layer_normalisation=self.shape.layer_normalisation,
            input_feeding=self.shape.input_feeding,
            seed=seed,
        )
        self.traces = 0
        self._greedy = tf.function(self._decode_greedily, input_signature=[_IDS], autograph=False)
        self._beams: dict[tuple[int, int], Any] = {}
        self._score = tf.function(self._score_batch, input_signature=[_IDS, _IDS], autograph=False)

    def weights(self) -> dict[str, Any]:
        """Return the model's trainable variables by the name they have in a state."""
        return {WEIGHTS + weight.path: weight for weight in self.model.trainable_variables}

    def load(self, state: MemberState) -> None:
        """Take over a state's weights; their averages, where it has some: these are what was evaluated.

        Raises:
            StateError: The state is of a model of another shape.
        """
        averages = {
            WEIGHTS + name.removeprefix(AVERAGE): array
            for name, array in state.arrays.items()
            if name.startswith(AVERAGE)
        }
        assign(self.weights(), MemberState({**state.arrays, **averages}, state.age))

    def translate(self, lines: Sequence[str], beam: int = 1, length_penalty: float = 1.0) -> list[str]:
        """Translate sentences.

        Args:
            lines: Sentences in the source language.
            beam: Beam width; 1 is greedy.
            length_penalty: Exponent of the length normalisation.

        Returns:
            As many translations, in the same order; an empty one where a model of NaNs finds none.
        """
        return [_best(found) for found in self.translate_n_best(lines, beam, length_penalty, 1)]

    def translate_n_best(
        self, lines: Sequence[str], beam: int = 5, length_penalty: float = 1.0, n_best: int = 1
    ) -> list[list[Translation]]:
        """Return the `n_best` best translations of each sentence, the best first; see `translate`.

        Raises:
            UsageError: More translations are wanted than the beam is wide.
        """
        if not 1 <= n_best <= beam:
            raise UsageError(f"n_best is {n_best} with a beam of {beam}; expected 1 to the beam width")
        return self._translate_ids(self.subwords.encode(lines), beam, length_penalty, n_best)

    def _translate_ids(
        self, sources: Sequence[np.ndarray], beam: int, length_penalty: float, n_best: int
    ) -> list[list[Translation]]:
        """Return the `n_best` best translations of each sentence, given as ids without EOS."""
        owners: list[int] = []
        sentences: list[np.ndarray] = []
        values: list[tuple[float, float]] = []
        for indices in by_length(sources, self.settings.evaluation.batch_size):
            hypotheses = self._search(source_batch([sources[i] for i in indices]), beam, length_penalty, n_best)
            tokens, lengths, totals, scores = (part.numpy() for part in hypotheses)
            for row, index in enumerate(indices):
                for k in range(n_best):
                    if lengths[row, k] > 0:
                        owners.append(index)
                        sentences.append(tokens[row, k, : lengths[row, k]])
                        values.append((float(totals[row, k]), float(scores[row, k])))
        found: list[list[Translation]] = [[] for _ in sources]
        # all at once: a call of the tokenizer costs as much as many sentences
        for owner, text, (total, score) in zip(owners, self.subwords.decode(sentences), values, strict=True):
            found[owner].append(Translation(text, total, score))
        return found

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> np.ndarray:
        """Return the log-probability of each given translation, EOS included, in nats: `[sentences]`."""
        if len(sources) != len(targets):
            raise UsageError(f"{len(sources)} sources but {len(targets)} translations; give as many of each")
        source, target = self.subwords.encode(sources), self.subwords.encode(targets)
        found = np.zeros(len(source))
        for indices in by_length(target, self.settings.evaluation.batch_size):
            found[indices] = self._score(
                source_batch([source[i] for i in indices]), target_batch([target[i] for i in indices])
            ).numpy()
        return found

    def _search(self, source: np.ndarray, beam: int, length_penalty: float, n_best: int) -> Hypotheses:
        if beam == 1:
            return self._greedy(source)
        key = (beam, n_best)
        if key not in self._beams:
            sampler = BeamSampler(beam, BOS, EOS, PAD, n_best)

            def decode(source: tf.Tensor, penalty: tf.Tensor) -> Hypotheses:
                self.traces += 1
                cache, memory = self.model.start(source)
                return sampler(self.model.step, cache, memory, tf.shape(source)[0], _limits(source), penalty)

            self._beams[key] = tf.function(
                decode, input_signature=[_IDS, tf.TensorSpec([], tf.float32)], autograph=False
            )
        return self._beams[key](source, tf.constant(length_penalty, tf.float32))

    def _decode_greedily(self, source: tf.Tensor) -> Hypotheses:
        self.traces += 1
        cache, memory = self.model.start(source)
        sampler = GreedySampler(BOS, EOS, PAD)
        return sampler(self.model.step, cache, memory, tf.shape(source)[0], _limits(source))

    def _score_batch(self, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        self.traces += 1
        return self.model.score(source, target)


def assign(variables: Mapping[str, Any], state: MemberState) -> None:
    """Copy a state's arrays into variables of the same names.

    Raises:
        StateError: An array is missing or of another shape.
    """
    for name, variable in variables.items():
        array = state.arrays.get(name)
        if array is None or tuple(array.shape) != tuple(variable.shape):
            held = "nothing" if array is None else f"shape {tuple(array.shape)}"
            raise StateError(
                f"{name}: the state holds {held}, the model has shape {tuple(variable.shape)}; "
                "build the model with the state's structural values"
            )
    for name, variable in variables.items():
        variable.value.assign(state.arrays[name])


def _limits(source: tf.Tensor) -> tf.Tensor:
    """Return the most subwords of each translation: twice the source's, and ten."""
    return 2 * tf.reduce_sum(tf.cast(tf.not_equal(source, PAD), tf.int32), axis=1) + 10


def _best(found: Sequence[Translation]) -> str:
    return found[0].text if found else ""
