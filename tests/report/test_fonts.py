"""Figures find a font for what their own cannot write, and say once what no font has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager

from nmt_pbt.cli.main import app
from nmt_pbt.cli.usage import run_app
from nmt_pbt.report import watch as watching
from nmt_pbt.report.figures import fonts
from nmt_pbt.report.figures.attention import attention_size, render_attention
from nmt_pbt.report.figures.fonts import FONT, fonts_for, missing_text
from nmt_pbt.tasks.translation.decoding.attention_record import (
    SentenceAttention,
    attention_path,
    read_attention,
    write_attention,
)
from tests.report.fake_run import write_fake_run
from tests.report.made_font import write_font

CHINESE = "那只猫睡觉。"


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files of the fonts of this machine: none, until a test adds some."""
    files: list[str] = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: files)
    known = list(font_manager.fontManager.ttflist)

    def forget() -> None:
        fonts._found.cache_clear()
        fonts._system_fonts.cache_clear()

    forget()
    yield files
    forget()
    font_manager.fontManager.ttflist[:] = known


def sentence(target: str) -> SentenceAttention:
    return SentenceAttention(0, ["▁The", "▁cat"], list(target), np.full((len(target), 2), 0.5))


def test_text_that_the_usual_font_has_is_written_by_it_alone(system):
    assert fonts_for(["▁größer ½ Привет", "مرحبا", "\n"]).families == (FONT,)


def test_a_font_that_has_the_characters_is_found_on_the_system_and_writes_them(system, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    system += [str(tmp_path / "broken.ttf"), str(write_font(tmp_path / "thai.ttf", "Test Thai", "ไทย"))]
    system += [
        str(write_font(tmp_path / "han.ttf", "Test Han", CHINESE)),
        str(write_font(tmp_path / "b.ttf", "B", "猫")),
    ]
    assert fonts_for([CHINESE]).families == (FONT, "Test Han")
    assert fonts_for([CHINESE, "ไทย"]).families == (FONT, "Test Han", "Test Thai")
    made = render_attention([sentence(CHINESE)])
    assert made.missing == frozenset()
    assert made.svg.count('id="TestHan') == len(CHINESE)
    assert 'id="DejaVuSans' in made.svg
    assert made == render_attention([sentence(CHINESE)])


def test_what_no_font_has_is_told_without_a_warning(system, tmp_path):
    system.append(str(write_font(tmp_path / "han.ttf", "Test Han", "那只")))
    made = render_attention([sentence(CHINESE)])
    assert made.missing == set("猫睡觉。")
    assert missing_text(made.missing).startswith("no font on this machine has these characters of the figures")
    assert "。 猫 睡 觉; install one" in missing_text(made.missing)
    assert missing_text({chr(0x4E00 + place) for place in range(30)}).count("and 18 more") == 1
    assert missing_text([]) == ""


@pytest.fixture
def chinese_run(tmp_path: Path) -> Path:
    """A run whose translations are Chinese."""
    run = write_fake_run(tmp_path / "run", ("pbt",), population=2, epochs=2.0, sentences=80)
    for file in (run / "translations").glob("*.txt"):
        path = attention_path(file)
        found = read_attention(path)
        weights = [np.full((len(CHINESE), len(one.source)), 1 / len(one.source)) for one in found]
        pairs = zip(found, weights, strict=True)
        write_attention(path, [SentenceAttention(one.line, one.source, list(CHINESE), its) for one, its in pairs])
    return run


def test_a_report_tells_once_what_is_missing_and_its_page_says_so(chinese_run, system, capfd, no_pictures):
    assert run_app(app, ["report", str(chinese_run)]) == 0
    output, errors = capfd.readouterr()
    told = missing_text(frozenset(CHINESE))
    assert errors == f"nmt-pbt: {told}\n"
    page = Path(output.strip()).read_text(encoding="utf-8")
    assert f"N{told[1:]}." in page


def test_a_report_that_is_drawn_again_and_again_tells_it_once(one_path, monkeypatch):
    told: list[str] = []
    looks = iter([False, False, True])
    monkeypatch.setattr(watching, "write_report", lambda run, refresh, tell: tell("no font") or Path("page"))
    monkeypatch.setattr(watching, "is_over", lambda run: next(looks))
    sizes = iter(range(1, 4))
    monkeypatch.setattr(Path, "stat", lambda path, **_: SimpleNamespace(st_size=next(sizes)))
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(watching, "load_run", lambda path: SimpleNamespace(winners=pd.DataFrame({"method": ["pbt"]})))
    watching.watch(one_path, lambda page: None, sleep=lambda seconds: None, tell=told.append)
    assert told == ["no font"]


def test_a_chinese_character_has_room_for_two_letters():
    wide, narrow = attention_size(["a"], ["猫猫"]), attention_size(["a"], ["aaaa"])
    assert wide == narrow
