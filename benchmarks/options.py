"""What the benchmarks' command lines share."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from turns import PEERS, Competitor

NO_PEERS = "name an interpreter by --peers-python or NMT_PBT_PEERS_PYTHON"
NO_COMPILER = "no C compiler to build peers/mkl_full_speed.c with"


def parser(description: str | None, work: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    Args:
        description: The module's docstring.
        work: Name of the benchmark, for its work folder.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.set_defaults(benchmark=work)
    made.add_argument("--corpus", type=Path, required=True, help="folder with train.en, train.de, val.*, test*.*")
    made.add_argument("--vocabulary", type=int, default=4000, help="joint subwords")
    made.add_argument("--work", type=Path, help="folder to keep batches, logs and weights in, for the next time")
    return made


def add_peers(made: argparse.ArgumentParser) -> None:
    """Add the options of benchmarks that have PyTorch and JoeyNMT beside us."""
    made.add_argument(
        "--peers-python",
        type=interpreter,
        default=os.environ.get("NMT_PBT_PEERS_PYTHON"),
        help="interpreter of an environment with benchmarks/requirements.txt [env: NMT_PBT_PEERS_PYTHON]",
    )
    add_core(made)


def add_core(made: argparse.ArgumentParser) -> None:
    """Add the option of benchmarks that are measured on one core."""
    made.add_argument("--core", type=int, default=_last_core(), help="processor core that all stay on")


def interpreter(text: str) -> Path:
    """Return the path of an interpreter named on the command line."""
    # Not resolved: a virtual environment's interpreter is a link, and known by where the link is.
    path = Path(text).absolute()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such interpreter")
    return path


def _last_core() -> int | None:
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@contextmanager
def work_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the folder to work in; one that was not named is removed at the end."""
    if arguments.work is not None:
        arguments.work.mkdir(parents=True, exist_ok=True)
        yield arguments.work.absolute()
        return
    with tempfile.TemporaryDirectory(prefix=f"nmt-pbt-{arguments.benchmark}-") as folder:
        yield Path(folder)


def mkl_full_speed(work: Path) -> Path | None:
    """Build `peers/mkl_full_speed.c`; None where there is no C compiler, or nothing to gain."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or platform.system() != "Linux":
        return None
    library = work / "mkl_full_speed.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, PEERS / "mkl_full_speed.c"], check=True)
    return library


def machine(core: int | None) -> str:
    """Return one line on the machine, the date and how busy it is."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    load = f", load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
    pinned = "" if core is None else f", on core {core}"
    return f"{date.today()}, {model}{pinned}{load}"


def versions(competitors: Sequence[Competitor]) -> str:
    """Return one line on the packages that were measured."""
    found = {name: version for competitor in competitors for name, version in competitor.versions.items()}
    return ", ".join(f"{name} {version}" for name, version in found.items()) + "."
