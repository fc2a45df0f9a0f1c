"""A comparison on worker processes, to be killed: `python process_program.py FOLDER WORKERS [SECONDS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from nmt_pbt.run.compare import compare
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.search.methods.registry import METHODS
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.run.cheap import CheapTask, cheap_settings

SEEDS = 2
SETTINGS = (
    f"search.methods=[{','.join(METHODS.names)}]",
    f"search.seeds={SEEDS}",
    "search.population=8",  # that `mf-pbt` can divide
    "search.replay.schedule=[]",
    "search.manual.guesses=[{dropout: 0.1}, {dropout: 0.4}, {learning_rate: 0.001}]",
    "search.bayes.initial_points=2",
)


def settings(workers: int) -> TranslationSettings:
    """Return the settings of a comparison of all methods with two seeds; replays wait for what `pbt` finds."""
    engine = f"engine={{name: {'processes' if workers > 1 else 'inline'}, workers: {workers}}}"
    return cheap_settings(*SETTINGS, engine)


def main(folder: Path, workers: int, seconds: float = 0.0) -> None:
    """Run the comparison, or go on with it."""
    compare(RunDirectory(folder), settings(workers), CheapTask(seconds=seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
