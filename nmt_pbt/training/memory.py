"""However TensorFlow says that memory does not suffice, an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from nmt_pbt.errors import OutOfMemoryError, first_line

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
