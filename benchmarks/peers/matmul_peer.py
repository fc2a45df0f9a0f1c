"""The core's limit: matrix products alone, by TensorFlow."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from protocol import Calls, Stopwatch, Workload, serve


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """See `protocol.serve`."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    @tf.function(autograph=False)
    def products(left: Any, right: Any, count: Any) -> Any:
        # In a loop inside the graph, as in a recurrence, so that calling TensorFlow costs nothing.
        def body(i: Any, total: Any) -> Any:
            return i + 1, total + tf.matmul(left + tf.cast(i, tf.float32), right)[0, 0]

        return tf.while_loop(lambda i, _: i < count, body, (0, 0.0))[1]

    def multiply(rows: int, inner: int, columns: int, operations: float) -> Mapping[str, Any]:
        """Multiply `[rows, inner]` by `[inner, columns]` for about so many floating-point operations."""
        left, right = tf.random.normal([rows, inner]), tf.random.normal([inner, columns])
        once = 2.0 * rows * inner * columns
        count = max(1, round(operations / once))
        products(left, right, tf.constant(1))
        stopwatch = Stopwatch()
        products(left, right, tf.constant(count)).numpy()
        return {**stopwatch.read(), "operations": count * once}

    return {"multiply": multiply}


if __name__ == "__main__":
    serve(["tensorflow"], build)
