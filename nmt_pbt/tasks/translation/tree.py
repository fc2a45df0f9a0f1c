"""All settings of a translation run, as one tree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import model_validator

from nmt_pbt.base.errors import suggest
from nmt_pbt.search.settings import PBTSettings, check_segments
from nmt_pbt.settings.loading import load
from nmt_pbt.settings.tree import RunSettings
from nmt_pbt.space.settings import ChoiceDomain
from nmt_pbt.tasks.translation.hyperparameters import MUTABLE, SEARCHABLE, check_domain
from nmt_pbt.tasks.translation.settings import CorpusSettings, EvaluationSettings, ModelSettings, TrainingSettings


class TranslationSettings(RunSettings):
    """The settings of a translation run, as one tree."""

    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @property
    def epochs(self) -> float:
        """Epochs that each trial trains, and each member of a population."""
        return self.training.epochs

    @property
    def kept_models(self) -> int:
        """Models of each search that stay on the disk."""
        return self.evaluation.kept_models

    @property
    def patience(self) -> int | None:
        """Evaluations in a row without a better objective that end a trial; None never does."""
        return self.training.early_stopping

    @property
    def run_name(self) -> str:
        """The run's name: as given, or else after its corpus."""
        return self.name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.corpus.name).name)[:100].strip("-.") or "run"

    @model_validator(mode="after")
    def _consistent(self) -> TranslationSettings:
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


def without_search(settings: TranslationSettings) -> TranslationSettings:
    """Return settings whose space holds the training values alone: nothing is left to search."""
    space = {name: ChoiceDomain(choices=[getattr(settings.training, name)]) for name in MUTABLE}
    search = settings.search.model_copy(update={"space": space, "pbt": PBTSettings()})
    return settings.model_copy(update={"search": search})


def load_settings(
    path: Path | None = None, assignments: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> TranslationSettings:
    """Read the settings of a translation run; see `settings.loading.load`."""
    return load(TranslationSettings, path, assignments, overrides)
