"""Settings of translating and scoring."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nmt_pbt.settings.sections import Count, Section

MOST_SAMPLES = 20
"""Dev sentences that a run can show, at most."""


class EvaluationSettings(Section):
    """How translations are made and scored."""

    batch_size: Count = 128
    """Sentences decoded together"""
    beam: Count = 5
    """Beam width on the test split and in `translate`; the dev split is decoded greedily"""
    length_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    """Exponent of the length normalisation (Wu et al. 2016)"""
    coverage_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the penalty for source positions that were not attended to (Wu et al. 2016)"""
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 2
    """Dev sentences whose translations are shown and recorded whenever a search finds a better model"""
    kept_models: Count = 1
    """Models of each search that stay on the disk: its winner, and the best other members of its population, which can
    translate together with it"""
