"""Competitors as processes, asked turn by turn, so that whatever else the machine does disturbs all alike."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

PROJECT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"


@dataclass(frozen=True)
class Command:
    """How to start a competitor.

    Attributes:
        name: What it is called in the table.
        python: The interpreter that has its packages; None when none was named.
        script: A file in `peers/`.
        arguments: Its options.
        preload: A shared library to load before all others.
        hint: What to do when it cannot be run.
    """

    name: str
    python: Path | None
    script: str
    arguments: tuple[str, ...] = ()
    preload: Path | None = None
    hint: str = ""


class Competitor:
    """A running competitor.

    Args:
        command: How to start it.
        workload: The workload's folder.
        core: The processor core it stays on; None for any.
        log: File that its stderr goes to.

    Attributes:
        name: What it is called in the table.
        absent: Why it does not run; None when it does.
        versions: Of its packages.
    """

    def __init__(self, command: Command, workload: Path, core: int | None, log: Path) -> None:
        self.name = command.name
        self.absent: str | None = None
        self.versions: Mapping[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        if command.python is None:
            self.absent = f"not measured: {command.hint}"
            return
        pinned = () if core is None else ("--core", str(core))
        with open(log, "w", encoding="utf-8") as stderr:
            self._process = subprocess.Popen(
                [str(command.python), str(PEERS / command.script), str(workload), *pinned, *command.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=_environment(command),
            )
        self._log = log
        answer = self.answer()
        if "missing" in answer:
            self.absent = f"not measured: {answer['missing']} is not installed in {command.python}"
            self.close()
        else:
            self.versions = answer["versions"]

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer."""
        self.ask(name, **arguments)
        return self.answer()

    def ask(self, name: str, **arguments: Any) -> None:
        """Ask for something; `answer` waits for what comes of it."""
        _, stdin, _ = self._pipes()
        stdin.write(json.dumps({"call": name, **arguments}) + "\n")
        stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to what was asked first."""
        process, _, stdout = self._pipes()
        line = stdout.readline()
        if not line:
            code = process.wait()
            self.close()
            tail = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            raise SystemExit(f"{self.name}: ended with code {code}; its last words:\n{tail}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _pipes(self) -> tuple[subprocess.Popen[str], IO[str], IO[str]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError(f"{self.name} does not run: {self.absent}")
        return process, process.stdin, process.stdout

    def close(self) -> None:
        """Let the process end."""
        if self._process is not None:
            with self._process:
                pass
            self._process = None


def _environment(command: Command) -> dict[str, str]:
    environment = {
        **os.environ,
        # Threads of OpenMP and MKL; each process sets TensorFlow's itself.
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(PROJECT),
    }
    if command.preload is not None:
        environment["LD_PRELOAD"] = str(command.preload)
    return environment


@dataclass
class Turns:
    """What a competitor's turns took, one item a round.

    Attributes:
        cpu: Seconds of CPU.
        wall: Seconds of wall-clock.
    """

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Note one answer."""
        self.cpu.append(answer["cpu"])
        self.wall.append(answer["wall"])


def in_turn(competitors: Sequence[Competitor], round_: int) -> list[Competitor]:
    """Return those that run, in the order of this round: every other one goes backwards."""
    running = [competitor for competitor in competitors if competitor.absent is None]
    return running[::-1] if round_ % 2 else running


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return how many times as long theirs took: the median of the rounds' ratios, and their range."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first being the head, as a Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
