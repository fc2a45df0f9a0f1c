"""How a benchmark talks to a competitor, each a process of its own: JSON lines on stdin and stdout.

Needs NumPy alone, as it runs in the competitors' own environments.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PAD, BOS, EOS = 0, 2, 3
Batch = tuple[np.ndarray, np.ndarray]
"""Source ids `[B, S]`, ending in EOS, and target ids `[B, T]`, from BOS to EOS; int32, pads at the end."""
Calls = Mapping[str, Callable[..., Mapping[str, Any]]]
"""What a competitor can be asked to do, by name."""


@dataclass(frozen=True)
class Workload:
    """What is trained on and decoded, the same for all; `workload.py` writes it.

    Attributes:
        folder: Where it is.
        settings: Of the model and its training, by name.
    """

    folder: Path
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Workload:
        """Read a folder's workload."""
        return cls(folder, json.loads((folder / "workload.json").read_text(encoding="utf-8")))

    def window(self, index: int) -> list[Batch]:
        """Return the training batches of one window."""
        return _batches(self.folder / f"window{index}.npz")

    def dev(self) -> list[Batch]:
        """Return the dev split in batches of like length."""
        return _batches(self.folder / "dev.npz")

    def weights(self) -> dict[str, np.ndarray]:
        """Return the trained weights of our model, by their paths in it."""
        with np.load(self.folder / "weights.npz") as file:
            return dict(file)


def _batches(path: Path) -> list[Batch]:
    with np.load(path) as file:
        return [(file[f"source{i}"], file[f"target{i}"]) for i in range(len(file.files) // 2)]


def target_tokens(batches: Sequence[Batch]) -> int:
    """Return how many subwords are predicted in training, EOS included."""
    return sum(int(np.count_nonzero(target[:, 1:])) for _, target in batches)


def source_tokens(batches: Sequence[Batch]) -> int:
    """Return how many subwords are read, EOS included."""
    return sum(int(np.count_nonzero(source)) for source, _ in batches)


def shuffled(batches: list[Batch]) -> list[Batch]:
    """Return the same sentence pairs in random batches of the same size, as is usual without length bucketing."""
    pairs = [(source[row], target[row]) for source, target in batches for row in range(len(source))]
    order = np.random.default_rng(0).permutation(len(pairs))
    size = len(batches[0][0])

    def padded(rows: list[np.ndarray]) -> np.ndarray:
        longest = max(int(np.count_nonzero(row)) for row in rows)
        return np.stack([np.pad(row, (0, longest), constant_values=PAD)[:longest] for row in rows])

    made = []
    for start in range(0, len(order), size):
        part = [pairs[index] for index in order[start : start + size]]
        made.append((padded([source for source, _ in part]), padded([target for _, target in part])))
    return made


def until_end(ids: Sequence[int]) -> list[int]:
    """Return the ids before the first EOS or pad."""
    plain = [int(token) for token in ids]
    ends = [plain.index(token) for token in (EOS, PAD) if token in plain]
    return plain[: min(ends)] if ends else plain


class Stopwatch:
    """Measures seconds of wall-clock, and of CPU over all threads of this process, from when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return the seconds since, as `wall` and `cpu`."""
        return {"wall": time.perf_counter() - self._wall, "cpu": time.process_time() - self._cpu}


def serve(
    distributions: Sequence[str],
    build: Callable[[Workload, argparse.Namespace], Calls],
    add_options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> None:
    """Be a competitor: say what is there, then answer calls until stdin ends.

    The first line out is `{"missing": distribution}`, and the process ends, or `{"versions": {...}}`. Each line in is
    `{"call": name, ...}`, the other items being the call's keyword arguments; each line out is its answer.

    Args:
        distributions: What has to be installed, by the name that it is imported by.
        build: Makes the calls.
        add_options: Adds options to a command line that begins with the workload's folder.
    """
    # Libraries print to stdout; only the protocol's lines may get to the benchmark.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", type=Path)
    parser.add_argument("--core", type=int, help="the processor core to stay on")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})

    def say(answer: Mapping[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    for name in distributions:
        if importlib.util.find_spec(name) is None:
            say({"missing": name})
            return
    calls = build(Workload.read(arguments.workload), arguments)
    say({"versions": {name: version(name) for name in distributions}})
    for line in sys.stdin:
        request = json.loads(line)
        say(calls[request.pop("call")](**request))
