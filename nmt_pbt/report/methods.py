"""Search methods as the report needs to know them: their names in words, their kind, and how they look in figures.

The report takes all of this from here, wherever it is declared.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any, Literal

from nmt_pbt.report.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    INK,
    OLIVE,
    ORANGE,
    PURPLE,
    RUN_SHADES,
    SKY,
    VERMILLION,
    WINE,
    mixed,
)
from nmt_pbt.search.method_names import CONTROLS, METHODS, POPULATION_METHODS, REPLAYS

Line = str | tuple[float, tuple[float, ...]]
"""A line style of matplotlib."""


@dataclass(frozen=True)
class MethodInfo:
    """One method.

    Attributes:
        name: The method's own name, without that of its run where there are several.
        label: Its name in words.
        kind: `population` (members train on while their values change), `replay` (trains by what PBT found), or
            `constant` (every trial has values of its own from beginning to end).
        ablation: Whether it takes PBT apart, and is no rival of it.
        color: Of its lines and marks.
        line: Its line style.
        marker: Its mark.
    """

    name: str
    label: str
    kind: Literal["population", "constant", "replay"]
    ablation: bool
    color: str
    line: Line
    marker: str


_LABELS = {"pbt": "PBT", "bayes": "Bayesian"}
_LOOKS: dict[str, tuple[str, Line, str]] = {
    "pbt": (BLUE, "-", "o"),
    "random": (ORANGE, (0, (5, 2)), "s"),
    "grid": (GREEN, (0, (1.2, 1.2)), "^"),
    "bayes": (PURPLE, (0, (5, 1.5, 1.2, 1.5)), "D"),
    "hyperband": (SKY, (0, (8, 2)), "v"),
    "manual": (INK, (0, (2.5, 1.5)), "X"),
    "exploit-only": (VERMILLION, (0, (5, 1.5, 1.2, 1.5, 1.2, 1.5)), "P"),
    "explore-only": (GREY, (0, (3, 3)), "h"),
    "replay": (WINE, (0, (7, 1.5, 1.2, 1.5)), "p"),
    "final-values": (OLIVE, (0, (1.2, 2.4)), "*"),
}
_SPARE_COLORS = (GREY, VERMILLION, WINE, OLIVE, SKY)
_SPARE_MARKERS = ("d", "<", ">", "H", "8")
_RUN_LINES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def method_info(method: str) -> MethodInfo:
    """Return what the report knows of a method.

    A method that this program does not know has its own name as label, and a colour and mark that follow from its
    name, so that it looks the same in every figure. A method of one of several runs (see `combined_name`) has its
    method's colour and mark, in the shade and line of the run; its label is `LABEL (n)`, short enough for figures.

    Args:
        method: A name in the journal, or one that `combined_name` made.
    """
    name, number = parts_of(method)
    known = _known(name) if name in METHODS else _unknown(name)
    if number is None:
        return known
    place = (number - 1) % len(_RUN_LINES)
    return replace(
        known, label=f"{known.label} ({number})", color=mixed(known.color, RUN_SHADES[place]), line=_RUN_LINES[place]
    )


def base_method(method: str) -> str:
    """Return a method's own name, without that of its run where there are several."""
    return parts_of(method)[0]


def combined_name(method: str, number: int, run: str) -> str:
    """Return what a run's method is called beside other runs': `METHOD (n: NAME)`.

    Args:
        method: The method's own name; no method has a space in it.
        number: Of the run, from 1.
        run: The run's name, which may be anything.
    """
    return f"{method} ({number}: {run})"


def parts_of(method: str) -> tuple[str, int | None]:
    """Return a method's own name and the number of its run, None where there is one run: undoes `combined_name`."""
    name, separator, rest = method.partition(" (")
    number = rest.partition(":")[0]
    return (name, int(number)) if separator and number.isdecimal() else (method, None)


def _known(name: str) -> MethodInfo:
    kind: Literal["population", "constant", "replay"] = (
        "replay" if name in REPLAYS else "population" if name in POPULATION_METHODS else "constant"
    )
    label = _LABELS.get(name, name.replace("-", " ").capitalize())
    return MethodInfo(name, label, kind, name in CONTROLS, *_LOOKS[name])


def _unknown(name: str) -> MethodInfo:
    number = zlib.crc32(name.encode("utf-8"))
    color = _SPARE_COLORS[number % len(_SPARE_COLORS)]
    marker = _SPARE_MARKERS[number // len(_SPARE_COLORS) % len(_SPARE_MARKERS)]
    return MethodInfo(name, name, "constant", False, color, "-", marker)
