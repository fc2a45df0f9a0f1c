"""nmt-pbt's training with one thing done otherwise, to see what that thing is worth."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

import ours_peer
from protocol import Calls, Workload, serve


def _without_onednn() -> None:
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"


def _bfloat16() -> None:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})


def _without_grappler() -> None:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _one_iteration_at_a_time() -> None:
    import tensorflow as tf

    from nmt_pbt.tasks.translation.model import lstm

    def over_time(length: Any, reverse: bool, step: Any, h: Any, c: Any, arrays: Any) -> Any:
        first = length - 1 if reverse else tf.zeros_like(length)
        going = (lambda t, *_: t >= 0) if reverse else (lambda t, *_: t < length)
        return tf.while_loop(going, step, (first, h, c, arrays), parallel_iterations=1)

    lstm._over_time = over_time


def _automatic_gradient() -> None:
    import tensorflow as tf

    from nmt_pbt.tasks.translation.model import lstm

    def recurrence(
        projected: Any, kernel: Any, h: Any, c: Any, mask: Any = None, real: Any = None, reverse: bool = False
    ) -> Any:
        last = tf.fill(tf.shape(h)[:1], 0 if reverse else tf.shape(projected)[0] - 1)
        if real is not None:
            hold = tf.repeat(tf.constant([-lstm.HOLD, lstm.HOLD, -lstm.HOLD, 0.0]), kernel.shape[0])
            projected = tf.where(real[..., None], projected, hold)
            if not reverse:
                last = tf.reduce_sum(tf.cast(real, tf.int32), axis=0) - 1
        states, last_c, _ = lstm._forward(projected, tf.convert_to_tensor(kernel), h, c, mask, reverse)
        return states, tf.gather_nd(states, tf.stack([last, tf.range(tf.shape(last)[0])], axis=1)), last_c

    lstm.recurrence = recurrence


def _compiled_recurrence() -> None:
    import tensorflow as tf

    from nmt_pbt.tasks.translation.model import lstm

    plain = lstm.recurrence

    def compiled(*arguments: Any) -> Any:
        return tf.function(lambda: plain(*arguments), jit_compile=True, autograph=False)()

    lstm.recurrence = compiled


def _keep_memory() -> None:
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    for threshold in (trim_threshold, mmap_threshold):
        ctypes.CDLL("libc.so.6").mallopt(threshold, 2**30)


VARIANTS: Mapping[str, Callable[[], None]] = {
    "as-it-is": lambda: None,
    "automatic-gradient": _automatic_gradient,
    "without-onednn": _without_onednn,
    "without-grappler": _without_grappler,
    "one-iteration-at-a-time": _one_iteration_at_a_time,
    "xla-recurrence": _compiled_recurrence,
    "keep-memory": _keep_memory,
    "bfloat16": _bfloat16,
}


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build the trainable; see `protocol.serve`."""
    VARIANTS[arguments.variant]()
    return ours_peer.build(workload, arguments)


def _add_options(parser: argparse.ArgumentParser) -> None:
    ours_peer.add_options(parser)
    parser.add_argument("--variant", choices=VARIANTS, required=True)


if __name__ == "__main__":
    serve(["tensorflow", "keras"], build, _add_options)
