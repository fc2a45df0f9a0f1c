"""What all figures share: the style, the axes of scores and hyperparameters, and how a figure is saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from nmt_pbt.report.figures.dark import darken, with_dark_rules
from nmt_pbt.report.figures.fonts import FONT, fonts_for
from nmt_pbt.report.figures.palette import GRID, INK, MUTED, PAPER
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain

STYLE: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "nmt-pbt",
    "path.simplify": True,
}
"""In force only while a figure is made."""

DOTS_PER_INCH = 160

RING: dict[str, Any] = {
    "marker": "o",
    "linestyle": "",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.2,
}
"""Drawn around a winner's mark."""


@dataclass(frozen=True)
class Rendered:
    """One figure, made.

    Attributes:
        svg: The figure as SVG text, in light colours.
        png: It as PNG bytes, on a light ground.
        dark_png: It as PNG bytes, on a dark ground; empty where that was not asked for.
        missing: Characters that no font on this machine has; they are drawn as boxes.
    """

    svg: str
    png: bytes
    dark_png: bytes = b""
    missing: frozenset[str] = frozenset()

    @property
    def file_svg(self) -> str:
        """The SVG as a file: it follows the reader's preference for light or dark."""
        return with_dark_rules(self.svg)


def render(draw: Callable[[Axes], None], width: float = 4.6, height: float = 3.1, dark: bool = False) -> Rendered:
    """Make one figure with one Axes.

    Args:
        draw: Draws on the Axes it is given.
        width: In inches.
        height: In inches.
        dark: Make it on a dark ground, too.

    Returns:
        The figure, the same at every call.
    """
    return render_figure(lambda figure: draw(figure.add_subplot()), width, height, dark)


def render_figure(draw: Callable[[Figure], None], width: float, height: float, dark: bool = False) -> Rendered:
    """Make one figure; see `render`, but that `draw` makes the Axes itself."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # what a matplotlibrc on the way says is not for us
        mpl.rcParams.update(STYLE)
        # What no font has is told once, by whoever asks for the figures.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        figure = _laid_out(draw, width, height)
        fonts = fonts_for([text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)])
        if fonts.families != (FONT,):
            mpl.rcParams["font.family"] = list(fonts.families)
            figure = _laid_out(draw, width, height)
        png, svg = _png(figure), io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(svg, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        if not dark:
            return Rendered(svg.getvalue(), png, missing=fonts.missing)
        darken(figure)
        return Rendered(svg.getvalue(), png, _png(figure), fonts.missing)


def _laid_out(draw: Callable[[Figure], None], width: float, height: float) -> Figure:
    """Make a figure, place its Axes once, and keep them there for every form that it is saved in."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    draw(figure)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")
    return figure


def _png(figure: Figure) -> bytes:
    png = io.BytesIO()
    figure.set_dpi(DOTS_PER_INCH)  # drawing as SVG leaves its own
    canvas: Any = FigureCanvasAgg(figure)  # its own method draws once, where savefig draws twice
    canvas.print_png(png, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return png.getvalue()


def legend_above(ax: Axes, handles: Sequence[Artist], columns: int, **look: Any) -> None:
    """Put a legend over an Axes, in so many columns."""
    spaced = {"columnspacing": 1.2, **look}
    ax.legend(handles=list(handles), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, **spaced)


def frame_scores(ax: Axes, low: float, high: float) -> None:
    """Set the limits of the score axis with a margin; a single value gets room around it."""
    if np.isfinite(low) and np.isfinite(high):
        margin = 0.06 * (high - low) or max(0.5, 0.02 * abs(high))
        ax.set_ylim(low - margin, high + margin)


def scale_axis(ax: Axes, which: str, domain: Domain | None, low: float, high: float) -> None:
    """Make an axis that shows a hyperparameter fit its domain.

    Args:
        ax: The Axes.
        which: `x` or `y`.
        domain: What was searched; None leaves a linear axis.
        low: The smallest value shown.
        high: The largest value shown.
    """
    axis = ax.xaxis if which == "x" else ax.yaxis
    set_scale, set_limits = (ax.set_xscale, ax.set_xlim) if which == "x" else (ax.set_yscale, ax.set_ylim)
    if isinstance(domain, ChoiceDomain):
        numbers = [float(value) for value in domain.choices if _is_number(value)]
        if len(numbers) < len(domain.choices):
            axis.set_major_locator(FixedLocator([float(place) for place in range(len(domain.choices))]))
            axis.set_major_formatter(FuncFormatter(lambda place, _: _choice(domain, place)))
            set_limits(-0.5, len(domain.choices) - 0.5)
            return
        if len(numbers) > 2 and min(numbers) > 0 and max(numbers) >= 4 * min(numbers):
            set_scale("log", base=2)
            set_limits(min(numbers) / 1.25, max(numbers) * 1.25)
        else:
            margin = 0.08 * (max(numbers) - min(numbers)) or 0.5
            set_limits(min(numbers) - margin, max(numbers) + margin)
        axis.set_major_locator(FixedLocator(sorted(numbers)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    if isinstance(domain, NumberDomain):
        low, high = min(low, domain.min), max(high, domain.max)
        if domain.scale == "log":
            set_scale("log")
            set_limits(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
            decades = np.log10(high / low)
            steps = (1, 2, 5) if decades < 2.5 else (1,)
            exponents = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
            ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
            axis.set_major_locator(FixedLocator([tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
            return
        margin = 0.05 * (high - low) or 0.5
        set_limits(low - margin, high + margin)
    axis.set_major_locator(MaxNLocator(6))


def places(values: Sequence[Any], domain: Domain | None) -> list[float]:
    """Return where values of a hyperparameter lie on its axis: numbers as they are, words by their place."""
    if isinstance(domain, ChoiceDomain) and not all(_is_number(value) for value in domain.choices):
        return [float(domain.choices.index(value)) if value in domain.choices else np.nan for value in values]
    return [float(value) if _is_number(value) else np.nan for value in values]


def _choice(domain: ChoiceDomain, place: float) -> str:
    return str(domain.choices[round(place)]) if 0 <= round(place) < len(domain.choices) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
