"""How many threads TensorFlow uses in this process."""

from __future__ import annotations

import tensorflow as tf


def use_threads(threads: int) -> int:
    """Limit TensorFlow to so many threads. Only the first operation of a process decides: call this before it.

    Args:
        threads: Threads inside one operation, and operations at once; 0 leaves all cores to it.

    Returns:
        The number in force in this process, which is an earlier one where TensorFlow was already running; 0 for all
        cores.
    """
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            pass  # TensorFlow runs already, and its threads cannot be changed any more
    return int(tf.config.threading.get_intra_op_parallelism_threads())
