"""Every figure draws in ordinary and in odd cases, changes nothing global, and comes out the same each time."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nmt_pbt.report.comparisons import Comparison
from nmt_pbt.report.figures.inline import inline_svg
from nmt_pbt.report.figures.palette import COLORS, PAPER
from nmt_pbt.report.figures.population import draw_family_tree
from nmt_pbt.report.figures.scores import draw_differences
from nmt_pbt.report.figures.slices import draw_slice
from nmt_pbt.report.figures.style import places, render, scale_axis
from nmt_pbt.report.gallery import drawings
from nmt_pbt.report.labels import metric_label
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.statistics import results_of
from nmt_pbt.run.records import Evaluated
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, ended, evaluated, run_started, search, small_population


def gallery(run: Run) -> list:
    return drawings(results_of(run))


def test_a_run_gets_its_figures(one_path):
    names = [drawing.name for drawing in gallery(load_run(one_path))]
    assert len(set(names)) == len(names)
    assert names[:4] == ["best_so_far_budget", "best_so_far_time", "test_bleu", "test_chrf"]
    for name in ("learning_curves_pbt_seed0", "family_tree_pbt_seed0", "schedule_pbt_dropout", "values_batch_size"):
        assert name in names
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)


@pytest.mark.parametrize(
    ("unit", "axes"),
    [
        (None, ["epochs of training, all trials together", "sentence pairs trained"]),
        ("tree", ["epochs of training, all trials together", "trees trained"]),
        ("epoch", ["epochs of training, all trials together"]),
    ],
)
def test_the_axes_of_what_was_spent_are_in_epochs_and_in_the_unit_of_the_task(one_path, unit, axes):
    run = load_run(one_path)
    settings = dict(run.settings) if unit is None else {**run.settings, "unit": unit}
    budget, time = gallery(dataclasses.replace(run, settings=settings))[:2]
    assert x_labels(budget.draw) == axes
    assert x_labels(time.draw) == ["wall-clock in minutes"]


def x_labels(draw) -> list[str]:
    ax = Figure().add_subplot()
    draw(ax)
    return [ax.get_xlabel(), *(child.get_xlabel() for child in ax.child_axes)]


def test_what_has_one_value_only_is_not_drawn(one_path):
    run = load_run(one_path)
    names = [drawing.name for drawing in gallery(run)]
    assert "values_dropout" in names
    space = {
        **run.settings["search"]["space"],
        "dropout": {"choices": [0.2]},
        "learning_rate": {"min": 0.1, "max": 0.1},
    }
    settings = {**run.settings, "search": {**run.settings["search"], "space": space}}
    names = [drawing.name for drawing in gallery(dataclasses.replace(run, settings=settings))]
    assert "values_batch_size" in names
    assert not {"values_dropout", "values_learning_rate", "pair_learning_rate_batch_size"} & set(names)


def test_captions_and_alternative_texts_are_whole_sentences_with_numbers(three_path):
    for drawing in gallery(load_run(three_path)):
        assert drawing.alt.endswith(".")
        assert drawing.caption.endswith(".")
        assert re.search(r"\d", drawing.alt), drawing.name


def test_drawing_changes_no_global_style_and_comes_out_the_same(one_path):
    before = dict(mpl.rcParams)
    drawing = gallery(load_run(one_path))[0]
    first = render(drawing.draw)
    assert render(drawing.draw) == first
    assert dict(mpl.rcParams) == before
    assert first.png.startswith(b"\x89PNG")
    assert "<dc:date>" not in first.svg


def test_drawing_neither_needs_nor_loads_pyplot_or_anything_heavy(tmp_path):
    path = write_fake_run(tmp_path / "run", ("pbt",), population=3, epochs=2.0, sentences=80)
    code = (
        "import sys; from nmt_pbt.report.page import write_report; write_report(sys.argv[1]);"
        "print([name for name in ('matplotlib.pyplot', 'tensorflow', 'keras', 'keras_tuner') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def odd_runs() -> dict[str, list]:
    """Searches that are cut short, fail, or are about words and losses."""
    loss = {"metric": "val_loss"}
    return {
        "one evaluation": [run_started(), search(), assigned("0", member=0, rate=0.1), evaluated("0", 1.0, 100, 100)],
        "a loss, one member failing": [
            run_started(),
            search(direction="min"),
            assigned("0", member=0, rate=0.1),
            evaluated("0", 2.0, 100, 100, **loss),
            assigned("1", member=1, rate=0.2),
            evaluated("1", None, 0, 200, **loss),
            ended("1", failed="out of memory"),
            assigned("2", member=1, parent="0", inherited=True, generation=1, rate=0.3),
            evaluated("2", 1.5, 200, 300, **loss),
        ],
        "words and equal scores": [
            run_started(),
            search("random"),
            assigned("0", method="random", rate=0.1, attention="dot"),
            evaluated("0", 0.0, 100, 100, method="random"),
            assigned("1", method="random", rate=0.1, attention="additive"),
            evaluated("1", 0.0, 100, 200, method="random"),
        ],
        "no worker's time": [
            run_started(),
            search("unheard-of"),
            assigned("0", method="unheard-of", rate=0.1),
            evaluated("0", 3.0, 100, 100, method="unheard-of", train=0.0),
        ],
    }


@pytest.mark.parametrize("which", list(odd_runs()))
def test_odd_runs_are_drawn_all_the_same(which):
    space = {"rate": {"min": 0.1, "max": 0.1}, "attention": {"choices": ["dot", "additive"]}}
    run = Run(Path("nowhere"), {"search": {"space": space}}, {}, odd_runs()[which])
    for drawing in gallery(run):
        made = render(drawing.draw, height=drawing.height)
        svg, png = made.svg, made.png
        assert len(png) > 1000
        assert "</svg>" in svg


def ticks(axis: mpl.axis.Axis) -> list[float]:
    """Where an axis has ticks, within its limits."""
    low, high = sorted(axis.get_view_interval())
    return [float(tick) for tick in axis.get_majorticklocs() if low <= tick <= high]


def test_a_family_tree_of_one_generation_has_whole_numbers_on_its_axes():
    tree = pd.DataFrame({"trial": ["a", "b"], "generation": [0, 0], "member": [0, 1], "rank": [0.0, 1.0]})
    tree = tree.assign(parent_generation=np.nan, parent_member=np.nan, inherited=False, winner=[True, False])
    ax = Figure().add_subplot()
    draw_family_tree(ax, tree)
    assert ticks(ax.xaxis) == [0]
    assert ticks(ax.yaxis) == [0, 1]


def test_a_population_in_which_nobody_adopted_has_no_family_tree(three_path):
    names = [drawing.name for drawing in gallery(load_run(three_path))]
    assert "family_tree_exploit-only_seed0" in names
    assert "learning_curves_explore-only_seed0" in names
    assert "family_tree_explore-only_seed0" not in names


def test_what_has_not_changed_yet_in_one_generation_is_not_drawn():
    settings = {"search": {"space": {}}}
    run = Run(
        Path("nowhere"),
        settings,
        {},
        [run_started(), search(), assigned("a", member=0, batch=32), evaluated("a", 1.0, 100, 100)],
    )
    names = [drawing.name for drawing in gallery(run)]
    assert "learning_curves_pbt_seed0" in names
    assert not [name for name in names if name.startswith(("founders", "diversity", "family_tree"))]


def test_a_schedule_says_that_it_does_not_show_what_callbacks_made_of_a_learning_rate():
    def first_caption(rates: dict[str, float]) -> str:
        records = [
            record.model_copy(update={"metrics": {**record.metrics, **rates}})
            if isinstance(record, Evaluated) and record.trial == "b1"
            else record
            for record in small_population()
        ]
        run = Run(Path("nowhere"), {"search": {"space": {}}}, {}, records)
        return next(drawing.caption for drawing in gallery(run) if drawing.name == "schedule_pbt_rate")

    assert "callbacks" not in first_caption({})
    told = first_caption({"optimizer.learning_rate": 0.04})
    assert "what callbacks made of learning rates is not drawn: optimizer.learning_rate in evaluations.csv." in told


def test_best_so_far_is_drawn_of_rivals_and_ablations_apart(three_path):
    drawn = {drawing.name: drawing.alt for drawing in gallery(load_run(three_path))}
    assert "Grid" in drawn["best_so_far_budget"]
    assert "only" not in drawn["best_so_far_budget"]
    assert "Exploit only" in drawn["ablations"]


def test_a_significant_difference_has_a_full_mark_and_others_a_hollow_one():
    row = {"method_a": "pbt", "metric": "bleu", "difference": 1.0, "low": 0.5, "high": 1.5}
    row.update(sentences_low=0.2, sentences_high=1.8, p_searches=0.01, p_sentences=0.01, searches=3, needed=3)
    row.update(probability=1.0, wins=3, losses=0, family="rivals", compared=2)
    rows = [Comparison(**row, method_b="random", verdict="a"), Comparison(**row, method_b="grid", verdict="models")]
    ax = Figure().add_subplot()
    draw_differences(ax, rows)
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() not in ("None", None)]
    assert faces == [method_info("random").color, PAPER]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Random", "Grid"]


def test_marks_at_a_choice_stand_beside_each_other_by_method():
    points = pd.DataFrame({"method": ["pbt", "grid"], "score": [1.0, 1.0], "winner": False, "batch": 32})
    points["batch_bound"] = ""
    ax = Figure().add_subplot()
    draw_slice(ax, points, "batch", ChoiceDomain(choices=[16, 32, 64]), "val_bleu", "max")
    ax.figure.canvas.draw()
    places_ = [line.get_transform().transform((32.0, 1.0))[0] for line in ax.lines if len(line.get_xdata())]
    assert len(places_) == 2
    assert places_[0] < places_[1]


def test_no_two_methods_look_alike():
    methods = ["pbt", "random", "grid", "bayes", "hyperband", "manual", "exploit-only", "explore-only"]
    styles = [method_info(method) for method in methods]
    for attribute in ("label", "color", "line", "marker"):
        assert len({getattr(style, attribute) for style in styles}) == len(styles), attribute
    assert method_info("something").label == "something"


def luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("shade", [0, 1])
def test_text_and_lines_stand_out_from_the_page_light_and_dark(shade):
    paper = COLORS["paper"][shade]
    assert contrast(COLORS["ink"][shade], paper) >= 7
    assert contrast(COLORS["muted"][shade], paper) >= 4.5
    for name in ("blue", "orange", "green", "purple", "sky", "vermillion", "grey"):
        assert contrast(COLORS[name][shade], paper) >= 2.2, name


@pytest.mark.parametrize("shade", [0, 1])
def test_lines_of_several_runs_stand_out_light_and_dark_and_from_one_another(shade):
    for method in (
        "pbt",
        "random",
        "grid",
        "bayes",
        "hyperband",
        "exploit-only",
        "explore-only",
        "replay",
        "final-values",
    ):
        light = [method_info(f"{method} ({number}: run)").color for number in (1, 2, 3, 4)]
        shown = [next(pair[shade] for pair in COLORS.values() if pair[0] == color) for color in light]
        assert all(contrast(color, COLORS["paper"][shade]) >= 1.8 for color in shown), method
        apart = [contrast(a, b) for place, a in enumerate(shown) for b in shown[place + 1 :]]
        assert min(apart) >= 1.1, method


def test_inlined_figures_keep_their_ids_apart_and_share_their_letters(one_path):
    drawing = gallery(load_run(one_path))[0]
    svg = render(drawing.draw).svg
    glyphs: dict[str, str] = {}
    first, second = (inline_svg(svg, prefix, glyphs) for prefix in ("a", "b"))
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', first))
    assert used <= ids[0] | set(glyphs)
    assert used & set(glyphs)
    assert "var(--blue)" in first
    assert COLORS["ink"][0] not in first
    assert len(first) < 0.6 * len(svg)


def test_metrics_have_names_in_words():
    assert [metric_label(name) for name in ("val_bleu", "chrf", "val_loss", "other")] == [
        "dev BLEU",
        "chrF",
        "dev loss",
        "other",
    ]


def test_words_are_placed_in_their_order_and_numbers_as_they_are():
    words = ChoiceDomain(choices=["dot", "additive"])
    assert places(["additive", "dot"], words) == [1.0, 0.0]
    assert pd.isna(places(["general"], words)[0])
    assert places([0.5, 2], NumberDomain(min=0, max=2)) == [0.5, 2.0]


@pytest.mark.parametrize(
    ("domain", "scale", "labels"),
    [
        (NumberDomain(min=3e-4, max=1e-2, scale="log"), "log", ["0.0005", "0.001", "0.002", "0.005", "0.01"]),
        (ChoiceDomain(choices=[16, 32, 64, 128]), "log", ["16", "32", "64", "128"]),
        (ChoiceDomain(choices=[1, 2]), "linear", ["1", "2"]),
        (ChoiceDomain(choices=["dot", "additive"]), "linear", ["dot", "additive"]),
        (NumberDomain(min=1e-8, max=1, scale="log"), "log", None),
    ],
)
def test_axes_suit_their_hyperparameter(domain, scale, labels):
    ax = Figure().add_subplot()
    scale_axis(ax, "x", domain, 0.001, 0.002) if isinstance(domain, NumberDomain) else scale_axis(ax, "x", domain, 1, 2)
    assert ax.get_xscale() == scale
    low, high = ax.get_xlim()
    shown = [ax.xaxis.get_major_formatter()(tick, None) for tick in ax.xaxis.get_majorticklocs() if low <= tick <= high]
    assert shown == labels if labels else 5 <= len(shown) <= 10


def test_a_figure_on_a_dark_ground_is_the_same_drawing_in_dark_colours(one_path):
    from matplotlib.image import imread

    for drawing in gallery(load_run(one_path))[:6]:
        made = render(drawing.draw, height=drawing.height, dark=True)
        light, dark = (imread(io.BytesIO(png))[..., :3] for png in (made.png, made.dark_png))
        assert light.shape == dark.shape
        ground = [light[0, 0], dark[0, 0]]
        assert [mpl.colors.to_hex(color) for color in ground] == list(COLORS["paper"])
        # What is drawn stays where it is.
        drawn = [
            (np.abs(image - color).max(axis=-1) > 0.04) for image, color in zip((light, dark), ground, strict=True)
        ]
        assert (drawn[0] & drawn[1]).sum() > 0.95 * (drawn[0] | drawn[1]).sum()
        ink = np.array(mpl.colors.to_rgb(COLORS["ink"][0]))
        inked = [int((np.abs(image - ink).max(axis=-1) < 0.004).sum()) for image in (light, dark)]
        assert inked[0] > 200
        assert inked[1] < 0.05 * inked[0]  # a shade that happens to be between two others
    assert render(drawing.draw).dark_png == b""


def test_the_svg_file_follows_the_readers_preference(one_path):
    made = render(gallery(load_run(one_path))[0].draw)
    assert "prefers-color-scheme: dark" in made.file_svg
    for light, dark in COLORS.values():
        if light != dark and f"stroke: {light}" in made.svg:
            assert f'[style*="stroke: {light}"] {{ stroke: {dark} !important }}' in made.file_svg
    assert made.file_svg.count("<style") == made.svg.count("<style") + 1
    ElementTree.fromstring(made.file_svg)


def test_what_a_matplotlibrc_says_is_not_for_a_report() -> None:
    plain = render(lambda axes: axes.plot([0, 1], [0, 1]))
    with mpl.rc_context({"text.usetex": True, "lines.linewidth": 9.0, "axes.facecolor": "red"}):
        assert render(lambda axes: axes.plot([0, 1], [0, 1])).svg == plain.svg
