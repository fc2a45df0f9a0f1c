"""Numbers as text, the same in sentences, tables and captions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd


def score_text(score: float, metric: str) -> str:
    """Return a score as it is shown everywhere: one decimal for BLEU and chrF, three for a loss."""
    if math.isnan(score):
        return "–"
    return f"{score:.3f}" if metric.endswith("loss") else f"{score:.1f}"


def value_text(value: object) -> str:
    """Return a hyperparameter's value, to three significant digits where it is a fraction."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return "–" if value is None or value is pd.NA else str(value)


def signed(difference: float) -> str:
    """Return a difference in points with its sign, for instance `+0.4` or `−1.2`; zero has none."""
    text = f"{difference:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def listed(names: Sequence[str]) -> str:
    """Return names as text: `A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
