"""What it costs to go on with a Keras model from another member's state, and what live models of many widths hold.

python benchmarks/keras_handover.py [--width 1024] [--rounds 20] [--widths 50]

The model has three dense layers of the given width, 3.1 million parameters by default, trained by Adam, and `apply`.
Prints milliseconds of processor time for each part, the median and the worst of all rounds, then how much memory a
search over many widths adds. One thread computes, so that this is wall-clock on an idle machine. The disk's cache is
warm.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"  # as in a worker

import keras
import keras_tuner
import numpy as np
import psutil
from parts import print_parts

from nmt_pbt.base.memory import give_back_memory
from nmt_pbt.run.handover import check_taken_over
from nmt_pbt.run.jobs import StateReference, TrainingJob
from nmt_pbt.run.worker import TrainablePool
from nmt_pbt.tasks.keras.data import FitArguments
from nmt_pbt.tasks.keras.task import KerasTask
from nmt_pbt.tasks.keras.trainable import KerasTrainable
from nmt_pbt.tasks.state import StateStore

PARTS = (
    "read the donor's file, check its hash",
    "check what is to be taken over",
    "copy, compare, own values in force",
)


class Wide(keras_tuner.HyperModel):
    """Three dense layers; counts how often its step was traced."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.traced = 0

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model of a width that is searched, or the one given."""
        width = hp.Int("width", 1, self.width) if "width" in [one.name for one in hp.space] else self.width
        hypermodel = self

        class Counted(keras.Model):
            def train_step(self, *args: Any, **kwargs: Any) -> Any:
                hypermodel.traced += 1
                return super().train_step(*args, **kwargs)

        inputs = hidden = keras.Input((self.width,))
        for _ in range(3):
            hidden = keras.layers.Dense(width, "relu")(hidden)
        model = Counted(inputs, keras.layers.Dense(1)(hidden))
        model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")), "mse")
        return model

    def apply(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> None:
        """Put the learning rate in force."""
        model.optimizer.learning_rate = hp.get("learning_rate")


def task_of(hypermodel: Wide, widths: bool) -> KerasTask:
    """Return a task with little data, in which the width is searched or not."""
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    if widths:
        hp.Int("width", 1, hypermodel.width)
    data = np.ones((64, hypermodel.width), "float32"), np.ones((64, 1), "float32")
    arguments = FitArguments(data, {"validation_data": data, "verbose": 0})
    objective = keras_tuner.Objective("val_loss", "min")
    return KerasTask(hypermodel, hp, arguments, objective, structural=frozenset({"width"} if widths else ()))


def time_handovers(hypermodel: Wide, rounds: int) -> None:
    """Print what a handover between two members costs."""
    trainable = KerasTrainable(task_of(hypermodel, widths=False))
    values = [{"learning_rate": rate} for rate in (1e-3, 2e-3)]
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    with tempfile.TemporaryDirectory() as folder:
        states, saved = StateStore(Path(folder)), []
        for seed, own in enumerate(values):
            trainable.reset(seed)
            trainable.set_hyperparameters(own)
            trainable.train(1)
            saved.append(StateReference(str(seed), states.save(str(seed), trainable.state())))
        size, traced = states.path("0").stat().st_size, hypermodel.traced
        for number in range(rounds):
            start, own = saved[number % 2], values[(number + 1) % 2]
            job = TrainingJob("0", own, 1, start, weights_seed=0, masks_seed=number, order_seed=0, save_as="0")
            donor = timed(times[PARTS[0]], lambda name=start.name, found=start.hash: states.load(name, found))
            trainable.load(donor)
            timed(times[PARTS[1]], lambda job=job, one=donor: check_taken_over(job, trainable, trainable.state(), one))
            timed(times[PARTS[2]], lambda own=own: trainable.set_hyperparameters(own))
            trainable.train(1)
    parameters = trainable.model.count_params()
    print(f"{parameters:,} parameters, a state of {size / 1e6:.1f} MB, {rounds} handovers, one thread.\n")
    print_parts(times)
    print(f"\nTraced meanwhile: {hypermodel.traced - traced} times.")


def timed(times: list[float], do: Callable[[], Any]) -> Any:
    """Return what a function returns, and note how many milliseconds it took."""
    began = time.process_time()
    result = do()
    times.append(1000 * (time.process_time() - began))
    return result


def measure_widths(hypermodel: Wide, widths: int) -> None:
    """Print how much memory a process holds more, after models of many widths were trained one after the other."""
    pool = TrainablePool(task_of(hypermodel, widths=True))
    held, largest = [], 0
    for width in np.linspace(hypermodel.width // 2, hypermodel.width, widths).astype(int):
        values = {"width": int(width), "learning_rate": 1e-3}
        trainable = cast(KerasTrainable, pool.get(values).trainable)
        trainable.reset(0)
        trainable.set_hyperparameters(values)
        trainable.train(1)
        give_back_memory()
        held.append(psutil.Process().memory_info().rss / 1e6)
        largest = 3 * 4 * trainable.model.count_params()  # weights and Adam's two moments, in 32 bits
    print(f"\n{widths} widths from {hypermodel.width // 2} to {hypermodel.width}, one after the other, one epoch each:")
    print(f"the largest model with its optimizer has {largest / 1e6:.0f} MB. The process holds\n")
    print("| after so many widths | MB more than after the first |\n| ---: | ---: |")
    for count in sorted({5, widths // 4, widths // 2, widths}):
        print(f"| {count} | {held[count - 1] - held[0]:.0f} |")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--widths", type=int, default=50)
    arguments = parser.parse_args()
    time_handovers(Wide(arguments.width), arguments.rounds)
    measure_widths(Wide(arguments.width), arguments.widths)


if __name__ == "__main__":
    main()
