"""The decoder with input feeding (Luong et al. 2015, section 3.3): a step reads the attentional vector before it.

So no position can be computed before the one to its left: attention happens inside the loop over time.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from nmt_pbt.tasks.translation.model.attention import Attention
from nmt_pbt.tasks.translation.model.lstm import LSTM, cell, input_projection
from nmt_pbt.tasks.translation.model.scan import Products, Tensors, scan


def decode_with_input_feeding(
    lstms: Sequence[LSTM],
    attention: Attention,
    feed_kernel: tf.Tensor,
    attentional_kernel: tf.Tensor,
    inputs: tf.Tensor,
    initial: Sequence[tuple[tf.Tensor, tf.Tensor]],
    memory: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    recurrent_dropout_masks: Sequence[tf.Tensor] = (),
    layer_dropout_masks: Sequence[tf.Tensor] = (),
    attentional_dropout_mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Run the decoder over a target's prefix.

    The calculation, for each step t of the first layer, where `a` is zero before the first step::

        h, c = cell(x[t] @ kernel + a @ feed_kernel + bias, (h * recurrent_dropout_mask) @ recurrent, c)
        a = tanh([context(h), h] @ attentional_kernel) * attentional_dropout_mask[t]

    Args:
        lstms: The decoder's layers.
        attention: Makes the context of the top layer's h.
        feed_kernel: `[E, 4U]`.
        attentional_kernel: `[3U, E]`.
        inputs: The target's embeddings, `[T, B, E]`.
        initial: h and c of each layer, `[B, U]` each.
        memory: Keys `[B, S, U]`, states `[B, S, M]` and bias `[B, 1, S]` of the source.
        recurrent_dropout_masks: What h is multiplied with before its kernel, `[B, U]`, of each layer; empty for none.
        layer_dropout_masks: What a layer's h is multiplied with before the next, `[T or 1, B, U]`, of each layer but
            the top; empty for none.
        attentional_dropout_mask: `[T, B, E]`; None for none.

    Returns:
        The attentional vectors, `[T, B, E]`.
    """
    keys, states, bias = memory
    kernels = [feed_kernel, lstms[0].recurrent.value]
    shared = lstms[0].cell_weights()
    for lstm in lstms[1:]:
        kernels += [lstm.kernel.value, lstm.recurrent.value]
        shared += lstm.cell_weights()
    own_kernels, memories, own_shared = attention.scan_arguments(keys, states)
    last = len(kernels)
    length = tf.shape(inputs)[0]
    constants = [tf.repeat(mask, length // tf.shape(mask)[0], axis=0) for mask in layer_dropout_masks]
    if attentional_dropout_mask is not None:
        constants.append(attentional_dropout_mask)

    def step(
        products: Products, inputs: Tensors, masks: Tensors, state: Tensors, shared: Tensors
    ) -> tuple[Tensors, Tensors]:
        below, fed = inputs[0], state[0]
        following: Tensors = []
        for layer, lstm in enumerate(lstms):
            h, c = state[1 + 2 * layer : 3 + 2 * layer]
            entering = below + products.kernel(0, fed) if layer == 0 else products.kernel(2 * layer, below)
            recurrent_projection = products.kernel(
                2 * layer + 1, h * recurrent_dropout_masks[layer] if recurrent_dropout_masks else h
            )
            bias_of_cell, normalisation = lstm.split_cell_weights(shared[: lstm.cell_weight_count])
            shared = shared[lstm.cell_weight_count :]
            h, c = cell(input_projection(entering, bias_of_cell, normalisation), recurrent_projection, c, normalisation)
            following += [h, c]
            below = h * masks[layer] if layer_dropout_masks and layer < len(lstms) - 1 else h
        context = attention.attend_step(below, products, last + 1, shared, bias[:, 0])
        attentional = tf.tanh(products.kernel(last, tf.concat([context, below], axis=1)))
        if attentional_dropout_mask is not None:
            attentional *= masks[-1]
        return [attentional], [attentional, *following]

    width = attentional_kernel.shape[1]
    nothing = tf.zeros(tf.stack([tf.shape(inputs)[1], width]))
    outputs, _ = scan(
        step,
        [width],
        inputs=[lstms[0].product(inputs)],
        state=[nothing, *(part for pair in initial for part in pair)],
        kernels=[*kernels, attentional_kernel, *own_kernels],
        memories=memories,
        shared=[*shared, *own_shared],
        constants=constants,
    )
    return outputs[0]
