"""Stands in for `style.render` where only the words of a page are looked at."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt_pbt.report.figures.style import Rendered


def draw_only(draw: Callable[[Axes], None], width: float, height: float, dark: bool) -> Rendered:
    """Draw a figure, but neither lay it out nor write it."""
    draw(Figure(figsize=(width, height)).add_subplot())
    return Rendered("<svg></svg>", b"")
