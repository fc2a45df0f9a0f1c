"""Workers and threads: what a machine trains a second as one worker of all its cores, and as workers of one core each.

    python benchmarks/threads.py --corpus DIR

Speaks of wall-clock, and needs an idle machine; see benchmarks/README.md.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import options
from peers.protocol import Workload, target_tokens
from turns import Command, Competitor, ratio, table
from workload import settings_for, write_workload


@dataclass(frozen=True)
class Arrangement:
    """How a machine is shared out.

    Attributes:
        workers: Processes that train at the same time, each a model of its own.
        threads: Of each.
    """

    workers: int
    threads: int

    @property
    def name(self) -> str:
        """What it is called in the table."""
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{workers} of {self.threads} thread{'' if self.threads == 1 else 's'}"


def arrangements(cores: int) -> list[Arrangement]:
    """Return those that are compared on so many cores: one thread, and the two ways to use all."""
    return [Arrangement(1, 1), Arrangement(1, cores), Arrangement(cores, 1)]


def together(competitors: list[Competitor], window: int) -> float:
    """Let all train on a window at the same time; return the seconds until the last is done."""
    for competitor in competitors:
        competitor.ask("train", window=window)
    return max(competitor.answer()["wall"] for competitor in competitors)


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "threads")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores to share out [all]")
    parser.add_argument("--pairs", type=int, default=1280, help="sentence pairs in a round, a multiple of 256")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each trains on other sentences")
    arguments = parser.parse_args()
    compared = arrangements(arguments.cores)
    with options.work_folder(arguments) as work:
        write_workload(
            work, settings_for(arguments.corpus, arguments.vocabulary), arguments.pairs, arguments.rounds + 1
        )
        workload = Workload.read(work)
        tokens = [target_tokens(workload.window(round_)) for round_ in range(1, arguments.rounds + 1)]
        groups = [_start(arrangement, work, index) for index, arrangement in enumerate(compared)]
        try:
            # The first window is for tracing and warming up.
            for group in groups:
                together(group, 0)
            seconds: list[list[float]] = [[] for _ in compared]
            for round_ in range(1, arguments.rounds + 1):
                order = list(range(len(compared)))
                for index in order[::-1] if round_ % 2 else order:
                    seconds[index].append(together(groups[index], round_))
                print(f"round {round_} of {arguments.rounds} done", file=sys.stderr)
        finally:
            for competitor in (one for group in groups for one in group):
                competitor.close()
    print(options.machine(None))
    print(f"\n{arguments.rounds} rounds of {arguments.pairs} sentence pairs for each worker.\n")
    print(table(rows(compared, seconds, tokens)))


def rows(compared: list[Arrangement], seconds: list[list[float]], tokens: list[int]) -> list[tuple[str, ...]]:
    """Return the table, head first.

    Args:
        compared: The arrangements, the first being what the others are measured against.
        seconds: Of each arrangement, what each round took.
        tokens: Target tokens of each round, for one worker.
    """
    made: list[tuple[str, ...]] = [("", "target tokens a second, all workers", f"times {compared[0].name}")]
    # A token's share of the time, so that rounds of several workers compare with those of one.
    costs = [[taken / one.workers for taken in its] for one, its in zip(compared, seconds, strict=True)]
    for one, its in zip(compared, costs, strict=True):
        rate = median(count / cost for count, cost in zip(tokens, its, strict=True))
        made.append((one.name, f"{rate:,.0f}", "" if one is compared[0] else ratio(its, costs[0])))
    return made


def _start(arrangement: Arrangement, work: Path, index: int) -> list[Competitor]:
    command = Command(arrangement.name, Path(sys.executable), "ours_peer.py", ("--threads", str(arrangement.threads)))
    return [
        Competitor(command, work, None, work / f"threads{index}-{worker}.log") for worker in range(arrangement.workers)
    ]


if __name__ == "__main__":
    main()
