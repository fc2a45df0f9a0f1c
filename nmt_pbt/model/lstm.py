"""LSTM over whole sequences, built for speed on a CPU: as little as possible happens inside the loop over time.

Everything is time-major: sequences are `[T, B, width]`. The input's projection for all steps is one product before the
loop; the gradient is written by hand, so that the weights' gradients are one product after the loop, and whatever does
not depend on the loop's own chain is computed for all steps at once.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from nmt_pbt.model.dropout import Dropout

HOLD = 1e4
"""Pre-activation that saturates a sigmoid exactly: sigmoid(HOLD) = 1 and sigmoid(-HOLD) = 0 in float32."""


def recurrence(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    mask: tf.Tensor | None,
    initial_h: tf.Tensor,
    initial_c: tf.Tensor,
    reverse: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run an LSTM's recurrence (Hochreiter & Schmidhuber 1997, with forget gates as in Gers et al. 2000).

    The calculation, for each step t, with gates in the order input, forget, output, candidate::

        i, f, o, g = projected[t] + (h * mask) @ kernel
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Args:
        projected: Inputs times input kernel, plus bias: `[T, B, 4U]`.
        kernel: Recurrent kernel, `[U, 4U]`.
        mask: What h is multiplied with before the kernel, `[B, U]`, the same at all steps (variational dropout, Gal &
            Ghahramani 2016); None for none. Its gradient is not computed.
        initial_h: `[B, U]`.
        initial_c: `[B, U]`.
        reverse: Whether to run from the last step to the first.

    Returns:
        h at every step, `[T, B, U]`, and c after the whole loop, `[B, U]`.
    """
    masks = [] if mask is None else [tf.stop_gradient(mask)]

    @tf.custom_gradient
    def run(projected, kernel, initial_h, initial_c, *masks):
        gates, candidates, cells, states = _forward(projected, kernel, masks, initial_h, initial_c, reverse)
        last = cells[0] if reverse else cells[-1]

        def gradient(states_gradient, last_gradient):
            saved = (gates, candidates, cells, states)
            found = _backward(saved, kernel, masks, initial_h, initial_c, reverse, states_gradient, last_gradient)
            return (*found, *(None for _ in masks))

        return (states, last), gradient

    return run(projected, kernel, initial_h, initial_c, *masks)


def _forward(projected, kernel, masks, initial_h, initial_c, reverse):
    """Return what the loop computes at every step: sigmoid gates `[T, B, 3U]`, candidate, c and h `[T, B, U]`."""
    length = tf.shape(projected)[0]
    units = kernel.shape[0]
    inputs = tf.TensorArray(tf.float32, size=length, element_shape=projected.shape[1:]).unstack(projected)
    saved = [_array(length, (None, 3 * units)), *(_array(length, (None, units)) for _ in range(3))]

    def step(count, h, c, saved):
        t = length - 1 - count if reverse else count
        z = inputs.read(t) + tf.matmul(h * masks[0] if masks else h, kernel)
        gates = tf.sigmoid(z[:, : 3 * units])
        candidate = tf.tanh(z[:, 3 * units :])
        i, f, o = tf.split(gates, 3, axis=1)
        c = f * c + i * candidate
        h = o * tf.tanh(c)
        saved = [array.write(t, value) for array, value in zip(saved, (gates, candidate, c, h), strict=True)]
        return count + 1, h, c, saved

    shape = tf.TensorShape([None, units])
    h, c = (tf.ensure_shape(tensor, shape) for tensor in (initial_h, initial_c))
    *_, saved = tf.while_loop(lambda count, *_: count < length, step, (0, h, c, saved), maximum_iterations=length)
    return [array.stack() for array in saved]


