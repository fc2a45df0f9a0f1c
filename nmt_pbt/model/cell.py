"""One step of an LSTM, with layer normalisation or without."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

EPSILON = 1e-5


class Normalisation(NamedTuple):
    """Weights of a layer-normalised LSTM (Ba et al. 2016, equations 20 to 22).

    Attributes:
        input_gain: `[4U]`, of the input's projection.
        recurrent_gain: `[4U]`, of the state's.
        cell_gain: `[U]`.
        cell_bias: `[U]`.
    """

    input_gain: tf.Tensor
    recurrent_gain: tf.Tensor
    cell_gain: tf.Tensor
    cell_bias: tf.Tensor


def normalise(tensor: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """Return the tensor with mean 0 and variance 1 over its last dimension, times a gain."""
    centred = tensor - tf.reduce_mean(tensor, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return centred * (tf.math.rsqrt(variance + EPSILON) * gain)


def enter(product: tf.Tensor, bias: tf.Tensor, normalisation: Normalisation | None) -> tf.Tensor:
    """Return the input's share of the pre-activations, `[..., 4U]`, from input times kernel."""
    if normalisation is None:
        return tf.nn.bias_add(product, bias)
    return tf.nn.bias_add(normalise(product, normalisation.input_gain), bias)


def cell(
    entered: tf.Tensor, returned: tf.Tensor, c: tf.Tensor, normalisation: Normalisation | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Advance by one step.

    Args:
        entered: The input's share of the pre-activations, normalised and with bias: `[B, 4U]`.
        returned: h times the recurrent kernel, `[B, 4U]`.
        c: `[B, U]`.
        normalisation: None for none.

    Returns:
        The new h and c, `[B, U]` each.
    """
    if normalisation is not None:
        returned = normalise(returned, normalisation.recurrent_gain)
    z = entered + returned
    units = c.shape[-1]
    i, f, o = tf.split(tf.sigmoid(z[:, : 3 * units]), 3, axis=1)
    c = f * c + i * tf.tanh(z[:, 3 * units :])
    if normalisation is None:
        return o * tf.tanh(c), c
    return o * tf.tanh(normalise(c, normalisation.cell_gain) + normalisation.cell_bias), c
