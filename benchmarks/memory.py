"""Where the memory goes: a worker's by stage, and that of a large corpus with several workers. Linux only.

python benchmarks/memory.py --corpus DIR [--config FILE] [--epochs 3]      one worker, stage by stage
python benchmarks/memory.py --pairs 1000000 [--workers 4]                  a corpus made up, from command to training

Megabytes. Resident is all that a process has mapped; its own is what it shares with no file, such as libraries or the
corpus; proportional set size counts what n processes map as an nth for each.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmt_pbt.base.memory import give_back_memory
from nmt_pbt.base.randomness import generator
from nmt_pbt.run.jobs import Undone
from nmt_pbt.run.process_pool import ProcessPool
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions

VOCABULARY = 200_000  # words of each language of a corpus that is made up
STEPS = 200  # of training, before the workers' memory is read


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="settings of the model and its training")
    parser.add_argument("--corpus", help="a corpus by name, or a folder; without it, that of the settings")
    parser.add_argument("--epochs", type=float, default=3.0, help="epochs of the worker that is watched")
    parser.add_argument("--pairs", type=int, help="sentence pairs of a corpus that is made up")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)  # the process that is measured
    arguments = parser.parse_args()
    if arguments.prepare is not None:
        _prepare(arguments.prepare, arguments.config, arguments.corpus)
    elif arguments.pairs is None:
        _stages(arguments.config, arguments.corpus, arguments.epochs)
    else:
        _large(arguments.pairs, arguments.workers, arguments.config)


def _stages(config: Path | None, corpus: str | None, epochs: float) -> None:
    """Print what one worker holds after each of its stages."""
    print(f"{'stage':<28}{'resident':>10}{'its own':>10}{'at most':>10}")
    _tell("Python and NumPy")
    task = _task(config, corpus)
    _tell("libraries and corpus")
    trainable = task.build({})
    _tell("model built")
    trainable.reset(0)
    trainable.train(64)
    _tell("first training step")
    each = max(1, round(task.pairs_per_epoch * min(1.0, epochs)))
    for epoch in range(max(1, round(epochs))):
        trainable.train(each)
        _tell(f"trained {(epoch + 1) * each:,} pairs")
        trainable.evaluate()
        _tell("dev split decoded greedily")
        give_back_memory()  # as a worker does after each job
        _tell("at rest")
    trainable.translate(list(task.prepared.corpus.dev.source), DecodingOptions.of(task.settings.evaluation))
    _tell(f"with beam {task.settings.evaluation.beam}")
    give_back_memory()
    _tell("at rest")
    trainable.train(each)
    _tell("trained again")
    give_back_memory()
    _tell("at rest")


def _large(pairs: int, workers: int, config: Path | None) -> None:
    """Print what it takes to prepare a corpus, and how much memory workers take on it and on one of 1,000 pairs."""
    with tempfile.TemporaryDirectory() as name:
        found = {}
        for count in (1000, pairs):
            folder = Path(name) / str(count)
            folder.mkdir()
            make_corpus(folder / "corpus", count)
            # what `train` does, up to its first step
            command = [sys.executable, __file__, "--prepare", str(folder / "run"), "--corpus", str(folder / "corpus")]
            process = subprocess.Popen([*command, *(["--config", str(config)] if config else [])])
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit("preparing failed")
            seconds, most = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
            print(f"{count:,} pairs: first training step after {seconds:.0f} s of CPU, {most:,.0f} MB at most")
            found[count] = _proportional((folder / "run.task").read_bytes(), workers)
            print(f"{count:,} pairs: {workers} workers, {found[count]:,.0f} MB in all (proportional set sizes)")
        print(f"more for each worker: {(found[pairs] - found[1000]) / workers:,.0f} MB")


def _prepare(run: Path, config: Path | None, corpus: str) -> None:
    task = _task(config, corpus, run)
    run.with_suffix(".task").write_bytes(pickle.dumps(task))
    trainable = task.build({})
    trainable.reset(0)
    trainable.train(64)


def _task(config: Path | None, corpus: str | None, run: Path | None = None) -> Any:
    from nmt_pbt.cli.running import prepare_run
    from nmt_pbt.run.run_directory import RunDirectory
    from nmt_pbt.tasks.translation.settings.tree import for_new_run, load_settings

    overrides: dict[str, Any] = {"engine.threads": 1, **({"corpus.name": corpus} if corpus else {})}
    if config is None and run is not None:
        overrides |= {"corpus.vocabulary_size": 3000, "corpus.max_length": 200}
    settings = for_new_run(load_settings(config, overrides=overrides))
    if run is not None:
        return prepare_run(RunDirectory(run), settings)
    with tempfile.TemporaryDirectory() as name:
        return prepare_run(RunDirectory(Path(name) / "run"), settings)  # its files stay mapped


def _proportional(pickled: bytes, workers: int) -> float:
    """Return the proportional set sizes of workers that train on a corpus, all at once, together."""
    with ProcessPool(_Measuring(pickled), workers) as pool:
        sizes = []
        for job in ("train", "measure"):  # all are still there
            for worker in pool.workers:
                pool.submit(worker, job)
            for _ in pool.workers:
                answer = pool.wait()
                if isinstance(answer, Undone):
                    raise SystemExit(f"{answer.worker} died: {answer.cause}")
                sizes.append(answer[1])
    return sum(sizes)


@dataclass(frozen=True)
class _Measuring:
    """Builds a worker that trains a little, and then tells its proportional set size in MB."""

    task: bytes

    def __call__(self, name: str) -> Callable[[str], float]:
        trainable = pickle.loads(self.task).build({})  # noqa: S301 - our own

        def work(job: str) -> float:
            if job == "measure":
                return _memory("Pss")
            trainable.reset(0)
            trainable.train(STEPS * 64)
            return 0.0

        return work


def _tell(stage: str) -> None:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{stage:<28}{_memory('Rss'):>10,.0f}{_memory('Pss_Anon'):>10,.0f}{most:>10,.0f}", flush=True)


def _memory(kind: str) -> float:
    """Return a size of this process in megabytes: `Rss`, `Pss` or `Pss_Anon`."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


