"""Fonts for text that the usual one cannot write: looked for on the machine, only when a figure holds such text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"
"""The font of all figures; it comes with Matplotlib."""

_SHOWN = 12  # characters named in a message, at most
_REGULAR = 400  # weight of a font that is neither light nor bold


@dataclass(frozen=True)
class Fonts:
    """Fonts that write some text together.

    Attributes:
        families: Their names; a character is written by the first that has it.
        missing: Characters that none on this machine has.
    """

    families: tuple[str, ...] = (FONT,)
    missing: frozenset[str] = frozenset()


def fonts_for(text: Iterable[str]) -> Fonts:
    """Return the fonts that write a text.

    Args:
        text: All that is to be written, in any order.

    Returns:
        The usual font; then those of this machine that have what it lacks, the one that has most of it first.
    """
    characters = frozenset("".join(text)) - {"\n"}
    usual = _code_points(font_manager.findfont(FontProperties(family=FONT)))
    lacking = frozenset(character for character in characters if ord(character) not in usual)
    return _found(lacking) if lacking else Fonts()


@lru_cache(maxsize=64)
def _found(lacking: frozenset[str]) -> Fonts:
    wanted = np.array(sorted(map(ord, lacking)))
    families, candidates = [FONT], _system_fonts()
    while len(wanted):
        held = {entry: np.isin(wanted, points, assume_unique=True) for entry, points in candidates}
        best = min(held, key=lambda entry: (-int(held[entry].sum()), *_order(entry)), default=None)
        if best is None or not held[best].any():
            break
        if all(known.fname != best.fname for known in font_manager.fontManager.ttflist):
            font_manager.fontManager.addfont(best.fname)  # Matplotlib's own list may be older than the font
        families.append(best.name)
        wanted = wanted[~held[best]]
    return Fonts(tuple(families), frozenset(map(chr, wanted.tolist())))


def _order(entry: FontEntry) -> tuple[bool, float, bool, str, str]:
    """Return what comes first of two fonts that have as many of the characters: upright, regular, without serifs."""
    weight = entry.weight if isinstance(entry.weight, int) else _REGULAR
    return entry.style != "normal", abs(weight - _REGULAR), "sans" not in entry.name.lower(), entry.name, entry.fname


@lru_cache(maxsize=1)
def _system_fonts() -> Sequence[tuple[FontEntry, npt.NDArray[np.int64]]]:
    """Return the fonts of this machine with the code points that each has."""
    found = []
    for file in sorted(font_manager.findSystemFonts()):
        try:
            font = FT2Font(file)
            if font.scalable:  # not pictures of letters, which cannot be drawn at any size
                points = np.fromiter(sorted(font.get_charmap()), np.int64)
                found.append((font_manager.ttfFontProperty(font), points))
        except (OSError, RuntimeError, ValueError, KeyError, NotImplementedError):
            continue  # damaged, or of a kind that Matplotlib does not read
    return found


@lru_cache(maxsize=2)
def _code_points(file: str) -> frozenset[int]:
    return frozenset(FT2Font(file).get_charmap())


def missing_text(missing: Collection[str]) -> str:
    """Say in a line that some characters are drawn as boxes; nothing where there are none.

    Args:
        missing: Characters that no font on this machine has.
    """
    if not missing:
        return ""
    shown = " ".join(
        character if character.isprintable() else ascii(character) for character in sorted(missing)[:_SHOWN]
    )
    more = f", and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
    return (
        f"no font on this machine has these characters of the figures, which are drawn as boxes: {shown}{more}; "
        "install one that has them, for instance one of the Noto fonts, and draw them again"
    )
