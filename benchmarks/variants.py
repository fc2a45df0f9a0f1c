"""What choices in our training step are worth: nmt-pbt beside itself with one thing done otherwise; one thread each.

    python benchmarks/variants.py --corpus DIR

Its tables are in docs/performance.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

import options
from peers.protocol import Workload, target_tokens
from turns import Command, Competitor, Turns, in_turn, ratio, table
from workload import settings_for, write_workload

AS_IT_IS, SEEN = "as it is", "the same batches a second time"
VARIANTS = {
    "as-it-is": AS_IT_IS,
    "automatic-gradient": "the recurrence's gradient by TensorFlow",
    "without-onednn": "without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)",
    "without-grappler": "without Grappler's rewriting of the graph",
    "one-iteration-at-a-time": "loops with parallel_iterations=1",
    "xla-recurrence": "the recurrence compiled by XLA",
    "keep-memory": "freed memory is not given back to the system",
    "bfloat16": "Grappler's bfloat16 for oneDNN",
}
"""Of `peers/variant_peer.py`, and what they are called in the table."""


def main() -> None:
    """Measure and print the table."""
    parser = options.parser(__doc__, "variants")
    options.add_core(parser)
    parser.add_argument("--pairs", type=int, default=1280, help="sentence pairs in a round, a multiple of 256")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each trains on other sentences")
    parser.add_argument("--only", default="", help="only variants whose name holds this, and what is measured against")
    arguments = parser.parse_args()
    chosen = {option: name for option, name in VARIANTS.items() if name == AS_IT_IS or arguments.only in option}
    turns = {name: Turns() for name in (*chosen.values(), SEEN)}
    losses: dict[str, float] = {}
    first: dict[str, float] = {}
    with options.work_folder(arguments) as work:
        write_workload(
            work, settings_for(arguments.corpus, arguments.vocabulary), arguments.pairs, arguments.rounds + 1
        )
        workload = Workload.read(work)
        tokens = [target_tokens(workload.window(round_)) for round_ in range(1, arguments.rounds + 1)]
        competitors = [
            Competitor(
                Command(name, Path(sys.executable), "variant_peer.py", ("--variant", option)),
                work,
                arguments.core,
                work / f"variant-{option}.log",
            )
            for option, name in chosen.items()
        ]
        try:
            for competitor in competitors:
                first[competitor.name] = competitor.call("train", window=0)["cpu"]
            for round_ in range(1, arguments.rounds + 1):
                for competitor in in_turn(competitors, round_):
                    answer = competitor.call("train", window=round_)
                    turns[competitor.name].add(answer)
                    losses[competitor.name] = answer["loss"]
                # No batch of this is of a shape that is new to oneDNN and to the allocator.
                turns[SEEN].add(competitors[0].call("train", window=round_))
                print(f"round {round_} of {arguments.rounds} done", file=sys.stderr)
        finally:
            for competitor in competitors:
                competitor.close()
    print(options.machine(arguments.core))
    print(f"\n{arguments.rounds} rounds of {arguments.pairs} sentence pairs.\n")
    head = ("", "target tokens a second", "times as it is", "first round, s", "loss at the end")
    rows: list[tuple[str, ...]] = [head]
    for name in turns:
        taken = turns[name].cpu
        rate = median(count / seconds for count, seconds in zip(tokens, taken, strict=True))
        compared = "" if name == AS_IT_IS else ratio(taken, turns[AS_IT_IS].cpu)
        once = f"{first[name]:.1f}" if name in first else ""
        rows.append((name, f"{rate:,.0f}", compared, once, f"{losses[name]:.3f}" if name in losses else ""))
    print(table(rows))


if __name__ == "__main__":
    main()
