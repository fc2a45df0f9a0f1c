"""The attention LSTM encoder-decoder."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from nmt_pbt.tasks.translation.model.attention import Attention, Kind, pad_bias
from nmt_pbt.tasks.translation.model.bindings import Bindings
from nmt_pbt.tasks.translation.model.dropout import Dropout, MaskGenerator
from nmt_pbt.tasks.translation.model.feeding import decode_with_input_feeding
from nmt_pbt.tasks.translation.model.initial import initial_weights
from nmt_pbt.tasks.translation.model.loss import smoothed_cross_entropy
from nmt_pbt.tasks.translation.model.lstm import LSTM


class Embedding(keras.layers.Layer):
    """A table of vectors, `[V, E]`, that may serve as an output layer too."""

    def __init__(self, vocabulary: int, units: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.table = self.add_weight(shape=(vocabulary, units), initializer="zeros", name="table")
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the vectors of these ids, `[..., E]`."""
        return tf.gather(self.table.value, ids)


PAD = 0
Tie = Literal["none", "output", "all"]


class Memory(NamedTuple):
    """What the decoder sees of a source: computed once, the same at every target position.

    Attributes:
        keys: What queries are compared with, `[B, S, U]`.
        states: The encoder's states, `[B, S, 2U]`.
        bias: Added to attention scores, `[B, 1, S]`.
    """

    keys: tf.Tensor
    states: tf.Tensor
    bias: tf.Tensor


class Loss(NamedTuple):
    """Sums over the real target positions of a batch.

    Attributes:
        objective: Label-smoothed cross-entropy, nats; with the divergence between two passes, where that counts.
        likelihood: Negative log-likelihood without smoothing, nats.
        tokens: Real target positions, float.
    """

    objective: tf.Tensor
    likelihood: tf.Tensor
    tokens: tf.Tensor


