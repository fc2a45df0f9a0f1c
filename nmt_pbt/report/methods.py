"""Search methods as the report needs to know them: their names in words, their kind, and how they look in figures.

Label and kind are those of the methods' own declarations.
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
from nmt_pbt.search.methods.registry import METHODS

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


_LOOKS: tuple[tuple[str, Line, str], ...] = (
    (BLUE, "-", "o"),
    (ORANGE, (0, (5, 2)), "s"),
    (GREEN, (0, (1.2, 1.2)), "^"),
    (PURPLE, (0, (5, 1.5, 1.2, 1.5)), "D"),
    (SKY, (0, (8, 2)), "v"),
    (INK, (0, (2.5, 1.5)), "X"),
    (VERMILLION, (0, (5, 1.5, 1.2, 1.5, 1.2, 1.5)), "P"),
    (GREY, (0, (3, 3)), "h"),
    (WINE, (0, (7, 1.5, 1.2, 1.5)), "p"),
    (OLIVE, (0, (1.2, 2.4)), "*"),
)
"""Colour, line and mark of the registered methods, in the order in which they were registered."""
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
    known = _known(name) if name in METHODS.names else _unknown(name)
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
    spec, place = METHODS.get(name), list(METHODS.names).index(name)
    color, line, marker = _LOOKS[place % len(_LOOKS)]
    if place >= len(_LOOKS):  # a second round of colours has marks of its own, and each further one other lines, too
        marker = _SPARE_MARKERS[place % len(_SPARE_MARKERS)]
        line = _LOOKS[(place + place // len(_LOOKS) - 1) % len(_LOOKS)][1]
    return MethodInfo(name, spec.label, spec.kind, spec.ablation, color, line, marker)


def _unknown(name: str) -> MethodInfo:
    number = zlib.crc32(name.encode("utf-8"))
    color = _SPARE_COLORS[number % len(_SPARE_COLORS)]
    marker = _SPARE_MARKERS[number // len(_SPARE_COLORS) % len(_SPARE_MARKERS)]
    return MethodInfo(name, name, "constant", False, color, "-", marker)
