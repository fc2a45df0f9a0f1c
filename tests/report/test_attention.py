"""Attention as a heat map: what is dark, what the labels say, and that odd subwords are drawn as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imread

from nmt_pbt.report.figures.attention import attention_size, draw_attention, render_attention
from nmt_pbt.report.figures.palette import BLUE
from nmt_pbt.report.figures.style import DOTS_PER_INCH
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention

SOURCE = ["▁The", "▁cat", "s", "</s>"]
TARGET = ["▁Die", "▁Katzen", "</s>"]
WEIGHTS = np.array([[0.9, 0.1, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]])


def drawn(source=SOURCE, target=TARGET, weights=WEIGHTS):
    ax = Figure().add_subplot()
    draw_attention(ax, source, target, weights)
    return ax


def test_each_weight_is_a_cell_in_its_row_and_column_as_opaque_as_it_is_large():
    (cells,) = drawn().collections
    found = {}
    for path, color in zip(cells.get_paths(), cells.get_facecolor(), strict=True):
        (left, top), (right, bottom) = path.get_extents().min, path.get_extents().max
        assert (right - left, bottom - top) == (1, 1)
        assert tuple(color[:3]) == to_rgba(BLUE)[:3]
        found[int(top + 0.5), int(left + 0.5)] = color[3]
    assert found == pytest.approx({(0, 0): 0.9, (0, 1): 0.1, (1, 1): 0.5, (1, 2): 0.5, (2, 3): 1.0})


def test_the_source_runs_along_the_top_and_the_target_down_the_side():
    ax = drawn()
    assert [label.get_text() for label in ax.get_xticklabels()] == SOURCE
    assert [label.get_text() for label in ax.get_yticklabels()] == TARGET
    assert ax.get_ylim() == (2.5, -0.5)
    assert ax.xaxis.get_tick_params()["labeltop"]


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 4\). Received: shape \(4, 3\)"):
        drawn(weights=WEIGHTS.T)


@pytest.mark.parametrize("subword", ["$", "$x_1$", "_", "\\", "<&>", '"', "ß", "▁"])
def test_a_subword_is_drawn_as_it_is_whatever_it_holds(subword):
    svg = render_attention([SentenceAttention(0, [subword] * 2, [subword], np.full((1, 2), 0.5))]).svg
    assert svg.count("<use ") == 3 * len(subword)


def test_a_figure_of_many_sentences_is_as_high_as_all_of_them_and_the_same_each_time():
    one, other = (
        SentenceAttention(0, SOURCE, TARGET, WEIGHTS),
        SentenceAttention(0, SOURCE * 9, TARGET, np.tile(WEIGHTS / 9, 9)),
    )
    first = render_attention([one, other])
    assert render_attention([one, other]) == first
    height, width = imread(io.BytesIO(first.png)).shape[:2]
    sizes = [attention_size(matrix.source, matrix.target) for matrix in (one, other)]
    assert height == pytest.approx(sum(size[1] for size in sizes) * DOTS_PER_INCH, abs=2)
    assert width == pytest.approx(sizes[1][0] * DOTS_PER_INCH, abs=2)


def test_cells_are_as_large_in_a_long_sentence_as_in_a_short_one():
    sizes = []
    for times in (1, 12):
        count = 4 * times
        figure = Figure(figsize=attention_size(SOURCE * times, ["▁Wort"] * count), layout="constrained")
        ax = figure.add_subplot()
        draw_attention(ax, SOURCE * times, ["▁Wort"] * count, np.full((count, count), 0.1))
        figure.draw_without_rendering()
        box = ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        sizes.append(box.width / count)
    assert min(sizes) > 0.18
    assert max(sizes) < 0.3