def make_corpus(folder: Path, pairs: int, held_out: int = 1000) -> None:
    """Write a corpus of words that are made up, as frequent as Zipf's law has it, about 95 bytes a sentence.

    Args:
        folder: A folder to make.
        pairs: Of the training split.
        held_out: Of dev and test each.
    """
    random = generator(0, "corpus of benchmarks")
    folder.mkdir()
    share = 1 / (np.arange(VOCABULARY) + 2.7)
    bounds = np.cumsum(share / share.sum())
    words = [_words(random, "aeiou"), _words(random, "aeiouäöü")]
    for split, count in (("train", pairs), ("val", held_out), ("test", held_out)):
        with (
            open(folder / f"{split}.en", "w", encoding="utf-8") as source,
            open(folder / f"{split}.de", "w", encoding="utf-8") as target,
        ):
            for _ in range(count):
                drawn = np.minimum(np.searchsorted(bounds, random.random(random.integers(5, 30))), VOCABULARY - 1)
                source.write(" ".join([words[0][word] for word in drawn]) + ".\n")
                target.write(" ".join([words[1][word] for word in drawn[::-1]]) + ".\n")


def _words(random: np.random.Generator, vowels: str) -> list[str]:
    syllables = [a + b + c for a in "bcdfghklmnprstvwz" for b in vowels for c in ("", "n", "r", "s", "ch")]
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        drawn = random.integers(0, len(syllables), 4)[: random.integers(1, 5)]
        found["".join(syllables[one] for one in drawn)] = None
    return sorted(found, key=len)


if __name__ == "__main__":
    main()
