"""One process of a search in KerasTuner's chief/worker mode: which one it is, is in the environment.

Arguments: the project's folder, seconds to pause in each trial. Each trial that begins is a line in `begun.txt`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from tests.keras.keras_models import Live, search, trials, tuner


class Pauses(Live):
    """Says when a trial begins, and takes its time."""

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        with open(folder / "begun.txt", "a", encoding="utf-8") as file:
            file.write(f"{os.environ['KERASTUNER_TUNER_ID']} {hp.values['pbt/member']} {hp.values['pbt/generation']}\n")
        time.sleep(float(sys.argv[2]))
        return super().fit(hp, model, *args, **kwargs)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    made = tuner(folder, Pauses(), population_size=4, epochs=3, synchronous=True)
    search(made)
    if os.environ["KERASTUNER_TUNER_ID"] == "chief":
        sys.stdout.write(f"trials {len(made.oracle.end_order)} { {trial.status for trial in trials(made)} }\n")
    sys.stdout.write(f"schedule {' '.join(made.schedule()['trial'])}\n")
