"""Where a translation model looks: attention as a heat map."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PatchCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nmt_pbt.report.figures.palette import BLUE, FAINT
from nmt_pbt.report.figures.style import Rendered, render_figure
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention

_CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])  # of a cell, from its middle
_CELL = 0.22  # inches of a subword
_LETTER = 0.075  # inches of a letter of a label
_FAINTEST = 0.005  # a weight below this would not be seen


def draw_attention(
    ax: Axes, source_subwords: Sequence[str], target_subwords: Sequence[str], matrix: npt.NDArray[np.floating]
) -> None:
    """Draw one row a target subword and one column a source subword, the darker the more it was attended to.

    A cell is white for weight 0 and full blue for weight 1, whatever the largest weight is, so that figures compare.

    Args:
        ax: Where to draw; its cells become square.
        source_subwords: S of them, from left to right.
        target_subwords: T of them, from top to bottom.
        matrix: Weights, `[T, S]`, from 0 to 1.

    Raises:
        ValueError: The matrix is not `[T, S]`.
    """
    rows, columns = len(target_subwords), len(source_subwords)
    if matrix.shape != (rows, columns):
        raise ValueError(f"Expected weights of shape {(rows, columns)}. Received: shape {matrix.shape}")
    # All cells at once, and how ticks look before there are any: a long sentence has thousands of cells.
    seen = matrix >= _FAINTEST
    corners = np.argwhere(seen)[:, None, ::-1] + _CORNERS
    colors: Any = np.empty((len(corners), 4))  # the types of Matplotlib lack arrays of colours
    colors[:, :3], colors[:, 3] = to_rgb(BLUE), np.minimum(matrix[seen], 1)
    cells = PatchCollection([])  # of squares without a Rectangle each, which takes ten times as long to make
    Collection.set_paths(cells, PolyCollection(corners).get_paths())
    cells.set_facecolor(colors)
    cells.set_edgecolor("none")
    ax.add_collection(cells)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.grid(visible=False)
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_aspect("equal")
    # A subword may hold a dollar sign: labels are text, not formulas.
    ax.set_xticks(range(columns), source_subwords, rotation=90, parse_math=False)
    ax.set_yticks(range(rows), target_subwords, parse_math=False)
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set_visible(True)
        ax.spines[side].set_color(FAINT)


def attention_size(source_subwords: Sequence[str], target_subwords: Sequence[str]) -> tuple[float, float]:
    """Return the width and height, in inches, of a figure whose cells and labels are large enough to read."""
    across, down = (
        _CELL * len(cells) + _LETTER * max(map(_letters, labels), default=0) + 0.3
        for cells, labels in ((source_subwords, target_subwords), (target_subwords, source_subwords))
    )
    return max(across, 1.5), max(down, 1.5)


def _letters(label: str) -> int:
    """Return how many letters wide a label is; a Chinese character is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in label)


def render_attention(sentences: Sequence[SentenceAttention]) -> Rendered:
    """Make a figure of several sentences, one below the other.

    Args:
        sentences: At least one.

    Returns:
        The figure.
    """
    sizes = [attention_size(sentence.source, sentence.target) for sentence in sentences]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(sentences), squeeze=False, height_ratios=[height for _, height in sizes])
        for ax, sentence in zip(panels[:, 0], sentences, strict=True):
            draw_attention(ax, sentence.source, sentence.target, sentence.weights)

    return render_figure(draw, max(width for width, _ in sizes), sum(height for _, height in sizes))
