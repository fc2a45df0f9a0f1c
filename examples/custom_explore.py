"""An explore function of one's own, and `PBTOracle` in a tuner of one's own, on the toy of the PBT paper.

Maximise Q = 1.2 - (x**2 + y**2) without being allowed to see it: a member ascends 1.2 - (a*x**2 + b*y**2) instead, and
a and b are its hyperparameters (Jaderberg et al. 2017, figure 2). With a = 1, b = 0 it moves x alone.

    python examples/custom_explore.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

import keras_tuner
import numpy as np

import nmt_pbt
from nmt_pbt.base.types import Value
from nmt_pbt.space.space import Space


def small_steps(values: dict[str, Value], space: Space, random: np.random.Generator) -> Mapping[str, Value]:
    """Move each value by about 0.1, up or down, and keep it in its bounds."""
    moved = dict(values)
    for domain in space.mutable(values):
        moved[domain.name] = domain.clip(float(values[domain.name]) + random.normal(scale=0.1))
    return moved


def doubled_or_halved(values: dict[str, Value], space: Space, random: np.random.Generator) -> Mapping[str, Value]:
    """Multiply each value by 2 or 1/2: what many systems do. 0 times anything is 0."""
    factors = {domain.name: 2.0 if random.random() < 0.5 else 0.5 for domain in space.mutable(values)}
    return {domain.name: domain.clip(float(values[domain.name]) * factors[domain.name]) for domain in space.domains}


class Climber(keras_tuner.Tuner):
    """Trains a point. A trial goes on from where its parent stopped, for so many epochs of 5 steps each."""

    def __init__(self, oracle: keras_tuner.Oracle, **kwargs) -> None:
        super().__init__(oracle=oracle, **kwargs)
        self.reached: dict[str, np.ndarray] = {}

    def run_trial(self, trial, *args, **kwargs):
        """Return the height reached."""
        values = trial.hyperparameters.values
        point = self.reached[values["pbt/parent"]] if values["pbt/parent"] else np.array([0.9, 0.9])
        for _ in range(5 * round(values["search/epochs"])):
            point = point - 0.01 * 2 * np.array([values["a"], values["b"]]) * point
        self.reached[trial.trial_id] = point
        return {"height": 1.2 - float(np.sum(point**2))}


def height(explore, folder: str, name: str) -> float:
    """Return the greatest height that two members reach with an explore function."""
    hp = keras_tuner.HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 0.0, 1.0)
    oracle = nmt_pbt.PBTOracle(
        keras_tuner.Objective("height", "max"),
        population_size=2,
        interval=1,
        epochs=40,
        hyperparameters=hp,
        initial=[{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}],
        explore=explore,
        synchronous=True,
        seed=0,
    )
    tuner = Climber(oracle, directory=folder, project_name=name)
    tuner.search(verbose=0)
    return float(oracle.get_best_trials(1)[0].score)


def main() -> None:
    """Compare ways to explore; the summit is at 1.2."""
    ways = {"small_steps": small_steps, "doubled_or_halved": doubled_or_halved, "perturb": "perturb", "none": None}
    with tempfile.TemporaryDirectory() as folder:
        for name, explore in ways.items():
            print(f"{name:18} {height(explore, folder, name):.3f}")


if __name__ == "__main__":
    main()
