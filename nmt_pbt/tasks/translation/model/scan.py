"""A loop over time whose weights' gradients are one product each, whatever a step calculates.

TensorFlow's own gradient of a loop adds to every weight's gradient at every step. Here each product with a weight is
made through `Products`, which keeps what went in and the gradient of what came out; afterwards all steps make one
product. What a step holds is calculated again on the way back, from the state that it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensors = list[tf.Tensor]


class Products:
    """Products of one step with weights and memories, each made at most once a step.

    Args:
        kernels: Matrices `[I, O]`, the same for the whole batch.
        memories: `[B, I, O]`: a matrix for each sentence.
    """

    def __init__(self, kernels: Tensors, memories: Tensors) -> None:
        self._kernels = kernels
        self._memories = memories
        self.made: dict[int, tuple[tf.Tensor, tf.Tensor]] = {}

    def kernel(self, index: int, inputs: tf.Tensor) -> tf.Tensor:
        """Return inputs times a kernel: `[B, I]` to `[B, O]`."""
        return self._keep(index, inputs, tf.matmul(inputs, self._kernels[index]))

    def memory(self, index: int, inputs: tf.Tensor) -> tf.Tensor:
        """Return inputs times their sentence's memory: `[B, I]` to `[B, O]`."""
        product = tf.squeeze(tf.matmul(inputs[:, None], self._memories[index]), axis=1)
        return self._keep(len(self._kernels) + index, inputs, product)

    def _keep(self, place: int, inputs: tf.Tensor, product: tf.Tensor) -> tf.Tensor:
        self.made[place] = (inputs, product)
        return product


