"""Training speed: nmt-pbt beside stock Keras, PyTorch by hand, JoeyNMT and the core's limit; one thread each.

    python benchmarks/train_step.py --corpus DIR --peers-python PEERS/bin/python

All train the same architecture on the same sentences with the same subwords; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import options
from flops import Operations, operations_for
from peers.protocol import Workload, target_tokens
from turns import Command, Competitor, Turns, in_turn, ratio, table
from workload import settings_for, write_workload

RECURRENT_DROPOUT = 0.2
BIG = (2048, 2048, 2048)


@dataclass(frozen=True)
class Entry:
    """A competitor, and which of ours it is compared with."""

    command: Command
    beside: str


def entries(arguments: argparse.Namespace, work: Path) -> list[Entry]:
    """Return all competitors, those that cannot be run too."""
    here, peers = Path(sys.executable), arguments.peers_python
    ours, dropped = "nmt-pbt", f"nmt-pbt, recurrent dropout {RECURRENT_DROPOUT:g}"
    rate = ("--recurrent-dropout", str(RECURRENT_DROPOUT))
    missing = options.NO_PEERS
    full_speed = options.mkl_full_speed(work)
    return [
        Entry(Command(ours, here, "ours_peer.py"), ours),
        Entry(Command(dropped, here, "ours_peer.py", rate), dropped),
        Entry(Command("Keras layers and fit", here, "keras_peer.py"), ours),
        Entry(Command(f"Keras, recurrent dropout {RECURRENT_DROPOUT:g}", here, "keras_peer.py", rate), dropped),
        Entry(Command("Keras, shuffled batches", here, "keras_peer.py", ("--shuffled",)), ours),
        Entry(Command("PyTorch, packed", peers, "torch_peer.py", ("--packed",), hint=missing), ours),
        Entry(Command("PyTorch, padded (oneDNN)", peers, "torch_peer.py", hint=missing), ours),
        Entry(
            Command(
                "PyTorch, padded, MKL unleashed",
                peers if full_speed else None,
                "torch_peer.py",
                preload=full_speed,
                hint=missing if full_speed else options.NO_COMPILER,
            ),
            ours,
        ),
        Entry(Command("JoeyNMT", peers, "joeynmt_peer.py", hint=missing), ours),
        Entry(Command("JoeyNMT, shuffled batches", peers, "joeynmt_peer.py", ("--shuffled",), hint=missing), ours),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "train-step")
    options.add_peers(parser)
    parser.add_argument("--pairs", type=int, default=1280, help="sentence pairs in a round, a multiple of 256")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each trains on other sentences")
    parser.add_argument("--only", default="", help="only competitors whose name holds this, and ours")
    arguments = parser.parse_args()
    with options.work_folder(arguments) as work:
        # The first window is for tracing and warming up, and is not timed.
        write_workload(
            work, settings_for(arguments.corpus, arguments.vocabulary), arguments.pairs, arguments.rounds + 1
        )
        workload = Workload.read(work)
        windows = [workload.window(index) for index in range(arguments.rounds + 1)]
        tokens = [target_tokens(window) for window in windows[1:]]
        chosen = [
            entry
            for entry in entries(arguments, work)
            if arguments.only.lower() in entry.command.name.lower() or entry.command.name == entry.beside
        ]
        limit = Competitor(
            Command("products", Path(sys.executable), "matmul_peer.py"), work, arguments.core, work / "products.log"
        )
        running = {
            entry.command.name: Competitor(entry.command, work, arguments.core, work / f"competitor{index}.log")
            for index, entry in enumerate(chosen)
        }
        turns = {name: Turns() for name in running}
        losses: dict[str, float] = {}
        operations = [
            operations_for(window, workload.settings["vocabulary"], workload.settings["units"])
            for window in windows[1:]
        ]
        floor = [Turns(), Turns()]
        try:
            for competitor in in_turn(list(running.values()), 0):
                competitor.call("train", window=0)
            for round_ in range(arguments.rounds):
                for competitor in in_turn(list(running.values()), round_):
                    answer = competitor.call("train", window=round_ + 1)
                    turns[competitor.name].add(answer)
                    losses[competitor.name] = answer["loss"]
                _measure_floor(limit, operations[round_], workload.settings["units"], floor)
                print(f"round {round_ + 1} of {arguments.rounds} done", file=sys.stderr)
        finally:
            for competitor in [limit, *running.values()]:
                competitor.close()
    per_token = sum(part.total for part in operations) / sum(tokens) / 1e6
    print(options.machine(arguments.core))
    print(f"\n{arguments.rounds} rounds of {arguments.pairs} sentence pairs, {sum(tokens)} target tokens in all.\n")
    head = ("", "target tokens a second", "CPU / wall", "nmt-pbt is so many times as fast", "loss at the end")
    rows = [head]
    for entry in chosen:
        name = entry.command.name
        competitor = running[name]
        if competitor.absent is not None:
            rows.append((name, competitor.absent, "", "", ""))
            continue
        rate = median(count / seconds for count, seconds in zip(tokens, turns[name].cpu, strict=True))
        share = sum(turns[name].cpu) / sum(turns[name].wall)
        compared = "" if name == entry.beside else ratio(turns[entry.beside].cpu, turns[name].cpu)
        rows.append((name, f"{rate:,.0f}", f"{share:.2f}", compared, f"{losses[name]:.3f}"))
    for name, seconds in zip(
        ("limit: large matrix products", "limit: the recurrence's one step at a time"), floor, strict=True
    ):
        rate = median(count / taken for count, taken in zip(tokens, seconds.cpu, strict=True))
        share = sum(seconds.cpu) / sum(seconds.wall)
        rows.append((name, f"{rate:,.0f}", f"{share:.2f}", ratio(turns["nmt-pbt"].cpu, seconds.cpu), ""))
    print(table(rows))
    print(f"\nMatrix products: {per_token:.1f} MFLOP a target token. {options.versions(list(running.values()))}")


def _measure_floor(limit: Competitor, operations: Operations, units: int, floor: list[Turns]) -> None:
    """Measure how long a round's matrix products take, at the speed of large ones and at that of a recurrence's."""
    large = limit.call("multiply", rows=BIG[0], inner=BIG[1], columns=BIG[2], operations=6e10)
    step = limit.call("multiply", rows=64, inner=units, columns=4 * units, operations=2e10)
    seconds = {kind: (large[kind] / large["operations"], step[kind] / step["operations"]) for kind in ("cpu", "wall")}
    floor[0].add({kind: operations.total * fast for kind, (fast, _) in seconds.items()})
    floor[1].add({kind: operations.whole * fast + operations.stepwise * slow for kind, (fast, slow) in seconds.items()})


if __name__ == "__main__":
    main()
