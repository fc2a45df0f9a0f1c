"""A run of Keras models: how TensorFlow computes in it, and the models it keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import keras

from nmt_pbt.base.errors import StateError
from nmt_pbt.base.types import Value
from nmt_pbt.tasks.kept_model import revived
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.keras.trainable import KerasTrainable
from nmt_pbt.tasks.state import StateStore


def one_thread_each() -> None:
    """Let TensorFlow take one thread in this process, as in workers, where it has not begun to work yet."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")


def load_model(
    task: KerasTask, folder: Path, names: Iterator[tuple[Path, str]], values: Mapping[str, Value], content: str
) -> keras.Model:
    """Build a model and give it a saved state.

    Args:
        task: Builds it.
        folder: The run's.
        names: Folders and names under which the state may be.
        values: The hyperparameters.
        content: The state's content hash.

    Raises:
        StateError: The state is not kept.
    """
    for where, name in names:
        store = StateStore(where)
        if store.problem(name, content) is None:
            return cast(KerasTrainable, revived(task, values, store.load(name, content))).model
    raise StateError(f"{folder}: this state is no longer kept; ask for fewer models")
