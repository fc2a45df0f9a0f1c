"""How many threads TensorFlow uses in this process."""

from __future__ import annotations

import tensorflow as tf

from nmt_pbt.errors import UsageError


def use_threads(threads: int) -> None:
    """Limit TensorFlow to so many threads; has to come before its first operation in a process.

    Args:
        threads: Threads inside one operation and operations at once; 0 leaves all cores to it.

    Raises:
        UsageError: TensorFlow is already running with another number.
    """
    if threads == 0:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        running = tf.config.threading.get_intra_op_parallelism_threads()
        if running != threads:
            raise UsageError(
                f"engine.threads is {threads}, but TensorFlow already runs with {running or 'all cores'} in this "
                "process; start a new process"
            ) from None
