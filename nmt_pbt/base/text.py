"""Counts in sentences: the noun is in the plural unless there is exactly one."""

from __future__ import annotations


def counted(count: float, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, for instance `1 model`, `1,014 pairs`, `0.5 epochs` or `2 searches`.

    Args:
        count: How many; whole numbers with commas, fractions to six significant digits.
        noun: In the singular.
        plural: What it is for more or less than one; None adds an s.
    """
    number = f"{count:,}" if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun if count == 1 else plural or noun + 's'}"
