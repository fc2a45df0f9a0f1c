"""Where the time of a training step goes, by TensorFlow's profiler, on one thread.

python benchmarks/profile_step.py --corpus DIR
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import options
from flops import operations_for
from peers.protocol import Workload, target_tokens
from turns import Command, Competitor, table
from workload import settings_for, write_workload

LOOP = "/body/"
"""What the names of operations in a loop over time have in them."""
PARTS = (
    # title, whether in a loop over time (None: either), a word in the operation's type
    ("matrix products over all positions", False, "MatMul"),
    ("matrix products of one time step", True, "MatMul"),
    ("all else in the loops over time", True, ""),
    ("random bits for dropout", None, "Random"),
    ("softmax", None, "Softmax"),
    ("Adam", None, "Adam"),
    ("gradients of embeddings and picked logits", None, "SegmentSum"),
    ("gradients of embeddings and picked logits", None, "Scatter"),
    ("other operations", None, ""),
)


def part_of(name: str, kind: str) -> str:
    """Return the title that an operation's time is put under.

    Args:
        name: The operation's name in the graph.
        kind: Its type.
    """
    for title, in_loop, word in PARTS:
        if word in kind and in_loop in (None, LOOP in name):
            return title
    raise AssertionError("the last part takes all")


def rows(operations: Iterable[tuple[str, str, int, float]], steps: int, seconds: float) -> list[tuple[str, ...]]:
    """Return the table, head first.

    Args:
        operations: Name, type, how often it ran, and seconds in all, of each.
        steps: Training steps.
        seconds: What they took in all.
    """
    times: defaultdict[str, int] = defaultdict(int)
    taken: defaultdict[str, float] = defaultdict(float)
    for name, kind, count, spent in operations:
        times[part_of(name, kind)] += count
        taken[part_of(name, kind)] += spent
    # Between operations: the executor, and operations too short for the profiler.
    taken["starting operations, and very short ones"] = seconds - sum(taken.values())
    made: list[tuple[str, ...]] = [("", "ms a step", "share", "operations a step")]
    for title in dict.fromkeys([*(part[0] for part in PARTS), *taken]):
        count = f"{times[title] / steps:.0f}" if times[title] else ""
        made.append((title, f"{1e3 * taken[title] / steps:.1f}", f"{taken[title] / seconds:.1%}", count))
    return made


def real_share(batches: list[tuple[np.ndarray, np.ndarray]], side: int) -> float:
    """Return how many of the batches' positions are no pads; side 0 is the source, 1 the target."""
    return sum(np.count_nonzero(batch[side]) for batch in batches) / sum(batch[side].size for batch in batches)


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "profile-step")
    options.add_core(parser)
    parser.add_argument("--pairs", type=int, default=2560, help="sentence pairs to train on, a multiple of 256")
    arguments = parser.parse_args()
    with options.work_folder(arguments) as work:
        write_workload(work, settings_for(arguments.corpus, arguments.vocabulary), arguments.pairs, 2)
        command = Command("nmt-pbt", Path(sys.executable), "profile_peer.py")
        competitor = Competitor(command, work, arguments.core, work / "profile.log")
        try:
            competitor.call("train", window=0)
            plain = competitor.call("train", window=1)
            profiled: dict[str, Any] = competitor.call("profile", window=1)
        finally:
            competitor.close()
        workload = Workload.read(work)
        batches = workload.window(1)
    print(options.machine(arguments.core))
    print(
        f"\n{len(batches)} steps, {plain['cpu']:.2f} s of CPU; under the profiler {profiled['cpu']:.2f} s of CPU, "
        f"{profiled['wall']:.2f} s of wall-clock, which the table is of.\n"
    )
    print(table(rows(profiled["operations"], len(batches), profiled["wall"])))
    source, target = (real_share(batches, side) for side in (0, 1))
    needed = operations_for(batches, workload.settings["vocabulary"], workload.settings["units"]).total
    taken = sum(seconds for _, kind, _, seconds in profiled["operations"] if "MatMul" in kind)
    print(
        f"\n{target_tokens(batches) / len(batches):.0f} target tokens a step. Its matrix products need "
        f"{needed / len(batches) / 1e9:.1f} GFLOP on real positions, and do {needed / taken / 1e9:.0f} GFLOP a second."
    )
    print(f"Of all positions {source:.1%} of the source's and {target:.1%} of the target's are no pads.")


if __name__ == "__main__":
    main()
