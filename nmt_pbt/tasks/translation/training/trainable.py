"""One live translation model in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import derive_seed
from nmt_pbt.base.types import Value
from nmt_pbt.space.declarations import declared_hyperparameters
from nmt_pbt.tasks.protocol import Evaluation, MemberState
from nmt_pbt.tasks.state import ITERATIONS, OPTIMIZER
from nmt_pbt.tasks.translation.corpus.parallel import sample_lines
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention
from nmt_pbt.tasks.translation.decoding.batches import in_batches, source_batch, target_batch
from nmt_pbt.tasks.translation.decoding.decoder import Translation, first_texts
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.output_limit import OutputLimit
from nmt_pbt.tasks.translation.decoding.translation_model import TranslationModel, assign
from nmt_pbt.tasks.translation.model.bindings import PlainValue
from nmt_pbt.tasks.translation.model.runtime import fitting_into_memory, graph_function
from nmt_pbt.tasks.translation.scoring.metrics import score_translations
from nmt_pbt.tasks.translation.scoring.significance import pack_counts, sentence_counts
from nmt_pbt.tasks.translation.settings.sections import STRUCTURAL, TrainingSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.tasks.translation.training.averaging import CheckpointAverage, MovingAverage, NoAverage
from nmt_pbt.tasks.translation.training.optimizer import FusedAdam, LearningRateSchedule

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus


GENERATOR = "generator/"
VALUES = "values/"
_IDS = tf.TensorSpec([None, None], tf.int32)


class TranslationTrainable(TranslationModel):
    """A live model that is trained; keeps the contract `protocol.Trainable`.

    Everything that may change between two intervals is a variable or a dynamic dimension, so that nothing is ever
    traced again.

    Args:
        settings: The run's settings.
        prepared: Its corpus, cut into subwords.
        structural: Hyperparameters that decide the model's shapes.
        start: Weights to start from; None draws fresh ones.

    Attributes:
        traces: How often a function was traced, over the trainable's life.
        age: Sentence pairs the weights were trained on.
    """

    checks_load: bool = False
    checks_values: bool = False

    def __init__(
        self,
        settings: TranslationSettings,
        prepared: PreparedCorpus,
        structural: Mapping[str, Value],
        start: MemberState | None = None,
    ) -> None:
        limit = OutputLimit.learned(prepared.train_source, prepared.train_target)
        super().__init__(settings, prepared.subwords, structural, limit=limit)
        self.prepared = prepared
        self._start_weights = start
        self.age = 0
        self._shown = sample_lines(settings.seed, len(prepared.corpus.dev.source), settings.evaluation.samples)
        self._stream = prepared.stream(settings.seed)
        self._bindings = self.model.bindings
        self._optimizer = FusedAdam(self._bindings)
        self._optimizer.build(self.model.trainable_variables)
        self._schedule = LearningRateSchedule(self._optimizer.scale, self._bindings)
        self._label_smoothing = self._bindings.bind("label_smoothing", tf.Variable(0.0, trainable=False))
        self._consistency = self._bindings.bind("consistency", tf.Variable(0.0, trainable=False))
        self._clip_norm = self._bindings.bind("clip_norm", tf.Variable(1.0, trainable=False))
        self._batch_size = self._bindings.bind("batch_size", PlainValue(1))
        self._subword_sampling = self._bindings.bind("subword_sampling", PlainValue(0.0))
        average_decay = self._bindings.bind("average_decay", tf.Variable(0.0, trainable=False))
        self._average = _average(settings.training, self.model.trainable_variables, average_decay)
        self._configured = configured_values(settings.training)
        self._bindings.check(self._configured)
        self._step = graph_function(self._train_batch, [_IDS, _IDS])
        self._likelihood = graph_function(self._likelihood_of_batch, [_IDS, _IDS])
        self.reset(0)
        self.set_hyperparameters({})

    def reset(self, seed: int) -> None:
        """Become a new model: weights drawn from `seed`, or those to start from; empty optimizer slots, age 0."""
        self.model.reset(seed)
        if self._start_weights is not None:
            assign(self.weights(), self._start_weights)
        for variable in self._optimizer_variables().values():
            variable.value.assign(tf.zeros_like(variable.value))
        self.reseed(derive_seed(seed, "dropout"))
        self.age = 0
        self._average.reset()
        self._schedule.reset()

    def reseed(self, seed: int) -> None:
        """Start the generator of dropout masks afresh, so that a child does not repeat its donor's masks."""
        self.model.generator.restart(seed)

    def reorder(self, seed: int) -> None:
        """Take the training pairs in the order of this seed; the position in the data, `age`, stays."""
        self._stream.seed = seed

    def load(self, state: MemberState) -> None:
        """Become the member that `state` describes, with its hyperparameter values until others are set.

        Raises:
            StateError: The state is of a model of another shape, or of another program.
        """
        assign({**self.weights(), **self._optimizer_variables(), **self._generator_variables()}, state)
        held = {name: state.arrays[VALUES + name].item() for name in self._configured if VALUES + name in state.arrays}
        self._bindings.set({**self._configured, **held})
        self._average.load(state.arrays)
        self._schedule.load(state.arrays)
        self.age = state.age

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        """Set hyperparameter values. Those not named go back to the configured ones.

        Raises:
            UsageError: A structural value is not the one that this model was built with.
        """
        for name in STRUCTURAL:
            built = getattr(self.shape, name)
            if name in values and values[name] != built:
                raise UsageError(
                    f"{name}: {values[name]} cannot be applied to a model built with {built}; build another"
                )
        named = {name: value for name, value in values.items() if name in self._configured}
        self._bindings.set({**self._configured, **named})

    def effective_values(self) -> dict[str, Value]:
        """Return the mutable values as the live model holds them; the rates as the float32 that they are."""
        return self._bindings.effective_values(self._configured)

    def train(self, pairs: int) -> dict[str, float]:
        """Train on exactly the next `pairs` sentence pairs.

        Returns:
            `train_loss`, nats a target subword, without smoothing, under dropout. It is NaN when the training
            diverged: the interval is then cut short.

        Raises:
            OutOfMemoryError: A batch did not fit into memory.
        """
        likelihood = tokens = 0.0
        twice = ", passed twice for consistency," if float(self._consistency) else ""
        with fitting_into_memory(f"batch_size {self._batch_size.value}{twice}", "make it smaller"):
            for batch in self._stream.batches(self.age, pairs, self._batch_size.value, self._subword_sampling.value):
                step_likelihood, step_tokens = self._step(batch.source, batch.target)
                likelihood += float(step_likelihood)
                tokens += float(step_tokens)
                if not math.isfinite(likelihood):
                    return {"train_loss": math.nan}
        self.age += pairs
        return {"train_loss": likelihood / tokens}

    def evaluate(self, evidence: bool = False) -> Evaluation:
        """Score the dev split by the averaged weights, where there are such.

        The first evaluation at an age counts for plateau decay and as a checkpoint; repeated, it changes nothing.

        Args:
            evidence: Whether to report what BLEU of each sentence is made of, packed by `pack_counts`.

        Returns:
            `val_loss`, nats a target subword, without smoothing or dropout; `val_bleu` and `val_chrf` of greedy
            translations.

        Raises:
            OutOfMemoryError: Even one sentence does not fit into memory.
        """
        self._average.note(self.age)
        with self._average.in_place():
            found = self._evaluate(evidence)
        self._schedule.note(found.metrics["val_loss"], self.age, self._stream.epoch)
        return found

    def _evaluate(self, evidence: bool) -> Evaluation:
        likelihood = tokens = 0.0
        source, target = self.prepared.dev_source, self.prepared.dev_target

        def add(indices: np.ndarray) -> None:
            nonlocal likelihood, tokens
            found = self._likelihood(
                source_batch([source[i] for i in indices]), target_batch([target[i] for i in indices])
            )
            likelihood += float(found[0])
            tokens += float(found[1])

        in_batches(target, self.settings.evaluation.batch_size, add)
        references = list(self.prepared.corpus.dev.target)
        translations = first_texts(self.translate_ids(source, DecodingOptions()))
        tokenize = self.settings.bleu_tokenizer
        scores = score_translations(translations, references, tokenize)
        return Evaluation(
            {"val_loss": likelihood / tokens, "val_bleu": scores.bleu, "val_chrf": scores.chrf},
            pack_counts(sentence_counts(translations, references, tokenize)["bleu"]) if evidence else None,
            tuple(translations[line] for line in self._shown),
        )

    def translate_n_best(
        self, lines: Sequence[str], options: DecodingOptions | None = None, n_best: int = 1
    ) -> list[list[Translation]]:
        """See `TextDecoder`; by the averaged weights, where there are such."""
        with self._average.in_place():
            return super().translate_n_best(lines, options, n_best)

    def score(
        self, lines: Sequence[str], translations: Sequence[str], options: DecodingOptions | None = None
    ) -> list[Translation]:
        """See `TextDecoder`; by the averaged weights, where there are such."""
        with self._average.in_place():
            return super().score(lines, translations, options)

    def attention(self, lines: Sequence[str], translations: Sequence[Translation]) -> list[SentenceAttention]:
        """See `TextDecoder`; by the averaged weights, where there are such."""
        with self._average.in_place():
            return super().attention(lines, translations)

    def state(self) -> MemberState:
        """Return a copy of everything that makes this member."""
        variables = {**self.weights(), **self._optimizer_variables(), **self._generator_variables()}
        arrays = {name: variable.value.numpy() for name, variable in variables.items()}
        for name, value in self.effective_values().items():
            arrays[VALUES + name] = np.asarray(value, np.int64 if isinstance(value, int) else np.float64)
        arrays.update(self._average.arrays())
        arrays.update(self._schedule.arrays())
        return MemberState(arrays, self.age)

    def _optimizer_variables(self) -> dict[str, Any]:
        named = {ITERATIONS: self._optimizer.iterations}
        for kind, slots in self._optimizer.slots().items():
            for weight, slot in zip(self.model.trainable_variables, slots, strict=True):
                named[f"{OPTIMIZER}{kind}/{weight.path}"] = slot
        return named

    def _generator_variables(self) -> dict[str, Any]:
        return {f"{GENERATOR}key": self.model.generator.key, f"{GENERATOR}counter": self.model.generator.counter}

    def _train_batch(self, source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self.traces += 1
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            consistency = tf.convert_to_tensor(self._consistency)
            loss = self.model.batch_loss(source, target, self._label_smoothing, True, consistency)
            objective = loss.objective / loss.tokens
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(objective, [weight.value for weight in weights])]
        scale = self._clip_norm / tf.maximum(tf.linalg.global_norm(gradients), self._clip_norm)
        self._optimizer.shrink(weights)
        self._optimizer.apply([gradient * scale for gradient in gradients], weights)
        self._average.step(tf.cast(self._optimizer.iterations.value, tf.float32))
        self.model.generator.advance()
        return loss.likelihood, loss.tokens

    def _likelihood_of_batch(self, source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self.traces += 1
        loss = self.model.batch_loss(source, target)
        return loss.likelihood, loss.tokens


def configured_values(training: TrainingSettings) -> dict[str, Value]:
    """Return the mutable hyperparameters that a section declares, with their configured values."""
    declared = declared_hyperparameters(type(training))
    return {each.name: getattr(training, each.name) for each in declared if each.mutable}


def _average(settings: TrainingSettings, weights: Sequence[Any], decay: tf.Variable) -> NoAverage:
    if settings.averaging == "exponential":
        return MovingAverage(weights, decay)
    if settings.averaging == "checkpoints":
        return CheckpointAverage(weights, settings.averaged_checkpoints)
    return NoAverage()
