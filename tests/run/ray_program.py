"""A driver on two Ray workers in a process of its own, to be killed: `python ray_program.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from nmt_pbt.run.ray_engine import RayEngine
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, cheap_settings, opened, search

SETTINGS = cheap_settings("search.pbt.synchronous=true")
SECONDS = 0.6


def main(folder: Path) -> None:
    task = CheapTask(seconds=SECONDS)
    engine = RayEngine(task, StateStore(folder / "states"), workers=2)
    while len(engine.workers) < 2:
        engine.wait()
    print(*engine.processes.values(), flush=True)  # noqa: T201 - the test reads it
    with opened(folder) as journal:
        search("pbt", SETTINGS, task, engine, journal)
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
