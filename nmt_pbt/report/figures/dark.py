"""Figures on a dark ground: the same drawing with the palette's dark colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from nmt_pbt.report.figures.palette import COLORS

_DARK = {light: to_rgba(dark) for light, dark in COLORS.values()}


def darken(figure: Figure) -> None:
    """Give every part of a drawn figure the dark colour of its own; colours outside the palette stay as they are."""
    for artist in figure.findobj():
        if isinstance(artist, Line2D):
            face, edge = artist.get_markerfacecolor(), artist.get_markeredgecolor()
            artist.set_color(_dark(artist.get_color()))
            artist.set_markerfacecolor(_dark(face))
            artist.set_markeredgecolor(_dark(edge))
        elif isinstance(artist, Patch):
            face, edge = artist.get_facecolor(), artist.get_edgecolor()
            artist.set_facecolor(_dark(face))
            artist.set_edgecolor(_dark(edge))
        elif isinstance(artist, Text):
            artist.set_color(_dark(artist.get_color()))
        elif isinstance(artist, Collection) and artist.get_array() is None:
            faces, edges = np.asarray(artist.get_facecolor()), np.asarray(artist.get_edgecolor())
            artist.set_facecolor(_all_dark(faces))
            artist.set_edgecolor(_all_dark(edges))


def _dark(color: Any) -> Any:
    """Return the dark colour of a light one, as opaque as that was."""
    if isinstance(color, str) and color.lower() == "none":
        return color
    red, green, blue, alpha = to_rgba(color)
    dark = _DARK.get(to_hex((red, green, blue)))
    return color if dark is None else (*dark[:3], alpha)


def _all_dark(colors: npt.NDArray[np.floating]) -> Any:  # an array of colours, which the types of Matplotlib lack
    """Return the dark colours of many, `[N, 4]`, most of which differ only in how opaque they are."""
    dark = colors.copy()
    for color in {tuple(color) for color in colors[:, :3].tolist()}:
        dark[(colors[:, :3] == color).all(axis=1), :3] = _dark(color)[:3]
    return dark


def with_dark_rules(svg: str) -> str:
    """Return an SVG whose colours follow the reader's preference, wherever a browser shows it; others show it light.

    Args:
        svg: As matplotlib writes it: colours stand in the `style` of each element.
    """
    rules = "\n".join(
        f'[style*="{name}: {light}"] {{ {name}: {dark} !important }}'
        for light, dark in COLORS.values()
        if light != dark
        for name in ("fill", "stroke")
        if f"{name}: {light}" in svg
    )
    place = svg.index("</defs>") if "</defs>" in svg else svg.index(">", svg.index("<svg")) + 1
    return f"{svg[:place]}<style>\n@media (prefers-color-scheme: dark) {{\n{rules}\n}}\n</style>\n{svg[place:]}"
