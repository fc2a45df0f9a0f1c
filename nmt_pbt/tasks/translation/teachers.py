"""The models whose translations a distilled corpus is made of, and the parts of a text that they translate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.memory import give_back_memory
from nmt_pbt.base.yaml_text import read_yaml
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.settings.loading import SETTINGS_FILE
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.translator import Translator
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.tasks.translation.tensorflow_start import import_tensorflow


@dataclass(frozen=True)
class Teacher:
    """Models that translate together, and how.

    Attributes:
        name: `forward`, or `reverse` for models that translate the targets back.
        models: The models.
        options: How they search.
    """

    name: str
    models: tuple[KeptModel[TranslationSettings], ...]
    options: DecodingOptions

    @property
    def bytes(self) -> int:
        """Size of the models' files, which is more than the models take in memory."""
        return sum((model.folder / f"{model.name}.safetensors").stat().st_size for model in self.models)

    def described(self) -> dict[str, Any]:
        """Return what is recorded of them, which tells them from any others."""
        return {
            **asdict(self.options),
            "models": [
                {
                    "run": str(model.run),
                    "settings": settings_hash(read_yaml(model.run / SETTINGS_FILE), TranslationSettings),
                    "data": model.data_digest,
                    "name": model.name,
                    "trial": model.trial,
                    model.objective: model.score,
                    "sha256": hashlib.sha256((model.folder / f"{model.name}.safetensors").read_bytes()).hexdigest(),
                }
                for model in self.models
            ],
        }


@dataclass(frozen=True)
class Part:
    """Sentences that one worker translates at a time.

    Attributes:
        name: Of its file.
        lines: The sentences.
    """

    name: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"part {self.name}"


@dataclass(frozen=True)
class PartTranslator:
    """Builds a function that translates parts, in a worker's process.

    Attributes:
        teacher: Which models, and how.
    """

    teacher: Teacher

    def __call__(self, worker: str) -> Callable[[Part], list[str]]:
        """Load the models; return the function that translates a part."""
        import_tensorflow()
        translator = Translator([_with_one_thread(model) for model in self.teacher.models], self.teacher.options)

        def translate(part: Part) -> list[str]:
            try:
                return translator.translate(part.lines)
            finally:
                give_back_memory()

        return translate


def _with_one_thread(model: KeptModel[TranslationSettings]) -> KeptModel[TranslationSettings]:
    engine = model.settings.engine.model_copy(update={"threads": 1})
    return replace(model, settings=model.settings.model_copy(update={"engine": engine}))


def check_reverse(
    forward: Sequence[KeptModel[TranslationSettings]], reverse: Sequence[KeptModel[TranslationSettings]]
) -> None:
    """Refuse a reverse model that does not translate back.

    Raises:
        UsageError: It translates from or into another language.
    """
    ours, theirs = forward[0].settings.corpus, reverse[0].settings.corpus
    if (theirs.source_language, theirs.target_language) != (ours.target_language, ours.source_language):
        raise UsageError(
            f"--reverse {reverse[0].run}: translates {theirs.source_language} to {theirs.target_language}; expected "
            f"{ours.target_language} to {ours.source_language}"
        )
