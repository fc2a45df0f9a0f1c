"""A table of what the parts of a handover cost, for the benchmarks of handovers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence


def print_parts(times: Mapping[str, Sequence[float]]) -> None:
    """Print the median and the worst of all rounds, for each part and for all parts together.

    Args:
        times: Milliseconds of each round, by part.
    """
    rows = {**times, "in all": [sum(parts) for parts in zip(*times.values(), strict=True)]}
    print("| | median, ms | worst, ms |\n| --- | ---: | ---: |")
    for name, measured in rows.items():
        print(f"| {name} | {statistics.median(measured):.1f} | {max(measured):.1f} |")
