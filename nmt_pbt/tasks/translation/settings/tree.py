"""All settings of a translation run, as one tree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.types import Value
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.segments import Segment, check_segments
from nmt_pbt.settings.loading import load
from nmt_pbt.settings.tree import RunSettings
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Objective
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import tokenizer_for
from nmt_pbt.tasks.translation.settings import exploits  # noqa: F401 - registers its exploit strategies
from nmt_pbt.tasks.translation.settings.sections import (
    HYPERPARAMETERS,
    MUTABLE,
    SEARCHABLE,
    STRUCTURAL,
    CorpusSettings,
    EvaluationSettings,
    ModelSettings,
    TrainingSettings,
    check_value,
)

OBJECTIVES: dict[str, Objective] = {
    name: Objective(name, "min" if name == "val_loss" else "max") for name in ("val_bleu", "val_chrf", "val_loss")
}
"""What a search can decide by, by name."""
MOST_EVALUATIONS = 1_000_000
"""Intervals of a trial, at most."""


class TranslationSettings(RunSettings):
    """The settings of a translation run, as one tree."""

    of_others: ClassVar[frozenset[str]] = frozenset({"task"})
    model_files: ClassVar[tuple[str, ...]] = ("subwords.model",)

    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @property
    def epochs(self) -> float:
        """Epochs that each trial trains, and each member of a population."""
        return self.training.epochs

    @property
    def bleu_tokenizer(self) -> str:
        """The tokenizer of BLEU: that of the settings, else that of the target language."""
        return self.evaluation.tokenize or tokenizer_for(self.corpus.target_language)

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

    def search_plan(self) -> SearchPlan:
        """Return what these settings mean to the search methods.

        Raises:
            UsageError: The search space cannot be used.
        """
        space = Space.from_domains(self.search.space, structural=(*STRUCTURAL, "epochs"))
        configured = {**self.training.model_dump(), **self.model.model_dump()}
        return SearchPlan(
            settings=self.search,
            space=space,
            defaults={name: configured[name] for name in space.names},
            epochs=self.epochs + self.search.more_epochs,
            first_seed=self.seed,
            objective=OBJECTIVES[self.search.objective],
            check_unsearched=_check_unsearched,
        )

    def check_searches(self) -> None:
        """Refuse searches that cannot run with these settings; see `RunSettings.check_searches`."""
        training = self.training
        if training.early_stopping is not None and self.search.methods != ["manual"]:
            raise UsageError(
                f"training.early_stopping {training.early_stopping}: is for `nmt-pbt train`; methods are compared at "
                "equal budgets: set it to null"
            )
        decay = self.search.space.get("average_decay")
        if training.averaging != "exponential" and decay is not None and not _is_fixed(decay):
            raise UsageError(
                "search.space.average_decay: nothing reads it unless training.averaging is exponential; set that too"
            )
        super().check_searches()

    @model_validator(mode="after")
    def _consistent(self) -> TranslationSettings:
        known = set(SEARCHABLE)
        for name in self.search.space:
            if name not in known:
                raise ValueError(f"search.space.{name}: no such hyperparameter{suggest(name, known)}")
            HYPERPARAMETERS[name].check_domain(self.search.space[name], f"search.space.{name}")
        check_schedule(self.search.replay.schedule)
        objective = self.search.objective
        if objective not in OBJECTIVES:
            raise ValueError(f"search.objective: no such metric '{objective}'{suggest(objective, OBJECTIVES)}")
        if self.search.interval > self.training.epochs:
            raise ValueError(
                f"search.interval {self.search.interval:g} is longer than training.epochs {self.training.epochs:g}; "
                "make it shorter"
            )
        if self.training.epochs > MOST_EVALUATIONS * self.search.interval:
            raise ValueError(
                f"search.interval {self.search.interval:g}: cuts training.epochs {self.training.epochs:g} into more "
                f"than {MOST_EVALUATIONS:,} intervals; make it longer"
            )
        return self


def check_schedule(segments: Sequence[Segment]) -> None:
    """Refuse segments of a schedule that no one translator can be trained with.

    Raises:
        ValueError: Says which segment, and why.
    """
    check_segments(segments, (*MUTABLE, *STRUCTURAL), STRUCTURAL, check_value)


def _check_unsearched(name: str, value: Value, where: str) -> None:
    if name not in (*MUTABLE, *STRUCTURAL):
        raise UsageError(f"{where}: no such hyperparameter '{name}'{suggest(name, (*MUTABLE, *STRUCTURAL))}")
    try:
        check_value(name, value, f"{where}: {name}")
    except ValueError as error:
        raise UsageError(str(error)) from None


def _is_fixed(domain: NumberDomain | ChoiceDomain) -> bool:
    return domain.min == domain.max if isinstance(domain, NumberDomain) else len(domain.choices) == 1


def without_search(settings: TranslationSettings) -> TranslationSettings:
    """Return settings whose space holds the training values alone: nothing is left to search."""
    space = {name: ChoiceDomain(choices=[getattr(settings.training, name)]) for name in MUTABLE}
    search = settings.search.model_copy(update={"space": space})
    return settings.model_copy(update={"search": search})


def for_new_run(settings: TranslationSettings) -> TranslationSettings:
    """Return settings as a new run records them: what follows from the language and the machine is written out."""
    evaluation = settings.evaluation.model_copy(update={"tokenize": settings.bleu_tokenizer})
    return settings.model_copy(update={"evaluation": evaluation})


def load_settings(
    path: Path | None = None, assignments: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> TranslationSettings:
    """Read the settings of a translation run; see `settings.loading.load`."""
    return load(TranslationSettings, path, assignments, overrides)
