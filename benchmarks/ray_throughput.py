"""Sentence pairs a second: two Ray workers of one thread each, beside one worker of one thread in one process.

    python benchmarks/ray_throughput.py --corpus DIR --seconds 330

Both train the same search: asynchronous PBT on the same corpus and model. They run in turn, `--rounds` times, each for
`--seconds` from its first trial on; a run is stopped by SIGTERM and gone on with in the next round. Throughput is read
from the journals: pairs of all intervals that ended, by the time from the first trial to the end of the last interval.
What a worker needs to start (importing, building, tracing) is in it; the second figure leaves each worker's first
interval out. The machine has to be idle, with a core for each worker; the load is printed beside the figures.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import JournalError
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated


@dataclass(frozen=True)
class Setup:
    """One way to run the search: its name, its number of workers, and arguments of `nmt-pbt compare`."""

    name: str
    workers: int
    arguments: tuple[str, ...]


SETUPS = (
    Setup("one worker, in this process", 1, ("--engine=inline", "--workers=1")),
    Setup("two Ray workers", 2, ("--engine=ray", "--workers=2")),
)


@dataclass(frozen=True)
class Slice:
    """What one segment of a run trained.

    Attributes:
        pairs: Sentence pairs.
        seconds: From the first trial given out to the end of the last interval.
        steady_pairs: Pairs without each worker's first interval.
        steady_seconds: From when the last worker ended its first interval.
        busy: Seconds that all workers together spent on intervals.
    """

    pairs: int
    seconds: float
    steady_pairs: int
    steady_seconds: float
    busy: float


def measure(records: list[AnyRecord], began: float) -> Slice:
    """Read off the journal what was trained since a moment.

    Args:
        records: The journal.
        began: When the first trial was given out, or given out again after a stop; seconds since the epoch.
    """
    worker_of = {record.trial: record.worker for record in records if isinstance(record, Assigned)}
    spent = 0
    ended: list[tuple[float, str, int, float]] = []
    for record in records:
        if isinstance(record, Evaluated):
            seconds = record.seconds
            busy = seconds.load + seconds.train + seconds.evaluate + seconds.save
            if record.time > began:
                ended.append((record.time, worker_of[record.trial], record.spent_pairs - spent, busy))
            spent = record.spent_pairs
    first: dict[str, float] = {}
    for moment, worker, _, _ in ended:
        first.setdefault(worker, moment)
    steady_from = max(first.values())
    return Slice(
        pairs=sum(pairs for _, _, pairs, _ in ended),
        seconds=ended[-1][0] - began,
        steady_pairs=sum(pairs for moment, _, pairs, _ in ended if moment > steady_from),
        steady_seconds=ended[-1][0] - steady_from,
        busy=sum(busy for _, _, _, busy in ended),
    )


def run(setup: Setup, folder: Path, options: list[str], seconds: float) -> Slice:
    """Run, or go on with, a search for some time.

    Args:
        setup: How.
        folder: The run's folder.
        options: What both ways have in common.
        seconds: From the first trial on.
    """
    resumed = folder.exists()
    where = [f"--resume={folder}"] if resumed else [f"--out={folder}", *options]
    command = [sys.executable, "-m", "nmt_pbt", "compare", "--methods=pbt", *where, *setup.arguments]
    began: float | None = None
    known = len(_records(folder))
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        while process.poll() is None:
            time.sleep(0.5)
            records = _records(folder)
            if began is None and len(records) > known:
                # After a stop, what was in flight is given out again without a record: the first new one ends it.
                new = [record for record in records[known:] if isinstance(record, Assigned | Evaluated)]
                began = new[0].time if new else None
            if began is not None and time.time() - began > seconds:
                process.send_signal(signal.SIGTERM)
                process.wait()
        if process.returncode != 130 or began is None:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: ended by itself\n{log.read().decode(errors='replace')[-2000:]}")
    return measure(_records(folder), began)


def _records(folder: Path) -> list[AnyRecord]:
    try:
        return read_journal(folder / "journal.jsonl")
    except JournalError:
        return []  # not begun yet


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="toy", help="a corpus of `nmt-pbt data list`, or a folder")
    parser.add_argument("--seconds", type=float, default=330.0, help="of each run in each round")
    parser.add_argument("--rounds", type=int, default=1, help="how often the runs take turns")
    parser.add_argument("--interval", type=float, default=2.0, help="epochs between two evaluations")
    parser.add_argument("--dev-pairs", type=int, default=50, help="dev sentences to decode at each evaluation")
    parser.add_argument("--work", type=Path, help="folder to keep the runs in")
    arguments = parser.parse_args()
    options = [
        f"--corpus={arguments.corpus}",
        f"--set=corpus.dev_pairs={arguments.dev_pairs}",
        "--set=training.epochs=10000",
        f"--set=search.interval={arguments.interval}",
        "--set=search.population=4",
        "--set=search.pbt.synchronous=false",
        # Values that leave the cost of an interval as it is.
        "--set=search.space={learning_rate: {min: 3.0e-4, max: 3.0e-3, scale: log}, dropout: {min: 0.1, max: 0.4}}",
        "--set=engine.threads=1",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        slices: dict[str, list[Slice]] = {setup.name: [] for setup in SETUPS}
        loads = []
        for _ in range(arguments.rounds):
            for number, setup in enumerate(SETUPS):
                slices[setup.name].append(run(setup, work / f"run{number}", options, arguments.seconds))
                loads.append(os.getloadavg()[0])
                print(f"{setup.name}: {slices[setup.name][-1]}", file=sys.stderr)
    print(f"{os.cpu_count()} processors, load after each run {', '.join(f'{load:.1f}' for load in loads)}\n")
    print("| | workers | seconds | pairs/s | pairs/s without first intervals | busy |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    rates = []
    for setup in SETUPS:
        found = slices[setup.name]
        seconds, steady = sum(one.seconds for one in found), sum(one.steady_seconds for one in found)
        rates.append((sum(one.pairs for one in found) / seconds, sum(one.steady_pairs for one in found) / steady))
        busy = sum(one.busy for one in found) / seconds / setup.workers
        print(
            f"| {setup.name} | {setup.workers} | {seconds:.0f} | {rates[-1][0]:.1f} | {rates[-1][1]:.1f} | {busy:.1%} |"
        )
    print(f"\nTwo by one: {rates[1][0] / rates[0][0]:.2f}; without first intervals {rates[1][1] / rates[0][1]:.2f}")


if __name__ == "__main__":
    main()
