"""Drives a method's oracle as a run does, without training anything; evidence is that of translation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nmt_pbt.tasks.translation.scoring.significance import pack_counts
from nmt_pbt.testing import SMALL_SEARCH as SMALL
from nmt_pbt.testing import OracleSession, Score
from nmt_pbt.testing import smooth_score as smooth
from tests.run.cheap import sentence_counts_like

__all__ = ["SMALL", "Score", "Session", "smooth"]


def counts_like(score: float) -> str:
    """Counts of BLEU of sentences as good as a score."""
    return pack_counts(sentence_counts_like(score / 40 if math.isfinite(score) else 0.0))


@dataclass
class Session(OracleSession):
    """What was asked of an oracle, and what it answered, so that it can be asked again."""

    evidence: Callable[[float], str] = counts_like
