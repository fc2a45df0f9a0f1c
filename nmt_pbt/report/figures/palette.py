"""The colours of all figures, in light and in dark.

Those of lines and marks are Okabe & Ito's, and two of Paul Tol's, which stay apart for colour-blind readers; no figure
tells by colour alone.
"""

from __future__ import annotations

INK = "#1f2328"
MUTED = "#6e7781"
FAINT = "#afb8c1"
GRID = "#e4e8ec"
PAPER = "#ffffff"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
SKY, VERMILLION, GREY = "#56b4e9", "#d55e00", "#7a7a7a"
WINE, OLIVE = "#882255", "#8c8c2a"

COLORS = {
    "ink": (INK, "#e6edf3"),
    "muted": (MUTED, "#9aa4af"),
    "faint": (FAINT, "#5c6670"),
    "grid": (GRID, "#2a3037"),
    "paper": (PAPER, "#14181d"),
    "blue": (BLUE, "#4aa5dd"),
    "orange": (ORANGE, "#e69f00"),
    "green": (GREEN, "#2bb58d"),
    "purple": (PURPLE, "#cc79a7"),
    "sky": (SKY, "#7cc7f0"),
    "vermillion": (VERMILLION, "#f07b35"),
    "grey": (GREY, "#a3a3a3"),
    "wine": (WINE, "#cf6f9e"),
    "olive": (OLIVE, "#b9b94a"),
}
"""Colours by the name of their CSS variable: in light, and in dark."""

RUN_SHADES = (0.0, -0.4, -0.65, 0.2)
"""How far colours of the first, second, third and fourth of several runs are mixed with black, or with white."""


def mixed(color: str, share: float) -> str:
    """Return a colour mixed with black (a negative share) or white."""
    end = 255 if share > 0 else 0
    channels = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(channel + (end - channel) * abs(share)):02x}" for channel in channels)


# On dark ground a shade has to be lighter where it is darker on paper, to stand out as well.
COLORS.update(
    {
        f"{name}-{number}": (mixed(light, share), mixed(dark, -share))
        for name, (light, dark) in list(COLORS.items())
        if name not in ("muted", "faint", "grid", "paper")
        for number, share in enumerate(RUN_SHADES[1:], start=2)
    }
)
