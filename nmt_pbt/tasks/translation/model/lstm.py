"""LSTM over whole sequences, built for speed on a CPU: as little as possible happens inside the loop over time.

Everything is time-major: sequences are `[T, B, width]`. The input's projection for all steps is one product before the
loop; the gradient is written by hand, so that the weights' gradients are one product after the loop, and whatever does
not depend on the loop's own chain is computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from nmt_pbt.tasks.translation.model.dropout import Dropout
from nmt_pbt.tasks.translation.model.scan import Products, Tensors, over_time, scan

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


def input_projection(product: tf.Tensor, bias: tf.Tensor, normalisation: Normalisation | None) -> tf.Tensor:
    """Return the input's share of the pre-activations, `[..., 4U]`, from input times kernel."""
    if normalisation is None:
        return tf.nn.bias_add(product, bias)
    return tf.nn.bias_add(normalise(product, normalisation.input_gain), bias)


def cell(
    input_projection: tf.Tensor, recurrent_projection: tf.Tensor, c: tf.Tensor, normalisation: Normalisation | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Advance by one step.

    Args:
        input_projection: The input's share of the pre-activations, normalised and with bias: `[B, 4U]`.
        recurrent_projection: h times the recurrent kernel, `[B, 4U]`.
        c: `[B, U]`.
        normalisation: None for none.

    Returns:
        The new h and c, `[B, U]` each.
    """
    if normalisation is not None:
        recurrent_projection = normalise(recurrent_projection, normalisation.recurrent_gain)
    z = input_projection + recurrent_projection
    units = c.shape[-1]
    i, f, o = tf.split(tf.sigmoid(z[:, : 3 * units]), 3, axis=1)
    c = f * c + i * tf.tanh(z[:, 3 * units :])
    if normalisation is None:
        return o * tf.tanh(c), c
    return o * tf.tanh(normalise(c, normalisation.cell_gain) + normalisation.cell_bias), c


HOLD = 1e4
"""Pre-activation that saturates a sigmoid exactly: sigmoid(HOLD) = 1 and sigmoid(-HOLD) = 0 in float32."""


class _Saved(NamedTuple):
    """What the backward pass needs of the forward one, `[T, B, U]` each.

    Attributes:
        i: Input gate.
        f: Forget gate.
        o: Output gate.
        g: Candidate.
        tanh_c: tanh of c after the step.
        c: c before the step.
        h: What was multiplied with the recurrent kernel: h before the step, masked.
    """

    i: tf.Tensor
    f: tf.Tensor
    o: tf.Tensor
    g: tf.Tensor
    tanh_c: tf.Tensor
    c: tf.Tensor
    h: tf.Tensor


def recurrence(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    initial_h: tf.Tensor,
    initial_c: tf.Tensor,
    dropout_mask: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    reverse: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run an LSTM's recurrence (Hochreiter & Schmidhuber 1997, with forget gates as in Gers et al. 2000).

    The calculation, for each step t::

        i, f, o, g = projected[t] + (h * dropout_mask) @ kernel
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    At a pad f is 1, i and o are 0: c is carried over it exactly, h is 0, and no gradient reaches the projection.

    Args:
        projected: Inputs times input kernel, plus bias: `[T, B, 4U]`.
        kernel: Recurrent kernel, `[U, 4U]`.
        initial_h: `[B, U]`; zeros when it runs in reverse over pads.
        initial_c: `[B, U]`; the same.
        dropout_mask: What h is multiplied with before the kernel, `[B, U]`, the same at all steps (variational dropout,
            Gal & Ghahramani 2016); None for none. Its gradient is not computed.
        mask: False at pads, bool `[T, B]`, pads only at the end; None when there are none.
        reverse: Whether to run from the last step to the first.

    Returns:
        h at every step, `[T, B, U]`; h and c after the last real step in the direction of the run, `[B, U]` each.
    """
    constants = [] if dropout_mask is None else [dropout_mask]
    if mask is None or reverse:
        last = tf.fill(tf.shape(initial_h)[:1], 0 if reverse else tf.shape(projected)[0] - 1)
    else:
        last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=0) - 1
    where = tf.stack([last, tf.range(tf.shape(last)[0])], axis=1)

    @tf.custom_gradient
    def run(
        projected: tf.Tensor, kernel: tf.Tensor, initial_h: tf.Tensor, initial_c: tf.Tensor, *constants: tf.Tensor
    ) -> tuple[Any, Callable[..., Any]]:
        dropout_mask = constants[0] if constants else None
        held = projected
        if mask is not None:
            hold = tf.repeat(tf.constant([-HOLD, HOLD, -HOLD, 0.0]), kernel.shape[0])
            held = tf.where(mask[..., None], projected, hold)
        states, last_c, saved = _forward(held, kernel, initial_h, initial_c, dropout_mask, reverse)

        def gradient(d_states: tf.Tensor, d_last_h: tf.Tensor, d_last_c: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            d_states = tf.tensor_scatter_nd_add(d_states, where, d_last_h)
            found = _backward(saved, kernel, dropout_mask, reverse, d_states, d_last_c)
            return (*found, *(None for _ in constants))

        return (states, tf.gather_nd(states, where), last_c), gradient

    states, last_h, last_c = run(projected, kernel, initial_h, initial_c, *constants)
    return states, last_h, last_c


def _forward(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    initial_h: tf.Tensor,
    initial_c: tf.Tensor,
    dropout_mask: tf.Tensor | None,
    reverse: bool,
) -> tuple[tf.Tensor, tf.Tensor, _Saved]:
    """Return h at every step, c after the loop, and what the backward pass needs."""
    length = tf.shape(projected)[0]
    units = kernel.shape[0]
    arrays = tuple(_array(length, units) for _ in range(8))

    def step(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, arrays: Any) -> tuple[Any, ...]:
        masked_h = h if dropout_mask is None else h * dropout_mask
        z = _at(projected, t) + tf.matmul(masked_h, kernel)
        i, f, o, g = tf.split(z, 4, axis=1)
        i, f, o, g = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o), tf.tanh(g)
        next_c = f * c + i * g
        tanh_c = tf.tanh(next_c)
        next_h = o * tanh_c
        values = (i, f, o, g, tanh_c, c, masked_h, next_h)
        arrays = tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))
        return next_h, next_c, arrays

    first = (_shaped(initial_h, units), _shaped(initial_c, units), arrays)
    _, last_c, arrays = over_time(length, reverse, step, first)
    *saved, states = (array.stack() for array in arrays)
    return states, last_c, _Saved(*saved)


