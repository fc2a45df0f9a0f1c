"""Decoding speed: the dev split by greedy and beam search, nmt-pbt beside PyTorch by hand and JoeyNMT; one thread each.

    python benchmarks/decode.py --corpus DIR --peers-python PEERS/bin/python

Our model is trained first, for translations of sensible length; the others take over its weights. See
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import fmean, median
from typing import Any

import options
from peers.protocol import Workload
from turns import Command, Competitor, Turns, in_turn, ratio, table
from workload import settings_for, write_workload

from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.scoring.metrics import score_translations

OURS = "nmt-pbt"
WINDOW = 1280
LENGTH_PENALTY = 1.0
BEAMS = (1, 5)


def commands(arguments: argparse.Namespace, work: Path) -> list[Command]:
    """Return all competitors, those that cannot be run too; ours first."""
    peers, missing = arguments.peers_python, options.NO_PEERS
    full_speed = options.mkl_full_speed(work)
    return [
        Command(OURS, Path(sys.executable), "ours_peer.py"),
        Command("PyTorch by hand", peers, "torch_peer.py", ("--packed",), hint=missing),
        Command(
            "PyTorch by hand, MKL unleashed",
            peers if full_speed else None,
            "torch_peer.py",
            ("--packed",),
            preload=full_speed,
            hint=missing if full_speed else options.NO_COMPILER,
        ),
        Command("JoeyNMT", peers, "joeynmt_peer.py", hint=missing),
    ]


def main() -> None:
    """Measure and print the tables."""
    parser = options.parser(__doc__, "decode")
    options.add_peers(parser)
    parser.add_argument("--epochs", type=float, default=3.0, help="how long our model is trained first")
    parser.add_argument("--adapt", type=int, default=4, help=f"windows of {WINDOW} pairs that JoeyNMT trains on then")
    parser.add_argument("--sentences", type=int, help="decode only the first so many sentences of the dev split")
    parser.add_argument("--rounds", type=int, default=5, help="how often all decode")
    arguments = parser.parse_args()
    with options.work_folder(arguments) as work:
        described = write_workload(
            work,
            settings_for(arguments.corpus, arguments.vocabulary, {"corpus": {"dev_pairs": arguments.sentences}}),
            WINDOW,
            arguments.rounds + 1,
        )
        competitors = [
            Competitor(command, work, arguments.core, work / f"competitor{index}.log")
            for index, command in enumerate(commands(arguments, work))
        ]
        try:
            _prepare(competitors, Workload.read(work), arguments)
            turns = {(competitor.name, beam): Turns() for competitor in competitors for beam in BEAMS}
            training, scoring = Turns(), Turns()
            translations: dict[tuple[str, int], list[str]] = {}
            lengths: dict[tuple[str, int], float] = {}
            subwords = Subwords.load((work / "subwords.model").read_bytes())
            for round_ in range(arguments.rounds):
                for competitor in in_turn(competitors, round_):
                    for beam in BEAMS:
                        answer = competitor.call("decode", beam=beam, length_penalty=LENGTH_PENALTY)
                        turns[competitor.name, beam].add(answer)
                        translations[competitor.name, beam] = _texts(answer, subwords, described["dev_order"])
                        lengths[competitor.name, beam] = fmean(map(len, answer["ids"]))
                training.add(competitors[0].call("train", window=round_ + 1))
                scoring.add(competitors[0].call("evaluate"))
                competitors[0].call("load")
                print(f"round {round_ + 1} of {arguments.rounds} done", file=sys.stderr)
        finally:
            for competitor in competitors:
                competitor.close()
    print(options.machine(arguments.core))
    print(f"\n{len(described['dev_target'])} sentences, {arguments.rounds} rounds.\n")
    print(table(_rows(competitors, turns, translations, lengths, described["dev_target"])))
    epoch = median(training.cpu) * described["pairs_per_epoch"] / WINDOW
    score = median(scoring.cpu)
    print(
        f"\nGreedy BLEU of the dev split takes {score:.2f} s, one epoch of training {epoch:.1f} s "
        f"({described['epoch']} pairs): {score / epoch:.1%}.\n{options.versions(competitors)}"
    )


def _prepare(competitors: list[Competitor], workload: Workload, arguments: argparse.Namespace) -> None:
    """Train our model, or take the weights of the last time, and give them to all."""
    ours, *others = competitors
    if not (workload.folder / "weights.npz").exists():
        print(f"training for {arguments.epochs:g} epochs", file=sys.stderr)
        ours.call("learn", pairs=round(arguments.epochs * workload.settings["pairs_per_epoch"]))
        ours.call("save")
    ours.call("load")
    for competitor in in_turn(others, 0):
        competitor.call("load")
        if competitor.name.startswith("JoeyNMT"):
            # Its input feeding is new to the weights, and its decoder starts in another way.
            for window in range(1, min(arguments.adapt, arguments.rounds) + 1):
                competitor.call("train", window=window)
    for competitor in in_turn(competitors, 0):
        for beam in BEAMS:
            competitor.call("decode", beam=beam, length_penalty=LENGTH_PENALTY)
    ours.call("train", window=0)
    ours.call("load")


def _texts(answer: dict[str, Any], subwords: Subwords, order: list[int]) -> list[str]:
    """Return an answer's translations in the order of the dev split."""
    if "texts" in answer:
        return list(answer["texts"])
    texts = [""] * len(order)
    for index, text in zip(order, subwords.decode(answer["ids"]), strict=True):
        texts[index] = text
    return texts


def _rows(
    competitors: list[Competitor],
    turns: dict[tuple[str, int], Turns],
    translations: dict[tuple[str, int], list[str]],
    lengths: dict[tuple[str, int], float],
    references: list[str],
) -> list[tuple[str, ...]]:
    head = (
        *("", "search", "seconds of CPU", "CPU / wall", "nmt-pbt is so many times as fast"),
        *("subwords a translation", "BLEU", "same as ours"),
    )
    rows: list[tuple[str, ...]] = [head]
    for beam in BEAMS:
        for competitor in competitors:
            search = "greedy" if beam == 1 else f"beam {beam}"
            if competitor.absent is not None:
                rows.append((competitor.name, search, competitor.absent, *[""] * (len(head) - 3)))
                continue
            taken = turns[competitor.name, beam]
            found, own = translations[competitor.name, beam], translations[OURS, beam]
            same = sum(left == right for left, right in zip(found, own, strict=True)) / len(own)
            rows.append(
                (
                    competitor.name,
                    search,
                    f"{median(taken.cpu):.2f}",
                    f"{sum(taken.cpu) / sum(taken.wall):.2f}",
                    "" if competitor.name == OURS else ratio(turns[OURS, beam].cpu, taken.cpu),
                    f"{lengths[competitor.name, beam]:.1f}",
                    f"{score_translations(found, references).bleu:.1f}",
                    "" if competitor.name == OURS else f"{same:.1%}",
                )
            )
    return rows


if __name__ == "__main__":
    main()
