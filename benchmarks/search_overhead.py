"""What a PBT search costs besides training and evaluating: nmt-pbt beside rebuilt models and Ray Tune's PBT.

    python benchmarks/search_overhead.py --corpus DIR --tune-python TUNE/bin/python

All run the same model over the same intervals, one at a time on one thread; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

import options
from turns import Command, Competitor, table
from workload import settings_for, write_workload

LIVE = "nmt-pbt, live model"


def commands(arguments: argparse.Namespace) -> list[Command]:
    """Return all searches, those that cannot be run too; ours first."""
    here, tune = Path(sys.executable), arguments.tune_python
    return [
        Command(LIVE, here, "search_peer.py"),
        Command("nmt-pbt, rebuilt for each trial", here, "search_peer.py", ("--rebuild",)),
        Command("Ray Tune, function (as in its guide)", tune, "ray_tune_peer.py"),
        Command("Ray Tune, class and reused actors", tune, "ray_tune_peer.py", ("--live",)),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "search-overhead")
    parser.add_argument(
        "--tune-python",
        type=options.interpreter,
        default=os.environ.get("NMT_PBT_TUNE_PYTHON", sys.executable),
        help="interpreter of an environment with nmt-pbt and ray[tune] [this one, or env: NMT_PBT_TUNE_PYTHON]",
    )
    parser.add_argument("--pairs", type=int, default=5000, help="sentence pairs of an interval")
    parser.add_argument("--population", type=int, default=4, help="members of the population")
    parser.add_argument("--generations", type=int, default=3, help="intervals of each member")
    parser.add_argument("--only", default="", help="only searches whose name holds this, and ours")
    arguments = parser.parse_args()
    changes = {
        "corpus": {"train_pairs": arguments.pairs},
        "training": {"epochs": float(arguments.generations)},
        "search": {
            "methods": ["pbt"],
            "population": arguments.population,
            # Values that leave the cost of an interval as it is, so that intervals can be compared.
            "space": {
                "learning_rate": {"min": 3e-4, "max": 3e-3},
                "dropout": {"min": 0.0, "max": 0.5},
                "recurrent_dropout": {"min": 0.0, "max": 0.5},
            },
        },
    }
    chosen = [
        command
        for command in commands(arguments)
        if command.name == LIVE or arguments.only.lower() in command.name.lower()
    ]
    with options.work_folder(arguments) as work:
        write_workload(work, settings_for(arguments.corpus, arguments.vocabulary, changes), 0, 0)
        absent: dict[str, str] = {}
        found: dict[str, dict[str, Any]] = {}
        for index, command in enumerate(chosen):
            competitor = Competitor(command, work, None, work / f"search{index}.log")
            try:
                if competitor.absent is None:
                    found[command.name] = competitor.call("search")
                else:
                    absent[command.name] = competitor.absent
            finally:
                competitor.close()
            took = f"{found[command.name]['wall']:.1f} s" if command.name in found else "absent"
            print(f"{command.name}: {took}", file=sys.stderr)
    print(options.machine(None))
    print(
        f"\nPopulation {arguments.population}, {arguments.generations} intervals of {arguments.pairs} sentence pairs "
        "each, one at a time, one thread.\n"
    )
    live = found[LIVE]
    # An interval without what happens once, which is tracing: it is in the first one's time, or in all of them.
    once = median(live["intervals"])
    head = (
        "",
        "wall-clock, s",
        "training and evaluating, s",
        "wall / that",
        f"wall / ({len(live['intervals'])} x {once:.1f} s)",
    )
    rows: list[tuple[str, ...]] = [head]
    for name in (command.name for command in chosen):
        if name in absent:
            rows.append((name, absent[name], "", "", ""))
            continue
        answer = found[name]
        work_seconds = sum(answer["intervals"])
        pure = once * len(answer["intervals"])
        wall = answer["wall"]
        rows.append((name, f"{wall:.1f}", f"{work_seconds:.1f}", f"{wall / work_seconds:.3f}", f"{wall / pure:.2f}"))
    print(table(rows))
    print("\nOurs, itemised: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in live["items"].items()))


if __name__ == "__main__":
    main()