Step = Callable[[Products, Tensors, Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]
"""`(products, inputs at t, constants at t, state, shared) -> (outputs at t, next state)`."""


def scan(
    step: Step,
    widths: Sequence[int],
    inputs: Sequence[tf.Tensor],
    state: Sequence[tf.Tensor],
    kernels: Sequence[tf.Tensor] = (),
    memories: Sequence[tf.Tensor] = (),
    shared: Sequence[tf.Tensor] = (),
    constants: Sequence[tf.Tensor] = (),
    reverse: bool = False,
) -> tuple[Tensors, Tensors]:
    """Run a step over time.

    Args:
        step: What happens at one time step; it uses every kernel and memory, through `Products`.
        widths: Of the step's outputs.
        inputs: Sequences `[T, B, width]`, float.
        state: What the first step begins with, `[B, width]` each; the widths have to be known.
        kernels: Matrices that a step multiplies with.
        memories: A matrix for each sentence, `[B, I, O]`.
        shared: Other tensors that a step reads; their gradients are added up step by step.
        constants: Sequences `[T, ...]` without a gradient: masks.
        reverse: Whether to run from the last step to the first.

    Returns:
        The outputs, `[T, B, width]` each, and the state after the last step.
    """
    sizes = [len(part) for part in (inputs, state, kernels, memories, shared)]
    shapes = [tf.TensorShape([None, part.shape[-1]]) for part in state]

    @tf.custom_gradient
    def run(*arguments: tf.Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
        scanned = _Scan(step, _split(arguments, sizes), list(constants), reverse)
        outputs, last, entered = scanned.forward(widths, shapes)

        def gradient(*upstream: tf.Tensor) -> Tensors:
            return scanned.backward(entered, list(upstream[: len(outputs)]), list(upstream[len(outputs) :]))

        return [*outputs, *last], gradient

    found = run(*inputs, *state, *kernels, *memories, *shared)
    last = [tf.ensure_shape(part, shape) for part, shape in zip(found[len(widths) :], shapes, strict=True)]
    return list(found[: len(widths)]), last


class _Scan:
    """One scan: its arguments, the way there and the way back."""

    def __init__(self, step: Step, arguments: list[Tensors], constants: Tensors, reverse: bool) -> None:
        self.step = step
        self.inputs, self.state, self.kernels, self.memories, self.shared = arguments
        self.constants = constants
        self.reverse = reverse
        self.length = tf.shape(self.inputs[0])[0]

    def forward(self, widths: Sequence[int], shapes: list[tf.TensorShape]) -> tuple[Tensors, Tensors, Tensors]:
        """Return the outputs, the last state, and the state that each step began with."""
        entered = [self._array(shape[-1]) for shape in shapes]
        outputs = [self._array(width) for width in widths]

        def body(t: tf.Tensor, state: Tensors, entered: Tensors, outputs: Tensors) -> tuple[Tensors, Tensors, Tensors]:
            products = Products(self.kernels, self.memories)
            found, following = self.step(products, _at(self.inputs, t), _at(self.constants, t), state, self.shared)
            following = [tf.ensure_shape(part, shape) for part, shape in zip(following, shapes, strict=True)]
            return following, _write(entered, t, state), _write(outputs, t, found)

        state = [tf.ensure_shape(part, shape) for part, shape in zip(self.state, shapes, strict=True)]
        state, entered, outputs = over_time(self.length, self.reverse, body, (state, entered, outputs))
        return _stack(outputs), state, _stack(entered)

    def backward(self, entered: Tensors, d_outputs: Tensors, d_last: Tensors) -> Tensors:
        """Return the gradients of inputs, state, kernels, memories and shared, in this order."""
        inward = [*(kernel.shape[0] for kernel in self.kernels), *(memory.shape[1] for memory in self.memories)]
        outward = [*(kernel.shape[1] for kernel in self.kernels), *(memory.shape[2] for memory in self.memories)]
        d_inputs = [self._array(sequence.shape[-1]) for sequence in self.inputs]
        went_in, came_out = [self._array(width) for width in inward], [self._array(width) for width in outward]
        d_shared = [tf.zeros_like(tensor) for tensor in self.shared]

        def body(
            t: tf.Tensor, d_state: Tensors, d_shared: Tensors, d_inputs: Tensors, went_in: Tensors, came_out: Tensors
        ) -> tuple[Tensors, ...]:
            inputs, state = _at(self.inputs, t), _at(entered, t)
            products = Products(self.kernels, self.memories)
            with tf.GradientTape() as tape:
                tape.watch([inputs, state, self.shared])
                found = self.step(products, inputs, _at(self.constants, t), state, self.shared)
            made = [products.made[place] for place in range(len(inward))]
            d_found = (_at(d_outputs, t), d_state)
            sources = (inputs, state, self.shared, [product for _, product in made])
            d_t, d_state_before, d_read, d_made = tape.gradient(
                found, sources, d_found, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return (
                [tf.ensure_shape(part, before.shape) for part, before in zip(d_state_before, d_state, strict=True)],
                [total + part for total, part in zip(d_shared, d_read, strict=True)],
                _write(d_inputs, t, d_t),
                _write(went_in, t, [part for part, _ in made]),
                _write(came_out, t, d_made),
            )

        d_last = [
            tf.ensure_shape(part, [None, state.shape[-1]]) for part, state in zip(d_last, self.state, strict=True)
        ]
        d_state, d_shared, d_inputs, went_in, came_out = over_time(
            self.length, not self.reverse, body, (d_last, d_shared, d_inputs, went_in, came_out)
        )
        pairs = list(zip(_stack(went_in), _stack(came_out), strict=True))
        d_kernels = [tf.matmul(_flat(x), _flat(y), transpose_a=True) for x, y in pairs[: len(self.kernels)]]
        d_memories = [
            tf.matmul(tf.transpose(x, [1, 2, 0]), tf.transpose(y, [1, 0, 2])) for x, y in pairs[len(self.kernels) :]
        ]
        return [*_stack(d_inputs), *d_state, *d_kernels, *d_memories, *d_shared]

    def _array(self, width: int | None) -> tf.TensorArray:
        return tf.TensorArray(tf.float32, size=self.length, element_shape=tf.TensorShape([None, width]))


def over_time(length: tf.Tensor, reverse: bool, body: Callable[..., Any], first: tuple[Any, ...]) -> Any:
    """Run a step over t = 0 .. length - 1, or the other way round.

    Args:
        length: Steps, scalar.
        reverse: Whether to run from the last step to the first.
        body: `(t, *values) -> values`.
        first: The values before the first step, in any nested structure.

    Returns:
        The values after the last step.
    """
    start = length - 1 if reverse else tf.zeros_like(length)

    def going(t: tf.Tensor, *_: Any) -> tf.Tensor:
        return t >= 0 if reverse else t < length

    return tf.while_loop(going, lambda t, *a: (t + (-1 if reverse else 1), *body(t, *a)), (start, *first))[1:]


def _split(tensors: Sequence[tf.Tensor], sizes: list[int]) -> list[Tensors]:
    parts, start = [], 0
    for size in sizes:
        parts.append(list(tensors[start : start + size]))
        start += size
    return parts


def _at(sequences: Tensors, t: tf.Tensor) -> Tensors:
    return [sequence[t] for sequence in sequences]


def _write(arrays: list[tf.TensorArray], t: tf.Tensor, values: Tensors) -> list[tf.TensorArray]:
    return [array.write(t, value) for array, value in zip(arrays, values, strict=True)]


def _stack(arrays: list[tf.TensorArray]) -> Tensors:
    return [array.stack() for array in arrays]


def _flat(sequence: tf.Tensor) -> tf.Tensor:
    return tf.reshape(sequence, [-1, sequence.shape[-1]])
