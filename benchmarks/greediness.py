"""How often the alarms of a population go off when there is nothing to select on, and when there is.

python benchmarks/greediness.py [--searches 200]

Populations are searched in memory with the real rules and no training. Scores are either noise, so that whatever
happens to ancestry and values is drift, or a quality that each first member is born with and hands on, plus noise of
half its deviation: then selection has something to find, and one ancestor is what it has to end in.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.population.diagnostics import ANCESTOR, DIVERSITY, LEARNING_RATE, Diagnostics
from nmt_pbt.search.population.exploit import Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.population import Pause, Population
from nmt_pbt.search.settings import SearchSettings
from nmt_pbt.space.space import Space

SPACE = Space.from_domains(SearchSettings().space)


def alarms(size: int, generations: int, seed: int, inherited: bool) -> set[str]:
    """Return the alarms of one search.

    Args:
        size: Members.
        generations: Intervals of each.
        seed: Of the search, and of its scores.
        inherited: Whether scores are a quality that is handed on, or noise alone.
    """
    random = generator(seed, "scores", size, generations)
    population = Population(SPACE, size, 1.0, float(generations), seed, Truncation(), Perturb(), synchronous=True)
    diagnostics = Diagnostics(SPACE, size, float(generations))
    quality: dict[str, float] = {}
    found: set[str] = set()
    while not isinstance(turn := population.next_turn(str(len(quality))), Pause):
        place = {"member": turn.member, "generation": turn.generation, "start": float(turn.generation)}
        diagnosis = diagnostics.take(Assignment(turn.trial, turn.values, 1.0, turn.parent, turn.inherited, **place))
        found |= set(diagnosis.alarms) if diagnosis is not None else set()
        born = float(random.normal()) if inherited else 0.0
        quality[turn.trial] = quality[turn.parent] if turn.parent is not None else born
        noise = float(random.normal())
        population.record(turn.trial, [quality[turn.trial] + 0.5 * noise])
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=200, help="of each kind")
    arguments = parser.parse_args()
    names = (ANCESTOR, DIVERSITY, LEARNING_RATE)
    print(f"| scores | members | generations | {' | '.join(names)} |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for inherited in (False, True):
        for size in (6, 8, 20):
            for generations in (8, 16, 32):
                counts: Counter[str] = Counter()
                for seed in range(arguments.searches):
                    counts.update(alarms(size, generations, seed, inherited))
                shares = [f"{100 * np.divide(counts[name], arguments.searches):.0f}%" for name in names]
                what = "a quality handed on" if inherited else "noise"
                print(f"| {what} | {size} | {generations} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main()
