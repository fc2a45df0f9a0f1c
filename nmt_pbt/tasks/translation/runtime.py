"""However TensorFlow says that memory does not suffice, an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from nmt_pbt.base.errors import OutOfMemoryError, first_line

_ONEDNN = "exception:Status: 1,"  # dnnl_out_of_memory, of what oneDNN allocates by itself


@contextmanager
def fitting_into_memory(what: str, advice: str) -> Iterator[None]:
    """Do what may not fit into memory.

    Args:
        what: What is to fit, for the error.
        advice: What to do when it does not.

    Raises:
        OutOfMemoryError: It does not.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.AbortedError, MemoryError) as error:
        why = first_line(error, "no more is to be had")
        if isinstance(error, tf.errors.AbortedError) and _ONEDNN not in why:
            raise
        raise OutOfMemoryError(f"{what} does not fit into memory ({why}); {advice}") from None


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