def _backward(saved, kernel, masks, initial_h, initial_c, reverse, states_gradient, last_gradient):
    """Return the gradients of projected, kernel, initial h and initial c, by back-propagation through time."""
    gates, candidates, cells, states = saved
    length = tf.shape(states)[0]
    units = kernel.shape[0]
    if reverse:
        previous_h = tf.concat([states[1:], initial_h[None]], axis=0)
        previous_c = tf.concat([cells[1:], initial_c[None]], axis=0)
    else:
        previous_h = tf.concat([initial_h[None], states[:-1]], axis=0)
        previous_c = tf.concat([initial_c[None], cells[:-1]], axis=0)
    i, f, o = tf.split(gates, 3, axis=2)
    tanh_c = tf.tanh(cells)
    # How each pre-activation answers to dc (for i, f and g) and to dh (for o), and dc to dh: all steps at once.
    to_c = tf.concat([i * (1 - i) * candidates, f * (1 - f) * previous_c, i * (1 - tf.square(candidates))], axis=2)
    to_h = o * (1 - o) * tanh_c
    h_to_c = o * (1 - tf.square(tanh_c))
    arrays = [
        tf.TensorArray(tf.float32, size=length, element_shape=tensor.shape[1:]).unstack(tensor)
        for tensor in (to_c, to_h, h_to_c, f, states_gradient)
    ]
    kernel_transposed = tf.transpose(kernel)

    def step(count, dh, dc, written):
        t = count if reverse else length - 1 - count
        to_c, to_h, h_to_c, f, given = (array.read(t) for array in arrays)
        dh = dh + given
        dc = dc + dh * h_to_c
        d_i, d_f, d_g = (part * dc for part in tf.split(to_c, 3, axis=1))
        dz = tf.concat([d_i, d_f, dh * to_h, d_g], axis=1)
        dh = tf.matmul(dz, kernel_transposed)
        if masks:
            dh = dh * masks[0]
        return count + 1, dh, dc * f, written.write(t, dz)

    shape = tf.TensorShape([None, units])
    dh = tf.ensure_shape(tf.zeros_like(initial_h), shape)
    dc = tf.ensure_shape(last_gradient, shape)
    written = _array(length, (None, 4 * units))
    _, dh, dc, written = tf.while_loop(
        lambda count, *_: count < length, step, (0, dh, dc, written), maximum_iterations=length
    )
    d_projected = written.stack()
    entered = previous_h * masks[0] if masks else previous_h
    d_kernel = tf.matmul(tf.reshape(entered, [-1, units]), tf.reshape(d_projected, [-1, 4 * units]), transpose_a=True)
    return d_projected, d_kernel, dh, dc


def _array(length, shape):
    return tf.TensorArray(tf.float32, size=length, element_shape=tf.TensorShape(shape))


class LSTM(keras.layers.Layer):
    """One LSTM layer over padded sequences, with variational dropout on its recurrent state.

    A pad changes nothing: the state is carried over it, and the output there is 0.

    Args:
        units: Width of the state.
        recurrent_dropout: Draws the mask on h, one a sequence; None for none.
        reverse: Whether to read from the end to the beginning.

    Call arguments:
        inputs: `[T, B, width]`.
        real: True at real steps, bool `[T, B]`, pads only at the end; None when every step counts.
        initial: h and c, `[B, U]` each; None for zeros.
        training: Whether to draw a recurrent mask; a Python bool.

    Returns:
        The outputs, `[T, B, U]`, and the final h and c, `[B, U]` each.
    """

    def __init__(
        self, units: int, recurrent_dropout: Dropout | None = None, reverse: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.units = units
        self.recurrent_dropout = recurrent_dropout
        self.reverse = reverse

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights; the last of `input_shape` is the width of the inputs."""
        width = int(input_shape[-1])
        self.kernel = self.add_weight(shape=(width, 4 * self.units), initializer="zeros", name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, 4 * self.units), initializer="zeros", name="recurrent")
        self.bias = self.add_weight(shape=(4 * self.units,), initializer="zeros", name="bias")
        self.built = True

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return inputs times kernel plus bias, `[..., 4U]`, for any number of leading dimensions."""
        flat = tf.reshape(inputs, [-1, self.kernel.shape[0]])
        product = tf.nn.bias_add(tf.matmul(flat, self.kernel.value), self.bias.value)
        return tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [4 * self.units]], axis=0))

    def call(self, inputs, real=None, initial=None, training=False):
        """See the class."""
        projected = self.project(inputs)
        projected.set_shape([None, None, 4 * self.units])
        batch = tf.shape(inputs)[1]
        if initial is None:
            initial = (tf.zeros([batch, self.units]), tf.zeros([batch, self.units]))
        if real is not None:
            # Forget gate 1, input gate 0: c is carried exactly, and no gradient reaches the projection.
            hold = tf.repeat(tf.constant([-HOLD, HOLD, 0.0, 0.0]), self.units)
            projected = tf.where(real[..., None], projected, hold)
        dropped = None
        if training and self.recurrent_dropout is not None:
            dropped = self.recurrent_dropout.mask(tf.stack([batch, self.units]))
        outputs, last_c = recurrence(projected, self.recurrent.value, dropped, *initial, reverse=self.reverse)
        if real is None:
            return outputs, (outputs[0 if self.reverse else -1], last_c)
        outputs = outputs * tf.cast(real, tf.float32)[..., None]
        if self.reverse:
            return outputs, (outputs[0], last_c)
        final = tf.reduce_sum(tf.cast(real, tf.int32), axis=0) - 1
        return outputs, (tf.gather(tf.transpose(outputs, [1, 0, 2]), final, batch_dims=1), last_c)

    def step(self, projected: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Advance by one step without dropout, as decoding does.

        Args:
            projected: What `project` returned for the step, `[N, 4U]`.
            state: h and c, `[N, U]` each.

        Returns:
            The new h and c.
        """
        h, c = state
        z = projected + tf.matmul(h, self.recurrent.value)
        i, f, o = tf.split(tf.sigmoid(z[:, : 3 * self.units]), 3, axis=1)
        c = f * c + i * tf.tanh(z[:, 3 * self.units :])
        return o * tf.tanh(c), c
