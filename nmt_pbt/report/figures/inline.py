"""A figure's SVG made part of the page: it follows the page's colours, light and dark, and shares its letters."""

from __future__ import annotations

import re

from nmt_pbt.report.figures.palette import COLORS

_GLYPH = re.compile(r'<path id="([^"]+)"( d="[^"]*" transform="scale\(0\.015625\)"/>)')
_NAMES = {light: name for name, (light, _) in COLORS.items()}


def inline_svg(svg: str, prefix: str, glyphs: dict[str, str]) -> str:
    """Return a figure as an element of an HTML page.

    Args:
        svg: As `style.render` returns it.
        prefix: Keeps its ids apart from other figures'.
        glyphs: Letters of all figures of the page, by id; those of this one are added, to be put on the page once.

    Returns:
        One `svg` element, without ids that nothing refers to.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r'\1 aria-hidden="true"', body, count=1)
    for name, rest in _GLYPH.findall(body):
        glyphs[name] = f'<path id="{name}"{rest}'
    body = _GLYPH.sub("", body)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body)) - set(glyphs)
    body = re.sub(r' id="([^"]+)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(
        r'(href="|url\()#([^")]+)',
        lambda match: f"{match[1]}#{prefix + '-' if match[2] in used else ''}{match[2]}",
        body,
    )
    body = re.sub(
        r"#[0-9a-f]{6}\b", lambda match: f"var(--{_NAMES[match[0]]})" if match[0] in _NAMES else match[0], body
    )
    # A hundredth of a point is finer than any screen, and less than half the size.
    body = re.sub(r' (d|x|y)="([^"]*)"', lambda match: f' {match[1]}="{_rounded(match[2])}"', body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    return re.sub(r"\s*\n\s*", "\n", body).strip()


def _rounded(numbers: str) -> str:
    return re.sub(r"(-?\d+\.\d{2})\d+", r"\1", numbers)
