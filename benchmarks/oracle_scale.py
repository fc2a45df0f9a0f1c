"""What a decision of the PBT oracle costs, and what a trial takes of memory, as trials pile up.

    python benchmarks/oracle_scale.py --population 1000 --trials 100000

Nothing is trained: the oracle is driven through create_trial, update_trial and end_trial, as the experiment's driver
does, by as many workers as asked for, which finish in random order. Times are of this process's CPU, so that a busy
machine does not show in them. Memory is what the process grew by.
"""

from __future__ import annotations

import argparse
import gc
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.pbt import JournaledPBTOracle
from nmt_pbt.search.population.exploit import Backtrack, Exploit, Tournament, Truncation, TTest
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.tasks.translation.scoring.bootstrap import Bootstrap
from nmt_pbt.tasks.translation.scoring.significance import pack_counts
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

STRATEGIES: dict[str, Callable[[int], Exploit]] = {
    "truncation": lambda size: Truncation(),
    "tournament": lambda size: Tournament(),
    "ttest": lambda size: TTest(),
    "bootstrap": lambda size: Bootstrap(),
    "backtrack": lambda size: Backtrack(),
    "frequencies": lambda size: MultiFrequency(size, (1, 4)),
}
STAGES = 5
SENTENCES = 1000
"""Of the dev split, for `bootstrap`: its memory is the population's, 80 kB for each state that can still be needed."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--population", type=int, default=1000, help="members")
    parser.add_argument("--trials", type=int, default=100_000, help="intervals given out in all")
    parser.add_argument("--workers", type=int, default=100, help="trials under way at once")
    parser.add_argument("--exploit", choices=STRATEGIES, default="truncation", help="who adopts whom")
    parser.add_argument("--synchronous", action="store_true", help="all finish a generation before any decides")
    arguments = parser.parse_args()
    epochs = float(-(-arguments.trials // arguments.population))
    oracle = JournaledPBTOracle(
        budget=Budget.for_trials(arguments.population, epochs, pairs_per_epoch=1, interval_epochs=1.0),
        space=TranslationSettings().search_plan().space,
        objective=keras_tuner.Objective("val_bleu", "max"),
        population_size=arguments.population,
        interval=1.0,
        epochs=epochs,
        exploit=STRATEGIES[arguments.exploit](arguments.population),
        explore=Perturb(),
        synchronous=arguments.synchronous,
        seed=0,
    )
    mode = "synchronous" if arguments.synchronous else "asynchronous"
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"population {arguments.population}, {arguments.workers} workers, {arguments.exploit}, {mode}")
    print(
        f"{'trials':>9} {'create':>8} {'update':>8} {'end':>8} {'decision':>9} {'99%':>8} {'needed':>8} {'memory':>9}"
    )
    print(f"{'':>9} {'ms':>8} {'ms':>8} {'ms':>8} {'ms':>9} {'ms':>8} {'ms':>8} {'B/trial':>9}")
    drive(oracle, arguments.trials, arguments.workers)


def drive(oracle: JournaledPBTOracle, trials: int, workers: int) -> None:
    """Run the search, printing a row for each stage of it."""
    random = np.random.default_rng(0)
    busy: list[tuple[str, Any]] = []
    idle = [f"worker{number}" for number in range(workers)]
    times: list[tuple[float, float, float]] = []
    ended = 0
    before, grown_from = memory(), 0
    while True:
        while idle:
            begun = time.process_time()
            trial = oracle.create_trial(idle[-1])
            spent = time.process_time() - begun
            if trial.status != "RUNNING":
                break
            busy.append((idle.pop(), (trial, spent)))
        if not busy:
            return
        worker, (trial, created) = busy.pop(int(random.integers(len(busy))))
        idle.append(worker)
        score = float(random.normal())
        metrics = {"val_bleu": score, "val_chrf": 2 * score, "val_loss": -score, "train_loss": -score}
        times.append((created, *finish(oracle, trial, metrics)))
        ended += 1
        if ended % max(1, trials // STAGES) == 0:
            now = memory()
            row(oracle, ended, np.array(times), (now - before) / (ended - grown_from))
            times, before, grown_from = [], now, ended


def finish(oracle: JournaledPBTOracle, trial: Any, metrics: dict[str, float]) -> tuple[float, float]:
    """Report a trial and end it; return the seconds of both."""
    counts = sentence_counts(metrics["val_bleu"]) if oracle.needs_evidence is not None else None
    begun = time.process_time()
    oracle.update_trial(trial.trial_id, metrics, step=1)
    if counts is not None:
        oracle.report_evidence(trial.trial_id, pack_counts(counts))
    updated = time.process_time()
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return updated - begun, time.process_time() - updated


def sentence_counts(score: float) -> np.ndarray:
    """Return counts of translations that are the better the higher a score is, [sentences, 10]."""
    lengths = np.full((SENTENCES, 1), 12)
    totals = lengths - np.arange(4)
    share = 1 / (1 + np.exp(-score)) / (1 + np.arange(4))
    matches = np.random.default_rng(0).binomial(totals, share)
    return np.concatenate([lengths, lengths, matches, totals], axis=1)


def row(oracle: JournaledPBTOracle, ended: int, times: np.ndarray, grown: float) -> None:
    """Print what the latest stage cost."""
    begun = time.process_time()
    for _ in range(10):
        oracle.needed()
    needed = (time.process_time() - begun) / 10
    create, update, end = 1e3 * times.mean(axis=0)
    slowest = 1e3 * np.quantile(times.sum(axis=1), 0.99)
    print(
        f"{ended:>9,} {create:>8.3f} {update:>8.3f} {end:>8.3f} {create + update + end:>9.3f} {slowest:>8.3f} "
        f"{1e3 * needed:>8.3f} {grown:>9.0f}",
        flush=True,
    )


def memory() -> int:
    """Return the bytes this process has in memory."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
