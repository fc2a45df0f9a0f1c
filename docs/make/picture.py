"""Draws a report and takes the picture that the README shows: `python docs/make/picture.py results/multi30k-en-de`.

Needs Chromium; drives it as the tests do.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 1180
"""Of what is shown, in pixels of the page."""


def main(run: Path) -> None:
    """Take it on light and on dark ground: the answer on top, and the first figures under it."""
    sys.path.insert(0, str(ROOT))
    from nmt_pbt.report.page import write_report
    from tests.report.test_browser import Browser

    with tempfile.TemporaryDirectory() as profile, tempfile.TemporaryDirectory() as drawn:
        page = write_report(run, out=Path(drawn) / "report")
        browser = Browser(Path(profile))
        for dark, name in ((False, "report.png"), (True, "report-dark.png")):
            browser.open(page.resolve(), WIDTH, dark)
            # Tables between answer and figures are for reading, not for a picture.
            browser.evaluate("document.querySelectorAll('#results, nav').forEach((part) => part.remove())")
            height = browser.evaluate(
                "document.querySelector('#progress').getBoundingClientRect().bottom + scrollY + 16"
            )
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
            taken = browser.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
            (ROOT / "docs" / "figures" / name).write_bytes(base64.b64decode(taken["data"]))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
