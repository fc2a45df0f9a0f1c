"""Stock Keras layers trained with `fit`, as a competitor."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from protocol import Batch, Calls, Stopwatch, Workload, serve, shuffled


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build and compile the model; see `protocol.serve`."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    settings = workload.settings
    model = _model(settings["vocabulary"], settings["units"], settings["dropout"], arguments.recurrent_dropout)
    model.compile(
        optimizer=keras.optimizers.Adam(settings["learning_rate"], global_clipnorm=settings["clip_norm"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
    )
    ids = tf.TensorSpec((None, None), tf.int32)

    def dataset(batches: list[Batch]) -> Any:
        def inputs_and_wanted() -> Iterator[Any]:
            for source, target in batches:
                yield (source, target[:, :-1]), target[:, 1:]

        made = tf.data.Dataset.from_generator(inputs_and_wanted, output_signature=((ids, ids), ids))
        return made.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2)

    def train(window: int) -> Mapping[str, Any]:
        drawn = workload.window(window)
        batches = dataset(shuffled(drawn) if arguments.shuffled else drawn)
        stopwatch = Stopwatch()
        history = model.fit(batches, shuffle=False, verbose=0)
        return {**stopwatch.read(), "loss": history.history["loss"][0]}

    return {"train": train}


def _model(vocabulary: int, units: int, dropout: float, recurrent_dropout: float) -> Any:
    """Return the architecture of `nmt_pbt.tasks.translation.model.seq2seq` from layers that Keras has."""
    import keras
    from keras import layers

    source = keras.Input((None,), dtype="int32")
    target = keras.Input((None,), dtype="int32")
    embedding = layers.ReversibleEmbedding(vocabulary, units, tie_weights=True, mask_zero=True)
    states, forward_h, forward_c, backward_h, backward_c = layers.Bidirectional(
        layers.LSTM(units, return_sequences=True, return_state=True, recurrent_dropout=recurrent_dropout)
    )(layers.Dropout(dropout)(embedding(source)))
    states = layers.Dropout(dropout)(states)
    first_h = layers.Dense(units, "tanh", use_bias=False)(layers.Concatenate()([forward_h, backward_h]))
    first_c = layers.Dense(units, use_bias=False)(layers.Concatenate()([forward_c, backward_c]))
    queries = layers.LSTM(units, return_sequences=True, recurrent_dropout=recurrent_dropout)(
        layers.Dropout(dropout)(embedding(target)), initial_state=[first_h, first_c]
    )
    keys = layers.Dense(units, use_bias=False)(states)
    contexts = layers.Attention(score_mode="dot")([queries, states, keys])
    attentional = layers.Dense(units, "tanh", use_bias=False)(layers.Concatenate()([contexts, queries]))
    return keras.Model([source, target], embedding(layers.Dropout(dropout)(attentional), reverse=True))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recurrent-dropout", type=float, default=0.0)
    parser.add_argument("--shuffled", action="store_true")


if __name__ == "__main__":
    serve(["tensorflow", "keras"], build, _add_options)
