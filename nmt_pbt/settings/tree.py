"""All settings of a run, as one tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from nmt_pbt.base.errors import suggest
from nmt_pbt.settings.corpus import CorpusSettings
from nmt_pbt.settings.engine import EngineSettings
from nmt_pbt.settings.evaluation import EvaluationSettings
from nmt_pbt.settings.hyperparameters import MUTABLE, SEARCHABLE, check_domain
from nmt_pbt.settings.methods import PBTSettings
from nmt_pbt.settings.model import ModelSettings
from nmt_pbt.settings.schedule import check_segments
from nmt_pbt.settings.search import SearchSettings
from nmt_pbt.settings.sections import ChoiceDomain, FileName, Section
from nmt_pbt.settings.training import TrainingSettings


class Settings(Section):
    """The whole tree."""

    name: FileName | None = None
    """Name of the run: its folder under results/; null takes the corpus's name"""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random"""
    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    engine: EngineSettings = EngineSettings()

    @property
    def run_name(self) -> str:
        """The run's name: as given, or else after its corpus."""
        return self.name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.corpus.name).name)[:100].strip("-.") or "run"

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = set(SEARCHABLE)
        for name in self.search.space:
            if name not in known:
                raise ValueError(f"search.space.{name}: no such hyperparameter{suggest(name, known)}")
            check_domain(name, self.search.space[name])
        check_segments(self.search.replay.schedule)
        if self.search.interval > self.training.epochs:
            raise ValueError(
                f"search.interval {self.search.interval:g} is longer than training.epochs {self.training.epochs:g}; "
                "make it shorter"
            )
        return self


def without_search(settings: Settings) -> Settings:
    """Return settings whose space holds the training values alone: nothing is left to search."""
    space = {name: ChoiceDomain(choices=[getattr(settings.training, name)]) for name in MUTABLE}
    search = settings.search.model_copy(update={"space": space, "pbt": PBTSettings()})
    return settings.model_copy(update={"search": search})
