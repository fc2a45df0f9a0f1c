"""Training speed: nmt-pbt beside stock Keras, PyTorch by hand, JoeyNMT and the core's limit; one thread each.

    python benchmarks/train_step.py --corpus DIR --peers-python PEERS/bin/python

All train the same architecture on the same sentences with the same subwords; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import options
from flops import Operations, operations_for
from peers.protocol import Workload, target_tokens
from turns import Command, Competitor, Turns, in_turn, ratio, table
from workload import BATCH_SIZE, settings_for, write_workload

OURS = "nmt-pbt"
RECURRENT_DROPOUT = 0.2
LARGE = 2048


@dataclass(frozen=True)
class Entry:
    """A competitor, and which of ours it is compared with."""

    command: Command
    beside: str


def entries(arguments: argparse.Namespace, work: Path) -> list[Entry]:
    """Return all competitors, those that cannot be run too."""
    here, peers = Path(sys.executable), arguments.peers_python
    ours, dropped = OURS, f"{OURS}, recurrent dropout {RECURRENT_DROPOUT:g}"
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


@dataclass
class Measured:
    """What the rounds brought.

    Attributes:
        tokens: Target tokens of each round.
        operations: Floating-point operations of each round's matrix products.
        turns: Of each competitor, by name.
        losses: Of each competitor in the last round, nats a target token.
        whole: What the matrix products alone would take, at the speed of large ones.
        stepwise: The same, the recurrent ones at the speed of products of their size.
    """

    tokens: list[int] = field(default_factory=list)
    operations: list[Operations] = field(default_factory=list)
    turns: defaultdict[str, Turns] = field(default_factory=lambda: defaultdict(Turns))
    losses: dict[str, float] = field(default_factory=dict)
    whole: Turns = field(default_factory=Turns)
    stepwise: Turns = field(default_factory=Turns)

    def rate(self, turns: Turns) -> tuple[str, str]:
        """Return target tokens a second of CPU, and the share of wall-clock that was CPU."""
        rate = median(count / seconds for count, seconds in zip(self.tokens, turns.cpu, strict=True))
        return f"{rate:,.0f}", f"{sum(turns.cpu) / sum(turns.wall):.2f}"


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "train-step")
    options.add_peers(parser)
    parser.add_argument("--pairs", type=int, default=1280, help="sentence pairs in a round, a multiple of 256")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each trains on other sentences")
    parser.add_argument("--only", default="", help="only competitors whose name holds this, and ours")
    arguments = parser.parse_args()
    with options.work_folder(arguments) as work:
        chosen = [
            entry
            for entry in entries(arguments, work)
            if arguments.only.lower() in entry.command.name.lower() or entry.command.name == entry.beside
        ]
        settings = settings_for(arguments.corpus, arguments.vocabulary)
        # The first window is for tracing and warming up, and is not timed.
        write_workload(work, settings, arguments.pairs, arguments.rounds + 1)
        products = Command("matrix products", Path(sys.executable), "matmul_peer.py")
        limit, *competitors = (
            Competitor(command, work, arguments.core, work / f"competitor{index}.log")
            for index, command in enumerate([products, *(entry.command for entry in chosen)])
        )
        try:
            measured = measure(competitors, limit, Workload.read(work), arguments.rounds)
        finally:
            for competitor in (limit, *competitors):
                competitor.close()
    print(options.machine(arguments.core))
    print(f"\n{arguments.rounds} rounds of {arguments.pairs} sentence pairs, {sum(measured.tokens)} target tokens.\n")
    print(table(rows(chosen, competitors, measured)))
    operations = sum(part.total for part in measured.operations) / sum(measured.tokens)
    print(f"\nMatrix products: {operations / 1e6:.1f} MFLOP a target token. {options.versions(competitors)}")


def measure(competitors: list[Competitor], limit: Competitor, workload: Workload, rounds: int) -> Measured:
    """Let all competitors train in turn.

    Args:
        competitors: All of them.
        limit: The process that does matrix products alone.
        workload: What to train on.
        rounds: How many windows of it, after the first.
    """
    vocabulary, units = workload.settings["vocabulary"], workload.settings["units"]
    measured = Measured()
    for competitor in in_turn(competitors, 0):
        competitor.call("train", window=0)
    for round_ in range(1, rounds + 1):
        window = workload.window(round_)
        measured.tokens.append(target_tokens(window))
        operations = operations_for(window, vocabulary, units)
        measured.operations.append(operations)
        for competitor in in_turn(competitors, round_):
            answer = competitor.call("train", window=round_)
            measured.turns[competitor.name].add(answer)
            measured.losses[competitor.name] = answer["loss"]
        large = limit.call("multiply", rows=LARGE, inner=LARGE, columns=LARGE, operations=6e10)
        small = limit.call("multiply", rows=BATCH_SIZE, inner=units, columns=4 * units, operations=2e10)
        fast = {clock: large[clock] / large["operations"] for clock in ("cpu", "wall")}
        slow = {clock: small[clock] / small["operations"] for clock in ("cpu", "wall")}
        measured.whole.add({clock: operations.total * fast[clock] for clock in fast})
        measured.stepwise.add(
            {clock: operations.whole * fast[clock] + operations.stepwise * slow[clock] for clock in fast}
        )
        print(f"round {round_} of {rounds} done", file=sys.stderr)
    return measured


def rows(chosen: list[Entry], competitors: list[Competitor], measured: Measured) -> list[tuple[str, ...]]:
    """Return the table, head first."""
    made: list[tuple[str, ...]] = [
        ("", "target tokens a second", "CPU / wall", "nmt-pbt is so many times as fast", "loss at the end")
    ]
    for entry, competitor in zip(chosen, competitors, strict=True):
        name = competitor.name
        if competitor.absent is not None:
            made.append((name, competitor.absent, "", "", ""))
            continue
        turns = measured.turns
        compared = "" if name == entry.beside else ratio(turns[entry.beside].cpu, turns[name].cpu)
        made.append((name, *measured.rate(turns[name]), compared, f"{measured.losses[name]:.3f}"))
    for name, floor in (
        ("limit: matrix products at the speed of large ones", measured.whole),
        ("limit: the recurrent ones at the speed of their size", measured.stepwise),
    ):
        made.append((name, *measured.rate(floor), ratio(measured.turns[OURS].cpu, floor.cpu), ""))
    return made


if __name__ == "__main__":
    main()
