"""What a search by PB2 costs beside training: the deceptive toy of PBT-Zoo, 22 members that decide 50 times.

    python benchmarks/pb2.py [--seeds 3]

The toy knows no chance, so that members go the same way; with noise on their scores no two of them are alike.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nmt_pbt.search.population.exploit import Truncation
from nmt_pbt.search.population.pb2 import PB2
from tests.pbt_zoo import search


def seconds(seed: int, noise: float) -> tuple[float, float]:
    """Return the seconds of CPU of one search, and the score that it reached."""
    start = time.process_time()
    found = search(True, seed, Truncation(), PB2(), noise)
    return time.process_time() - start, found.score


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="searches of each kind")
    count = parser.parse_args().seeds
    print("noise   seconds of CPU a search   scores")
    for noise in (0.0, 1e-3):
        times, scores = zip(*(seconds(seed, noise) for seed in range(count)), strict=True)
        spread = f"{median(times):.1f} ({min(times):.1f}-{max(times):.1f})"
        print(f"{noise:5g}   {spread:23s}   {' '.join(f'{score:.4f}' for score in scores)}")


if __name__ == "__main__":
    main()