class Seq2Seq(keras.Model):
    """Bidirectional LSTM encoder and LSTM decoder with attention (Bahdanau et al. 2015, Luong et al. 2015).

    The decoder starts from the encoder's final states through a bridge: for each decoder layer l,
    `h_l = tanh(W_h [h_forward; h_backward])` and the same for c without tanh, of the encoder's layer l or, if it has
    fewer, its last. Attention queries are the states of the decoder's top layer; the attentional vector
    `tanh(W [context; state])` predicts the next subword. Without input feeding the target's prefix is the only input of
    the decoder, so that training computes all positions at once.

    Args:
        vocabulary: Subwords V, of both languages; id 0 is the pad.
        embedding_units: Width E of the embeddings.
        units: Width U of the decoder's LSTM and of each direction of the encoder's.
        encoder_layers: Bidirectional layers.
        decoder_layers: Decoder layers.
        attention: Score function.
        tie_embeddings: `output`: the decoder's embedding is the output layer's; `all`: the encoder's too.
        variational_dropout: Whether a sequence's embeddings and states between layers are dropped by one mask at all
            its positions (Gal & Ghahramani 2016), instead of one at each.
        layer_normalisation: Whether the LSTMs are layer-normalised (Ba et al. 2016).
        input_feeding: Whether the decoder reads the attentional vector before, too (Luong et al. 2015, section 3.3).
        seed: Of the initial weights.

    Call arguments:
        inputs: Source ids `[B, S]`, ending in EOS, and target ids `[B, T]`, beginning with BOS and ending in EOS.
            Pads only at the end.
        training: Whether dropout acts; a Python bool.

    Returns:
        Log-probabilities of `target[:, 1:]`, `[B, T - 1, V]`. Training uses `batch_loss` instead, which is cheaper.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_units: int,
        units: int,
        encoder_layers: int = 1,
        decoder_layers: int = 1,
        attention: Kind = "general",
        tie_embeddings: Tie = "all",
        variational_dropout: bool = False,
        layer_normalisation: bool = False,
        input_feeding: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(name="seq2seq")
        self.vocabulary = vocabulary
        self.embedding_units = embedding_units
        self.units = units
        self.tie_embeddings = tie_embeddings
        self.variational_dropout = variational_dropout
        self.layer_normalisation = layer_normalisation
        self.input_feeding = input_feeding
        self.generator = MaskGenerator()
        self.bindings = Bindings()

        self.target_embedding = Embedding(vocabulary, embedding_units, name="target_embedding")
        self.source_embedding = self.target_embedding
        if tie_embeddings != "all":
            self.source_embedding = Embedding(vocabulary, embedding_units, name="source_embedding")
        self.output_embedding = self.target_embedding
        if tie_embeddings == "none":
            self.output_embedding = Embedding(vocabulary, embedding_units, name="output_embedding")
        self.output_bias = self.add_weight(shape=(vocabulary,), initializer="zeros", name="bias")

        along_time = (0,) if variational_dropout else ()
        self.source_dropout = self._dropout("dropout", "source_dropout", along_time)
        self.target_dropout = self._dropout("dropout", "target_dropout", along_time)
        self.attentional_dropout = self._dropout("dropout", "attentional_dropout")
        self.encoder_dropouts = [
            self._dropout("dropout", f"encoder_dropout_{layer}", along_time) for layer in range(encoder_layers)
        ]
        self.decoder_dropouts = [
            self._dropout("dropout", f"decoder_dropout_{layer}", along_time) for layer in range(1, decoder_layers)
        ]
        self.forward_lstms = [self._lstm(f"forward_lstm_{layer}") for layer in range(encoder_layers)]
        self.backward_lstms = [self._lstm(f"backward_lstm_{layer}", reverse=True) for layer in range(encoder_layers)]
        self.decoder_lstms = [self._lstm(f"decoder_lstm_{layer}") for layer in range(decoder_layers)]
        # A layer's masks depend on its place in this order: add new dropout layers after these.
        self.source_word_dropout = self._dropout("word_dropout", "source_word_dropout", shared=(-1,))
        self.target_word_dropout = self._dropout("word_dropout", "target_word_dropout", shared=(-1,))
        self.attention = Attention(attention, units, name="attention")

        for layer in range(encoder_layers):
            width = embedding_units if layer == 0 else 2 * units
            self.forward_lstms[layer].build(width)
            self.backward_lstms[layer].build(width)
        for layer in range(decoder_layers):
            self.decoder_lstms[layer].build(embedding_units if layer == 0 else units)
        self.attention.build(2 * units)
        self.bridges = [
            self.add_weight(shape=(2 * units, units), initializer="zeros", name=f"bridge_{kind}_{layer}")
            for layer in range(decoder_layers)
            for kind in ("h", "c")
        ]
        self.attentional_kernel = self.add_weight(
            shape=(3 * units, embedding_units), initializer="zeros", name="attentional"
        )
        if input_feeding:
            self.feed_kernel = self.add_weight(
                shape=(embedding_units, 4 * units), initializer="zeros", name="lstm_feed"
            )
        self.built = True
        self.reset(seed)

    def _dropout(self, hyperparameter: str, name: str, shared: tuple[int, ...] = ()) -> Dropout:
        """Return a dropout layer whose rate is a hyperparameter's value."""
        layer = Dropout(self.generator, shared=shared, name=name)
        self.bindings.bind(hyperparameter, layer.rate)
        return layer

    def _lstm(self, name: str, reverse: bool = False) -> LSTM:
        dropout = self._dropout("recurrent_dropout", f"{name}_dropout")
        return LSTM(self.units, dropout, reverse, self.layer_normalisation, name=name)

    def reset(self, seed: int) -> None:
        """Draw all weights afresh, in place; see `initial_weights`."""
        for weight in self.trainable_variables:
            weight.assign(initial_weights(weight.path, tuple(weight.shape), seed))

    def encode(self, source: tf.Tensor, training: bool = False) -> tuple[Memory, list[tuple[tf.Tensor, tf.Tensor]]]:
        """Read the source.

        Args:
            source: Ids, int32 `[B, S]`.
            training: Whether dropout acts.

        Returns:
            The memory, and the decoder's initial h and c, `[B, U]` each, a layer.
        """
        mask = tf.not_equal(source, PAD)
        time_mask = tf.transpose(mask)
        inputs = self.source_word_dropout(self.source_embedding(tf.transpose(source)), training=training)
        inputs = self.source_dropout(inputs, training=training)
        finals = []
        for layer, (forward, backward) in enumerate(zip(self.forward_lstms, self.backward_lstms, strict=True)):
            ahead, (ahead_h, ahead_c) = forward(inputs, mask=time_mask, training=training)
            back, (back_h, back_c) = backward(inputs, mask=time_mask, training=training)
            finals.append((tf.concat([ahead_h, back_h], axis=1), tf.concat([ahead_c, back_c], axis=1)))
            inputs = self.encoder_dropouts[layer](tf.concat([ahead, back], axis=2), training=training)
        states = tf.transpose(inputs, [1, 0, 2])
        initial = []
        for layer in range(len(self.decoder_lstms)):
            h, c = finals[min(layer, len(finals) - 1)]
            h_kernel, c_kernel = self.bridges[2 * layer : 2 * layer + 2]
            initial.append((tf.tanh(tf.matmul(h, h_kernel.value)), tf.matmul(c, c_kernel.value)))
        return Memory(self.attention.keys(states), states, pad_bias(mask)), initial

    def _attentionals(self, source: tf.Tensor, target: tf.Tensor, training: bool, at: tf.Tensor | None) -> tf.Tensor:
        """Return attentional vectors, `[N, E]`.

        Args:
            source: Ids, int32 `[B, S]`.
            target: Ids, int32 `[B, T]`.
            training: Whether dropout acts.
            at: Which of the `B * (T - 1)` positions, int32 `[N]`; None for all.
        """
        memory, initial = self.encode(source, training)
        inputs = self.target_word_dropout(self.target_embedding(tf.transpose(target[:, :-1])), training=training)
        inputs = self.target_dropout(inputs, training=training)
        if self.input_feeding:
            fed = self._attentionals_with_input_feeding(inputs, memory, initial, training)
            flat = tf.reshape(tf.transpose(fed, [1, 0, 2]), [-1, self.embedding_units])
            return flat if at is None else tf.gather(flat, at)
        for layer, lstm in enumerate(self.decoder_lstms):
            if layer > 0:
                inputs = self.decoder_dropouts[layer - 1](inputs, training=training)
            inputs, _ = lstm(inputs, initial=initial[layer], training=training)
        queries = tf.transpose(inputs, [1, 0, 2])
        contexts, _ = self.attention(queries, memory.keys, memory.states, memory.bias)
        flat = tf.reshape(tf.concat([contexts, queries], axis=2), [-1, 3 * self.units])
        return self._attentional(flat if at is None else tf.gather(flat, at), training)

    def _attentionals_with_input_feeding(
        self, inputs: tf.Tensor, memory: Memory, initial: Any, training: bool
    ) -> tf.Tensor:
        """Return the attentional vectors of a decoder with input feeding, `[T - 1, B, E]`."""
        dropout_masks: dict[str, Any] = {}
        if training:
            length, batch = tf.unstack(tf.shape(inputs)[:2])
            steps = 1 if self.variational_dropout else length
            dropout_masks = {
                "recurrent_dropout_masks": [
                    lstm.recurrent_dropout.mask(tf.stack([batch, self.units])) for lstm in self.decoder_lstms
                ],
                "layer_dropout_masks": [
                    dropout.mask(tf.stack([steps, batch, self.units])) for dropout in self.decoder_dropouts
                ],
                "attentional_dropout_mask": self.attentional_dropout.mask(
                    tf.stack([length, batch, self.embedding_units])
                ),
            }
        kernels = self.feed_kernel.value, self.attentional_kernel.value
        return decode_with_input_feeding(
            self.decoder_lstms, self.attention, *kernels, inputs, initial, tuple(memory), **dropout_masks
        )

    def _attentional(self, vectors: tf.Tensor, training: bool) -> tf.Tensor:
        """Return attentional vectors, `[N, E]`, from `[N, 3U]`."""
        return self.attentional_dropout(tf.tanh(tf.matmul(vectors, self.attentional_kernel.value)), training=training)

    def _logits(self, attentional: tf.Tensor) -> tf.Tensor:
        product = tf.matmul(attentional, self.output_embedding.table.value, transpose_b=True)
        return tf.nn.bias_add(product, self.output_bias.value)

    def batch_loss(
        self,
        source: tf.Tensor,
        target: tf.Tensor,
        label_smoothing: tf.Tensor | float = 0.0,
        training: bool = False,
        consistency: tf.Tensor | None = None,
    ) -> Loss:
        """Return the loss of a batch, summed over its real target positions.

        Args:
            source: Ids, int32 `[B, S]`, ending in EOS.
            target: Ids, int32 `[B, T]`, from BOS to EOS.
            label_smoothing: Probability mass spread over the vocabulary; scalar.
            training: Whether dropout acts.
            consistency: Weight of the divergence between two passes under different dropout masks; see
                `smoothed_cross_entropy`. Where it is above 0, each pair is passed twice, and the sums are over both.
        """
        if consistency is not None:
            passes = tf.where(consistency > 0.0, 2, 1)
            source, target = (tf.tile(ids, [passes, 1]) for ids in (source, target))
        wanted = target[:, 1:]
        flat = tf.reshape(wanted, [-1])
        real = tf.cast(tf.where(tf.not_equal(flat, PAD))[:, 0], tf.int32)
        attentional = self._attentionals(source, target, training, real)
        objective, likelihood = smoothed_cross_entropy(
            attentional,
            self.output_embedding.table.value,
            self.output_bias.value,
            tf.gather(flat, real),
            tf.convert_to_tensor(label_smoothing, tf.float32),
            consistency,
        )
        return Loss(objective, likelihood, tf.cast(tf.shape(real)[0], tf.float32))

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        source, target = inputs
        attentional = self._attentionals(source, target, training, None)
        shape = tf.stack([tf.shape(target)[0], tf.shape(target)[1] - 1, self.vocabulary])
        return tf.reshape(tf.nn.log_softmax(self._logits(attentional)), shape)

    def start(self, source: tf.Tensor) -> tuple[Any, Memory]:
        """Begin decoding: return the decoder's cache, for a `Step`, and the memory, which stays the same.

        Args:
            source: Ids, int32 `[B, S]`, ending in EOS.
        """
        memory, initial = self.encode(source)
        cache: tuple[Any, ...] = tuple((h[:, None], c[:, None]) for h, c in initial)
        if self.input_feeding:
            cache += (tf.zeros(tf.stack([tf.shape(source)[0], 1, self.embedding_units])),)
        return cache, memory

    def step(self, tokens: tf.Tensor, cache: Any, memory: Memory) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """Predict the next subword; this is the `Step` that the samplers of `decoding` take.

        Args:
            tokens: The subwords before, int32 `[B, K]`.
            cache: The decoder's h and c a layer, `[B, K, U]` each; with input feeding, the attentional vector before
                them, `[B, K, E]`.
            memory: From `start`.

        Returns:
            Log-probabilities, `[B, K, V]`, the attention they were made with, `[B, K, S]`, and the next cache.
        """
        shape = tf.shape(tokens)
        inputs = self.target_embedding(tf.reshape(tokens, [-1]))
        advanced: list[Any] = []
        for layer, (lstm, (h, c)) in enumerate(zip(self.decoder_lstms, cache, strict=False)):
            state = (tf.reshape(h, [-1, self.units]), tf.reshape(c, [-1, self.units]))
            product = lstm.product(inputs)
            if self.input_feeding and layer == 0:
                product += tf.matmul(tf.reshape(cache[-1], [-1, self.embedding_units]), self.feed_kernel.value)
            inputs, cell = lstm.step(lstm.input_projection(product), state)
            together = tf.concat([shape, [self.units]], axis=0)
            advanced.append((tf.reshape(inputs, together), tf.reshape(cell, together)))
        queries = advanced[-1][0]
        contexts, weights = self.attention(queries, memory.keys, memory.states, memory.bias)
        vectors = tf.reshape(tf.concat([contexts, queries], axis=2), [-1, 3 * self.units])
        attentional = self._attentional(vectors, training=False)
        if self.input_feeding:
            advanced.append(tf.reshape(attentional, tf.concat([shape, [self.embedding_units]], axis=0)))
        log_probabilities = tf.nn.log_softmax(self._logits(attentional))
        together = tf.concat([shape, [self.vocabulary]], axis=0)
        return tf.reshape(log_probabilities, together), weights, tuple(advanced)
