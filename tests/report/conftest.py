"""Made-up runs that several test files draw from."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.report import page
from nmt_pbt.report.figures import style
from tests.report.draw_only import draw_only
from tests.report.fake_run import write_fake_run


@pytest.fixture(scope="session")
def one_path(tmp_path_factory) -> Path:
    """One search by each of four methods."""
    return write_fake_run(tmp_path_factory.mktemp("runs") / "one", sentences=120)


@pytest.fixture(scope="session")
def three_path(tmp_path_factory) -> Path:
    """Three searches by each method, ablations among them."""
    methods = ("pbt", "random", "grid", "bayes", "exploit-only", "explore-only")
    return write_fake_run(tmp_path_factory.mktemp("runs") / "three", methods, seeds=3, sentences=120)


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure is drawn, but neither laid out nor written: for tests of the words of a page."""
    monkeypatch.setattr(page, "render", draw_only)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made as SVG alone, which is on the page."""
    monkeypatch.setattr(style, "_png", lambda figure: b"")
