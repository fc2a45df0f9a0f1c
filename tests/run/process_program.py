"""A comparison on worker processes, to be killed: `python process_program.py FOLDER WORKERS [SECONDS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from nmt_pbt.run.compare import compare
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.tree import TranslationSettings
from tests.run.cheap import CheapTask, cheap_settings

METHODS = "search.methods=[pbt,random,bayes,hyperband,exploit-only,replay]"


def settings(workers: int) -> TranslationSettings:
    """Return the settings of a comparison of six methods with two seeds; `replay` waits for what `pbt` finds."""
    engine = f"engine={{name: {'processes' if workers > 1 else 'inline'}, workers: {workers}}}"
    return cheap_settings(METHODS, "search.seeds=2", "search.replay.schedule=[]", engine)


def main(folder: Path, workers: int, seconds: float = 0.0) -> None:
    """Run the comparison, or go on with it."""
    compare(RunDirectory(folder), settings(workers), CheapTask(seconds=seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
