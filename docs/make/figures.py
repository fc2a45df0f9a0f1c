"""The figures of docs/pbt.md: how searches spend their budget, and the toys that PBT is tested on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import deceptive
import keras_tuner
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle

from nmt_pbt.base.files import replace_file
from nmt_pbt.report.figures.palette import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION
from nmt_pbt.report.figures.style import Rendered, render_figure
from nmt_pbt.search.oracles.pbt import JournaledPBTOracle
from nmt_pbt.search.population.exploit import Truncation
from nmt_pbt.search.population.explore import Perturb
from nmt_pbt.space.domains import Real
from nmt_pbt.space.space import Space

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.toys import LENGTH, MOVING, PAPER, Search, best_rate, budget, search

_QUALITY = keras_tuner.Objective("val_q", "max")
_COLORS = (BLUE, ORANGE, GREEN, PURPLE)
_SEED = 1


def write(folder: Path, names: Sequence[str] = ()) -> None:
    """Draw figures into a folder, each as SVG and as PNG on light and on dark ground.

    Args:
        folder: Where to.
        names: Which; empty: all.
    """
    folder.mkdir(exist_ok=True)
    for name in names or FIGURES:
        made = FIGURES[name]()
        replace_file(folder / f"{name}.svg", made.file_svg.encode("utf-8"))
        replace_file(folder / f"{name}.png", made.png)
        replace_file(folder / f"{name}-dark.png", made.dark_png)


def _searches() -> Rendered:
    """Four workers, the same budget: who trains when, and which result each choice waits for."""

    def bar(ax: Axes, row: float, start: float, end: float, color: str, **more: Any) -> None:
        ax.add_patch(Rectangle((start, row - 0.32), end - start, 0.64, facecolor=color, edgecolor="none", **more))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 4, sharey=True)
        for ax, title in zip(panels, ("grid, random", "Bayesian", "Hyperband", "PBT"), strict=True):
            ax.set_title(title, fontsize=9.5)
            ax.set_xlim(0, 8.2)
            ax.set_ylim(3.6, -0.6)
            ax.set_xticks([0, 4, 8])
            ax.set_xlabel("time")
            ax.set_yticks(range(4), [f"worker {number}" for number in range(1, 5)])
            ax.tick_params(length=0)
            ax.grid(visible=False)
        for row in range(4):
            bar(panels[0], row, 0, 3.9, _COLORS[row])
            bar(panels[0], row, 4, 7.9, (SKY, VERMILLION, MUTED, INK)[row])
            bar(panels[1], row, 0, 3.9, _COLORS[row])
            bar(panels[1], row, 4, 7.9, (SKY, SKY, GREEN, SKY)[row], alpha=(1.0, 0.75, 1.0, 0.55)[row])
            panels[1].add_patch(_arrow((3.75, 1.0), (4.3, float(row))))
        for row, (ends, color) in enumerate(zip((1.9, 1.9, 7.9, 3.9), _COLORS, strict=True)):
            bar(panels[2], row, 0, ends, color)
        for row, start in ((0, 2.0), (1, 2.0), (3, 4.0)):
            end = 3.9 if start == 2.0 else 7.9
            bar(panels[2], row, start, end, SKY if row == 0 else VERMILLION if row == 1 else MUTED)
        bar(panels[2], 0, 4, 7.9, INK, alpha=0.6)
        bar(panels[2], 1, 4, 5.9, SKY, alpha=0.6)
        bar(panels[2], 1, 6, 7.9, FAINT)
        colors = [
            (BLUE, BLUE, BLUE, BLUE),
            (ORANGE, BLUE, BLUE, GREEN),
            (GREEN, GREEN, GREEN, GREEN),
            (PURPLE, PURPLE, GREEN, GREEN),
        ]
        shades = [(1.0, 1.0, 1.0, 1.0), (1.0, 0.7, 0.7, 0.75), (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.55, 0.55)]
        for row, (line, alphas) in enumerate(zip(colors, shades, strict=True)):
            for place, (color, alpha) in enumerate(zip(line, alphas, strict=True)):
                bar(panels[3], row, 2 * place, 2 * place + 1.92, color, alpha=alpha)
        for start, end in (((1.9, 0.0), (2.3, 1.0)), ((3.9, 2.0), (4.3, 3.0)), ((5.9, 2.0), (6.3, 1.0))):
            panels[3].add_patch(_arrow(start, end))

    return render_figure(draw, 7.6, 1.9, dark=True)


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> FancyArrowPatch:
    return FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, color=INK, linewidth=0.9, zorder=3)


def _population(task: Any, space: Space, size: int, epochs: float, **changes: Any) -> Search:
    """Search a toy with PBT, or with a part of it."""
    arguments: dict[str, Any] = {
        "space": space,
        "seed": _SEED,
        "objective": _QUALITY,
        "budget": budget(task, size, epochs),
        "population_size": size,
        "interval": 1.0,
        "epochs": epochs,
        "exploit": Truncation(0.5 if size == 2 else 0.25),
        "explore": Perturb(fraction_of_range=0.1, resample_probability=0.0),
        "synchronous": True,
    }
    return search(task, JournaledPBTOracle(**{**arguments, **changes}), budget(task, size, epochs))


def _toy() -> Rendered:
    """The paper's toy: the ways of two members, by PBT and by its ablations."""
    space = Space((Real("h0", 0.0, 1.0), Real("h1", 0.0, 1.0)))
    starts = [{"h0": 1.0, "h1": 0.0}, {"h0": 0.0, "h1": 1.0}]
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("constant values", {"exploit": None, "explore": None}),
        ("explore only", {"exploit": None, "trigger": Truncation(0.5)}),
        ("exploit only", {"explore": None}),
        ("PBT", {}),
    )
    found = [(name, _population(PAPER, space, 2, 40.0, initial=starts, **changes)) for name, changes in kinds]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 4, sharey=True)
        axis = np.linspace(-0.1, 1.0, 80)
        quality = 1.2 - axis[None] ** 2 - axis[:, None] ** 2
        for ax, (name, result) in zip(panels, found, strict=True):
            ax.contour(axis, axis, quality, levels=8, colors=FAINT, linewidths=0.7)
            for (member, points), color in zip(_ways(result).items(), (BLUE, VERMILLION), strict=True):
                ax.plot(*points.T, ".", color=color, markersize=3, label=f"member {member + 1}")
            ax.plot(0, 0, marker="*", color=INK, markersize=9)
            best = max(record.metrics["val_q"] or 0.0 for record in result.evaluated)
            ax.set_title(f"{name}: {best:.2f}", fontsize=9.5)
            ax.set_xlim(-0.1, 1.0)
            ax.set_ylim(-0.1, 1.0)
            ax.set_aspect("equal")
            ax.set_xlabel("θ₀")
        panels[0].set_ylabel("θ₁")

    return render_figure(draw, 7.6, 2.4, dark=True)


