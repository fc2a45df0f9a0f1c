"""Names and numbers as text, the same in sentences, tables, captions and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from nmt_pbt.report.inference import Estimate
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import Run
from nmt_pbt.space.settings import ChoiceDomain, Domain

_METRICS = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
_PERCENTAGES = ("bleu", "chrf", "ter")
"""Metrics from 0 to 100, which are shown with one decimal."""


def metric_label(metric: str) -> str:
    """Return a metric's name in words: `val_bleu` is "dev BLEU", `bleu` is "BLEU"."""
    name = metric.removeprefix("val_")
    return ("dev " if name != metric else "") + _METRICS.get(name, name)


def value_label(hyperparameter: str) -> str:
    """Return a hyperparameter's name in words."""
    return hyperparameter.replace("_", " ")


def score_text(score: float, metric: str) -> str:
    """Return a score as it is shown everywhere: one decimal for BLEU and chrF, three for other metrics."""
    return "–" if math.isnan(score) else _rounded(score, _digits(metric))


def value_text(value: object) -> str:
    """Return a hyperparameter's value, to three significant digits where it is a fraction."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return "–" if value is None or value is pd.NA else str(value)


def signed(difference: float, metric: str = "bleu") -> str:
    """Return a difference of scores with its sign, for instance `+0.4` or `−1.2`; what rounds to zero has none."""
    if math.isnan(difference):
        return "–"
    text = _rounded(difference, _digits(metric))
    return f"+{text}" if difference > 0 and float(text) else text


def estimate_text(estimate: Estimate, metric: str, short: bool = False) -> str:
    """Return a mean with its interval: `34.1 (33.6 to 34.9)`; of one search the mean alone.

    Args:
        estimate: A mean over searches.
        metric: What it is a mean of.
        short: Write `34.1 ± 0.4` where the interval is as long on either side.
    """
    mean, low, high = estimate.mean, estimate.low, estimate.high
    text = score_text(mean, metric)
    if math.isnan(low):
        return text
    if short and math.isclose(high - mean, mean - low, rel_tol=1e-6, abs_tol=1e-9):
        return f"{text} ± {score_text(high - mean, metric)}"
    return f"{text} ({score_text(low, metric)} to {score_text(high, metric)})"


def p_text(p: float) -> str:
    """Return a p-value as text; all of them are adjusted for the number of comparisons."""
    if p < 0.001:
        return "adjusted p < 0.001"
    digits = 4 if round(p, 3) == 0.05 else 3 if p < 0.1 else 2  # 0.0496 is significant, 0.050 would not look it
    return f"adjusted p = {p:.{digits}f}"


def percent(share: float) -> str:
    """Return a share as text, for instance `30%`."""
    return f"{100 * share:.0f}%"


def duration(seconds: float) -> str:
    """Return a length of time as text: `48 s`, `12 min` or `3 h 05 min`; a dash where there is none yet."""
    if math.isnan(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def range_text(domain: Domain) -> str:
    """Return a hyperparameter's range in words."""
    if isinstance(domain, ChoiceDomain):
        return ", ".join(value_text(value) for value in domain.choices)
    kind = "whole numbers" if domain.integer else "on a log scale" if domain.scale == "log" else ""
    step = f"in steps of {domain.step:g}" if domain.step is not None else ""
    return " ".join(filter(None, [f"{domain.min:g} to {domain.max:g}", kind, step]))


def _digits(metric: str) -> int:
    return 1 if metric.removeprefix("val_") in _PERCENTAGES else 3


def _rounded(number: float, digits: int) -> str:
    """Return a number with so many decimals, a true minus, and no sign where it rounds to zero."""
    text = f"{number:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """Return names as text: `A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def search_name(run: Run, method: str, seed: int) -> str:
    """Return the name of a search, for instance `PBT`, or `PBT, seed 2` in a run of several seeds."""
    label = method_info(method).label
    return f"{label}, seed {seed}" if _several(run) else label


def with_seed(run: Run, seed: int) -> str:
    """Return what to add to a name in a sentence: ` with seed 2`, or nothing in a run of one seed."""
    return f" with seed {seed}" if _several(run) else ""


def _several(run: Run) -> bool:
    return bool(run.searches["seed"].nunique() > 1)
