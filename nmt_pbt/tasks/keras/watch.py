"""What is seen of `fit` while an interval is trained: its epochs, and the weights that the last one ended with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from nmt_pbt.base.errors import UsageError


class Watch(keras.callbacks.Callback):
    """Comes after all other callbacks: counts epochs, and keeps what the last one ended with.

    It also sets the seed of the order of the data: on JAX, the first `fit` of a model draws an order before it trains,
    which later ones do not.

    Args:
        begin: Epochs that the model was trained before.
        end: Epochs that it is to have been trained afterwards.
        order: The seed.
    """

    def __init__(self, begin: int, end: int, order: int) -> None:
        super().__init__()
        self._order = order
        self._begin = begin
        self._end = end
        self.seen = 0
        self.logs: Mapping[str, Any] = {}
        self._weights: list[np.ndarray] = []

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Set the seed, after all other draws; a `fit` of one's own that calls Keras's for each epoch goes on in it."""
        if not self.seen:
            keras.utils.set_random_seed(self._order)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count an epoch, and keep what it ended with."""
        self.seen += 1
        self.logs = dict(logs or {})
        if self.seen >= self._end - self._begin or self.model.stop_training:
            self._weights = _trained(self.model)

    def check(self) -> None:
        """Refuse an interval of another length."""
        planned = self._end - self._begin
        if self.seen > planned:
            raise UsageError(
                f"HyperModel.fit trained {self.seen} epochs where {planned} were planned; let it train from "
                "kwargs['initial_epoch'] to kwargs['epochs'], as Model.fit does"
            )
        if 0 < self.seen < planned:
            raise UsageError(
                f"a callback ended training after {self.seen} of {planned} epochs (EarlyStopping?); in a search each "
                "model trains its whole interval, so leave that callback out"
            )

    def weights_changed(self, model: keras.Model) -> bool:
        """Return whether the trained weights are no longer those that the last epoch ended with."""
        if not self._weights:
            return False
        return not all(
            np.array_equal(before, after, equal_nan=True)
            for before, after in zip(self._weights, _trained(model), strict=True)
        )

    def restore(self, model: keras.Model) -> None:
        """Give a model the weights that the last epoch ended with."""
        for variable, array in zip(model.trainable_variables, self._weights, strict=True):
            variable.assign(array)


def _trained(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable), np.float64) for variable in model.trainable_variables]
