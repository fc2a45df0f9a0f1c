"""What a figure of the report is, before it is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes


@dataclass(frozen=True)
class Drawing:
    """One figure to be made.

    Attributes:
        section: Where on the page: `progress`, `test`, `population`, `schedules`, `values`, `time` or `attention`.
        name: Of its files.
        title: A few words.
        caption: How to read it.
        alt: What it shows, for those who do not see it.
        draw: Draws it on an Axes.
        height: In inches.
        width: In inches.
        aside: One of many of its kind, folded away on the page.
    """

    section: str
    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Axes], None]
    height: float = 3.1
    width: float = 4.6
    aside: bool = False


def file_name(*parts: object) -> str:
    """Return the name of a figure's files, made of the names of what it shows."""
    return re.sub(r"[^a-z0-9_]+", "-", "_".join(str(part) for part in parts).lower())
