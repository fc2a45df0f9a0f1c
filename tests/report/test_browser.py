"""The page in a real browser: it shows every figure, says nothing on the console, and asks the network for nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.report.page import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium to be found")]


class Browser:
    """A headless Chromium, driven through its pipe (Chrome DevTools Protocol, messages end with a zero byte).

    Args:
        profile: An empty folder for it to live in.
    """

    def __init__(self, profile: Path) -> None:
        inward, self._write = os.pipe()
        self._read, outward = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--hide-scrollbars"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{inward} 4>&{outward}', "_", BROWSER, *flags, "--remote-debugging-pipe"],
            pass_fds=(inward, outward),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(inward)
        os.close(outward)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode("utf-8") + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._read, 1 << 16)
            assert data, "the browser went away"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        answer = dict(json.loads(line))
        if "method" in answer:
            self.events.append(answer)
        return answer

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Load a page at a width, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def evaluate(self, script: str) -> Any:
        """Return what an expression is worth on the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def report(three_path) -> Path:
    return write_report(three_path)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_every_figure_is_shown_with_no_complaint_and_no_request(browser, report, width, dark):
    browser.open(report, width, dark)
    browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    sizes = browser.evaluate(
        "[...document.querySelectorAll('.drawing svg')].map((svg) => svg.getBoundingClientRect())"
        ".map((box) => [box.left, box.right, box.height])"
    )
    assert len(sizes) == len(list((report.parent / "figures").glob("*.svg"))) > 20
    assert all(left >= 0 and right <= width and height > 100 for left, right, height in sizes)
    # What is wider than the page scrolls inside its own frame, not the page.
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    # Letters are drawn: a reference to a glyph that is not there would have no extent.
    letters = "[...document.querySelectorAll('.drawing use[*|href^=\"#DejaVu\"]')]"
    assert browser.evaluate(f"{letters}.length") > 500
    assert browser.evaluate(f"{letters}.filter((use) => use.getBBox().width > 0).length") > 500
    methods = [event["method"] for event in browser.events]
    assert not {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"} & set(methods), browser.events
    urls = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert all(url == report.as_uri() or url.startswith("data:") for url in urls), urls


def test_the_page_follows_the_readers_preference_for_light_or_dark(browser, report):
    grounds = []
    for dark in (False, True):
        browser.open(report, 1280, dark)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 24, 29)"]


def test_a_table_sorts_by_the_column_that_is_clicked_and_filters_by_method_and_seed(browser, report):
    browser.open(report, 1280)
    column = "[...document.querySelectorAll('#winners tbody tr')].map((row) => Number(row.cells[2].dataset.sort))"
    button = "document.querySelectorAll('#winners thead button')[2]"
    browser.evaluate(f"{button}.click()")
    falling = browser.evaluate(column)
    assert falling == sorted(falling, reverse=True)
    assert len(falling) == 18
    browser.evaluate(f"{button}.click()")
    assert browser.evaluate(column) == falling[::-1]
    browser.evaluate(
        "[...document.querySelectorAll('#results .filters select')].forEach((select) => {"
        " select.selectedIndex = 1; select.dispatchEvent(new Event('change')); })"
    )
    shown = browser.evaluate(
        "[...document.querySelectorAll('#winners tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => [row.dataset.method, row.dataset.seed])"
    )
    assert shown == [["PBT", "0"]]


def test_a_table_that_is_too_wide_can_be_scrolled_with_the_keyboard(browser, report):
    browser.open(report, 390)
    frame = "document.querySelector('#summary').closest('.scroll')"
    assert browser.evaluate(f"{frame}.scrollWidth > {frame}.clientWidth")
    assert browser.evaluate(f"{frame}.tabIndex") == 0
    assert "gradient" in browser.evaluate(f"getComputedStyle({frame}).backgroundImage")  # a shadow: there is more
    assert browser.evaluate(f"document.getElementById({frame}.getAttribute('aria-labelledby')) !== null")


def test_on_paper_the_page_is_light_and_nothing_is_wider_than_the_paper(browser, report):
    browser.open(report, 760)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    widest = browser.evaluate(
        "Math.max(...[...document.querySelectorAll('figure, pre, h1, .findings, dl')]"
        ".map((part) => part.getBoundingClientRect().right))"
    )
    assert widest <= 760
    assert browser.evaluate("getComputedStyle(document.querySelector('.scroll')).backgroundImage") == "none"
    printed = browser.call("Page.printToPDF", printBackground=False)["data"]
    assert len(printed) > 50_000
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_the_files_of_the_figures_follow_the_readers_preference(browser, report):
    drawing = report.parent / "figures" / "best_so_far_budget.svg"
    strokes = []
    for dark in (False, True):
        browser.open(drawing, 600, dark)
        strokes.append(
            browser.evaluate(
                "[...new Set([...document.querySelectorAll('[style*=\"stroke: #0072b2\"]')]"
                ".map((part) => getComputedStyle(part).stroke))]"
            )
        )
    assert strokes == [["rgb(0, 114, 178)"], ["rgb(74, 165, 221)"]]
