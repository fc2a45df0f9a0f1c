"""What a handover costs: one live model goes on from another's saved state, checked.

python benchmarks/handover.py [--config FILE] [--corpus DIR] [--rounds 20]

Prints milliseconds for each part, the median and the worst of all rounds. The disk's cache is warm.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from parts import print_parts

from nmt_pbt.run.handover import check_in_force, check_taken_over
from nmt_pbt.run.jobs import StateReference, TrainingJob
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.corpus.prepared import check, prepare
from nmt_pbt.tasks.translation.model.runtime import use_threads
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask

PARTS = (
    "read the donor's file, check its hash",
    "copy into the live model",
    "copy out again and hash: what the check adds",
    "own values in force, read back",
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="settings whose model is handed over")
    parser.add_argument("--corpus", help="a corpus by name, or a folder; without it, that of the settings")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    overrides = {"corpus.name": arguments.corpus} if arguments.corpus else {}
    settings = load_settings(arguments.config, overrides={**overrides, "corpus.train_pairs": 1000})
    use_threads(1)
    text, subwords = check(settings.corpus, settings.seed)
    trainable = TranslationTask(settings, prepare(text, subwords, settings.corpus)).build({})
    values = [{"dropout": rate, "learning_rate": rate / 100} for rate in (0.1, 0.2)]
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    with tempfile.TemporaryDirectory() as folder:
        states, saved = StateStore(Path(folder)), []
        for seed, own in enumerate(values):
            trainable.reset(seed)
            trainable.set_hyperparameters(own)
            trainable.train(64)
            saved.append(StateReference(str(seed), states.save(str(seed), trainable.state())))
        size = states.path("0").stat().st_size
        for number in range(arguments.rounds):
            start, own = saved[number % 2], values[(number + 1) % 2]
            job = TrainingJob("0", own, 64, start, weights_seed=0, masks_seed=number, order_seed=0, save_as="0")
            donor = _timed(times[PARTS[0]], lambda name=start.name, found=start.hash: states.load(name, found))
            _timed(times[PARTS[1]], lambda state=donor: trainable.load(state))
            _timed(
                times[PARTS[2]], lambda job=job, state=donor: check_taken_over(job, trainable, trainable.state(), state)
            )

            def own_values(job: TrainingJob = job) -> None:
                trainable.set_hyperparameters(job.values)
                trainable.reorder(job.order_seed)
                trainable.reseed(job.masks_seed or 0)
                check_in_force(job, trainable, frozenset())

            _timed(times[PARTS[3]], own_values)
    parameters = sum(int(variable.value.shape.num_elements()) for variable in trainable.model.trainable_variables)
    print(f"{parameters:,} parameters, a state of {size / 1e6:.1f} MB, {arguments.rounds} handovers, one thread.\n")
    print_parts(times)


def _timed(times: list[float], do: Callable[[], object]) -> object:
    began = time.perf_counter()
    result = do()
    times.append(1000 * (time.perf_counter() - began))
    return result


if __name__ == "__main__":
    main()