def _ways(result: Search) -> dict[int, np.ndarray]:
    """Return where each member was after each interval, `(intervals, 2)`."""
    ends: dict[str, np.ndarray] = {}
    ways: dict[int, list[np.ndarray]] = {}
    for trial in result.assigned:
        place = np.array(PAPER.start) if trial.parent is None else ends[trial.parent]
        for age in range(PAPER.pairs_per_epoch):
            place = PAPER.step(place, trial.values, age)
        ends[trial.trial] = place
        ways.setdefault(trial.member or 0, []).append(place)
    return {member: np.stack(points) for member, points in sorted(ways.items())}


def _moving() -> Rendered:
    """A best value that moves: the schedule that PBT finds follows it, a constant cannot."""
    space = Space((Real("rate", 1e-4, 1e-1, scale="log"),))
    epochs = LENGTH / MOVING.pairs_per_epoch
    explore = Perturb(factor=1.5, resample_probability=0.1)
    result = _population(MOVING, space, 8, epochs, explore=explore)
    found = [float(value) for value in result.schedule("rate")]
    constants = np.logspace(-4, -1, 61)
    worth = [
        sum(MOVING.step(np.zeros(1), {"rate": float(rate)}, age)[0] for age in range(LENGTH)) for rate in constants
    ]
    best = int(np.argmax(worth))

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        steps = range(LENGTH)
        ax.plot(steps, [best_rate(age) for age in steps], color=MUTED, linestyle=(0, (4, 2)))
        ax.stairs(found, np.arange(len(found) + 1) * MOVING.pairs_per_epoch, color=BLUE, linewidth=2, baseline=None)
        ax.axhline(float(constants[best]), color=ORANGE, linestyle=(0, (1.2, 1.2)), linewidth=2)
        ax.set_yscale("log")
        ax.set_xlabel("step")
        ax.set_ylabel("rate")
        ax.set_xlim(0, LENGTH)
        score = max(record.metrics["val_q"] or 0.0 for record in result.evaluated)
        handles: Sequence[Line2D] = (
            Line2D([], [], color=MUTED, linestyle=(0, (4, 2)), label=f"best of the moment: {LENGTH:.0f}"),
            Line2D([], [], color=BLUE, linewidth=2, label=f"the winner's schedule: {score:.0f}"),
            Line2D(
                [], [], color=ORANGE, linewidth=2, linestyle=(0, (1.2, 1.2)), label=f"best constant: {worth[best]:.0f}"
            ),
        )
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2)

    return render_figure(draw, 6.4, 2.8, dark=True)


FIGURES: dict[str, Callable[[], Rendered]] = {
    "searches": _searches,
    "toy": _toy,
    "moving": _moving,
    "deceptive": deceptive.draw,
}
"""How each figure is drawn."""
