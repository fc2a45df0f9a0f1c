"""However TensorFlow says that memory does not suffice, an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

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


def graph_function(function: Callable[..., Any], signature: Sequence[tf.TensorSpec]) -> Any:
    """Return a function of one model as a TensorFlow graph, traced once.

    Args:
        function: What it computes.
        signature: Shapes and types of its arguments.
    """
    # TensorFlow counts tracings by code, which models of different shapes share: a few of them, one after the other,
    # would look like one function that is traced again and again, which it warns of. A partial is counted by itself.
    return tf.function(partial(function), input_signature=signature, autograph=False)


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
