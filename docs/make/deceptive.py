"""The figure of docs/pbt.md that warns: a toy of PBT-Zoo on which greed pays at once and costs for ever."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nmt_pbt.report.figures.palette import BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILLION
from nmt_pbt.report.figures.style import Rendered, render_figure
from nmt_pbt.search.population.exploit import Exploit, Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.search.population.fire import FIRE, LONGEST_EVALUATION
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.search.population.pb2 import PB2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.pbt_zoo import DECISIONS, MEMBERS, Found, by_schedule, line, search

_SEEDS = 20
_SEEDS_OF_PB2 = 5  # one takes some seconds


def draw() -> Rendered:
    """On the left the schedules of one seed; on the right the score of each search, above its method's median."""
    searches: dict[str, list[Found]] = {
        "no exploit": _searches(lambda: None),
        "PBT": _searches(Truncation),
        "PB2": [search(True, seed, Truncation(), PB2()) for seed in range(_SEEDS_OF_PB2)],
        "FIRE-PBT": _searches(lambda: FIRE(MEMBERS, 0.25, 0.25, 0.01, LONGEST_EVALUATION)),
        "MF-PBT": _searches(lambda: MultiFrequency(MEMBERS, (1, 5))),
    }
    colors = dict(zip(searches, (GREEN, BLUE, PURPLE, SKY, VERMILLION), strict=True))
    constant = max((float(h) for h in np.linspace(0.0, 1.1, 1101)), key=lambda h: by_schedule([h] * DECISIONS, True))
    falling = [line(age) for age in range(DECISIONS)]

    def draw_on(figure: Figure) -> None:
        schedules, scores = figure.subplots(1, 2, width_ratios=(1.25, 1))
        schedules.plot(range(DECISIONS), falling, color=MUTED, linestyle=(0, (4, 2)))
        schedules.axhline(constant, color=ORANGE, linestyle=(0, (1.2, 1.2)), linewidth=2)
        for name in ("PBT", "PB2", "FIRE-PBT", "MF-PBT"):
            typical = sorted(searches[name], key=lambda found: found.score)[len(searches[name]) // 2]
            edges = np.arange(len(typical.schedule) + 1)
            schedules.stairs(typical.schedule, edges, color=colors[name], linewidth=1.8, baseline=None)
        schedules.set_xlabel("interval")
        schedules.set_ylabel("h of the winner")
        schedules.set_xlim(0, DECISIONS)
        for place, (name, found) in enumerate(searches.items()):
            reached = [one.score for one in found]
            scatter = np.linspace(-0.18, 0.18, len(reached))
            scores.plot(reached, place + scatter, ".", color=colors[name], markersize=4)
            median = float(np.median(reached))
            scores.text(1.23, place, f"{median:.2f}", va="center", fontsize=8.5)
        best = by_schedule([constant] * DECISIONS, True)
        scores.axvline(best, color=ORANGE, linestyle=(0, (1.2, 1.2)), linewidth=2)
        scores.axvline(by_schedule(falling, True), color=MUTED, linestyle=(0, (4, 2)))
        scores.text(best, -0.62, f"best constant {best:.2f} ", ha="right", fontsize=8.5)
        scores.set_yticks(range(len(searches)), list(searches))
        scores.set_ylim(len(searches) - 0.4, -0.9)
        scores.set_xlim(0.8, 1.22)
        scores.set_xlabel("best score")
        scores.grid(visible=False, axis="y")

    return render_figure(draw_on, 7.6, 2.7, dark=True)


def _searches(exploit: Callable[[], Exploit | None]) -> list[Found]:
    return [search(True, seed, exploit(), Perturb()) for seed in range(_SEEDS)]