def _backward(
    saved: _Saved,
    kernel: tf.Tensor,
    dropout_mask: tf.Tensor | None,
    reverse: bool,
    d_states: tf.Tensor,
    d_last_c: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the gradients of projected, kernel, initial h and initial c, by back-propagation through time."""
    length = tf.shape(d_states)[0]
    units = kernel.shape[0]
    # How the pre-activations of i, f and g answer to dc, that of o to dh, and dc to dh: all steps at once.
    to_i = tf.raw_ops.SigmoidGrad(y=saved.i, dy=saved.g)
    to_f = tf.raw_ops.SigmoidGrad(y=saved.f, dy=saved.c)
    to_g = tf.raw_ops.TanhGrad(y=saved.g, dy=saved.i)
    to_o = tf.raw_ops.SigmoidGrad(y=saved.o, dy=saved.tanh_c)
    h_to_c = tf.raw_ops.TanhGrad(y=saved.tanh_c, dy=saved.o)
    kernel_transposed = tf.transpose(kernel)

    def step(t: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor, array: tf.TensorArray) -> tuple[Any, ...]:
        dh = dh + _at(d_states, t)
        dc = dc + dh * _at(h_to_c, t)
        parts = [dc * _at(to_i, t), dc * _at(to_f, t), dh * _at(to_o, t), dc * _at(to_g, t)]
        dz = tf.concat(parts, axis=1)
        dh = tf.matmul(dz, kernel_transposed)
        if dropout_mask is not None:
            dh = dh * dropout_mask
        return dh, dc * _at(saved.f, t), array.write(t, dz)

    d_last_c = _shaped(d_last_c, units)
    array = _array(length, 4 * units)
    dh, dc, array = over_time(length, not reverse, step, (tf.zeros_like(d_last_c), d_last_c, array))
    d_projected = array.stack()
    flat = tf.reshape(d_projected, [-1, 4 * units])
    d_kernel = tf.matmul(tf.reshape(saved.h, [-1, units]), flat, transpose_a=True)
    return d_projected, d_kernel, dh, dc


def _at(sequence: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Return sequence[t]: a view where memory is aligned; `tf.gather` would copy, indexing takes more operations."""
    begin = tf.reshape(t, [1])
    return tf.strided_slice(sequence, begin, begin + 1, [1], shrink_axis_mask=1)


def _array(length: tf.Tensor, width: int) -> tf.TensorArray:
    return tf.TensorArray(tf.float32, size=length, element_shape=tf.TensorShape([None, width]))


def _shaped(state: tf.Tensor, units: int) -> tf.Tensor:
    return tf.ensure_shape(state, tf.TensorShape([None, units]))


class LSTM(keras.layers.Layer):
    """One LSTM layer over padded sequences, with variational dropout on its recurrent state.

    A pad changes nothing: the state is carried over it, and the output there is 0.

    Args:
        units: Width of the state.
        recurrent_dropout: Draws the mask on h, one a sequence.
        reverse: Whether to read from the end to the beginning.
        layer_normalisation: Whether projections and cell are normalised (Ba et al. 2016).

    Call arguments:
        inputs: `[T, B, width]`.
        mask: True at real steps, bool `[T, B]`, pads only at the end; None when every step counts.
        initial: h and c, `[B, U]` each; None for zeros.
        training: Whether to draw a recurrent dropout mask; a Python bool.

    Returns:
        The outputs, `[T, B, U]`, and the final h and c, `[B, U]` each.
    """

    def __init__(
        self,
        units: int,
        recurrent_dropout: Dropout,
        reverse: bool = False,
        layer_normalisation: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.units = units
        self.recurrent_dropout = recurrent_dropout
        self.reverse = reverse
        self.layer_normalisation = layer_normalisation
        self.supports_masking = True

    def compute_mask(self, inputs: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        """Attach no mask to the outputs: whoever needs one passes it on."""

    def build(self, width: int) -> None:
        """Make the weights for inputs of this width."""
        self.kernel = self.add_weight(shape=(width, 4 * self.units), initializer="zeros", name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, 4 * self.units), initializer="zeros", name="recurrent")
        self.bias = self.add_weight(shape=(4 * self.units,), initializer="zeros", name="bias")
        self._normalisation = []
        if self.layer_normalisation:
            for name, factor in (("input_gain", 4), ("recurrent_gain", 4), ("cell_gain", 1), ("cell_bias", 1)):
                weight = self.add_weight(shape=(factor * self.units,), initializer="zeros", name=name)
                self._normalisation.append(weight)
        self.built = True

    def product(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return inputs times kernel, `[..., 4U]`, for any number of leading dimensions."""
        product = tf.matmul(tf.reshape(inputs, [-1, self.kernel.shape[0]]), self.kernel.value)
        together = tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [4 * self.units]], axis=0))
        return tf.ensure_shape(together, [*inputs.shape[:-1], 4 * self.units])

    def input_projection(self, product: tf.Tensor) -> tf.Tensor:
        """Return the inputs' share of the pre-activations, bias included, `[..., 4U]`, from their `product`."""
        return input_projection(product, *self.split_cell_weights(self.cell_weights()))

    def cell_weights(self) -> list[tf.Tensor]:
        """Return the bias and, with layer normalisation, the weights of `Normalisation`."""
        return [self.bias.value, *(weight.value for weight in self._normalisation)]

    @property
    def cell_weight_count(self) -> int:
        """How many tensors `cell_weights` returns."""
        return 1 + len(self._normalisation)

    def split_cell_weights(self, weights: list[tf.Tensor]) -> tuple[tf.Tensor, Normalisation | None]:
        """Return what `cell_weights` returned as bias and normalisation."""
        return weights[0], Normalisation(*weights[1:]) if self.layer_normalisation else None

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor | None = None,
        initial: tuple[tf.Tensor, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """See the class."""
        shape = tf.stack([tf.shape(inputs)[1], self.units])
        first_h, first_c = initial if initial is not None else (tf.zeros(shape), tf.zeros(shape))
        dropout_mask = self.recurrent_dropout.mask(shape) if training else None
        projected, kernel = self.input_projection(self.product(inputs)), self.recurrent.value
        if self.layer_normalisation:
            return self._normalised(
                projected, _shaped(first_h, self.units), _shaped(first_c, self.units), dropout_mask, mask
            )
        states, h, c = recurrence(projected, kernel, first_h, first_c, dropout_mask, mask, self.reverse)
        return states, (h, c)

    def _normalised(
        self,
        projected: tf.Tensor,
        h: tf.Tensor,
        c: tf.Tensor,
        dropout_mask: tf.Tensor | None,
        mask: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Run the layer-normalised recurrence; at a pad the state is carried over, and the output is 0."""
        bias, *weights = self.cell_weights()
        constants = [] if mask is None else [mask[..., None]]

        def step(
            products: Products, inputs: Tensors, constants: Tensors, state: Tensors, shared: Tensors
        ) -> tuple[Tensors, Tensors]:
            h, c = state
            recurrent_projection = products.kernel(0, h if dropout_mask is None else h * dropout_mask)
            next_h, next_c = cell(inputs[0], recurrent_projection, c, self.split_cell_weights([bias, *shared])[1])
            if not constants:
                return [next_h], [next_h, next_c]
            output = tf.where(constants[0], next_h, tf.zeros_like(next_h))
            return [output], [tf.where(constants[0], next_h, h), tf.where(constants[0], next_c, c)]

        (states,), (h, c) = scan(
            step, [self.units], [projected], [h, c], [self.recurrent.value], [], weights, constants, self.reverse
        )
        return states, (h, c)

    def step(self, projected: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Advance by one step without dropout, as decoding does.

        Args:
            projected: What `input_projection` returned for the step, `[N, 4U]`.
            state: h and c, `[N, U]` each.

        Returns:
            The new h and c.
        """
        h, c = state
        recurrent_projection = tf.matmul(h, self.recurrent.value)
        return cell(
            projected, recurrent_projection, _shaped(c, self.units), self.split_cell_weights(self.cell_weights())[1]
        )
