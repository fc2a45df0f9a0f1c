"""How translations are searched for."""

from __future__ import annotations

from dataclasses import dataclass

from nmt_pbt.tasks.translation.settings.sections import EvaluationSettings


@dataclass(frozen=True)
class DecodingOptions:
    """How translations are searched for, and scored.

    Attributes:
        beam: Beam width; 1 is greedy.
        length_penalty: Exponent of the length normalisation (Wu et al. 2016, eq. 14).
        coverage_penalty: Weight of the coverage penalty (the same).
        no_repeat_ngram_size: No n-gram of so many subwords comes twice in a translation; 0 allows all. Given
            translations are scored whether they repeat one or not.
    """

    beam: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    no_repeat_ngram_size: int = 0

    def __str__(self) -> str:
        blocked = f", no {self.no_repeat_ngram_size}-gram twice" if self.no_repeat_ngram_size else ""
        return f"beam {self.beam}{blocked}"

    @classmethod
    def of(
        cls, evaluation: EvaluationSettings, beam: int | None = None, no_repeat_ngram_size: int | None = None
    ) -> DecodingOptions:
        """Return the options of a run's settings.

        Args:
            evaluation: The settings.
            beam: Another beam width; None takes the settings'.
            no_repeat_ngram_size: Another size; None takes the settings'.
        """
        return cls(
            beam=evaluation.beam if beam is None else beam,
            length_penalty=evaluation.length_penalty,
            coverage_penalty=evaluation.coverage_penalty,
            no_repeat_ngram_size=(
                evaluation.no_repeat_ngram_size if no_repeat_ngram_size is None else no_repeat_ngram_size
            ),
        )
