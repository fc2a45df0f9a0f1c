"""A SavedModel that takes and returns text; its tokenizer is part of it, and nothing of this program is needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf

from nmt_pbt.base.environment import environment
from nmt_pbt.base.errors import UsageError, first_line
from nmt_pbt.base.files import check_new_folder, named
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.corpus.normalization import BREAKS
from nmt_pbt.tasks.translation.corpus.subwords import CONTROLS, EOS, FIRST_WORD, PAD, REPLACEMENT
from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.translator import Translator
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

_DESCRIPTION = Path("assets.extra", "nmt-pbt.json")  # where SavedModels keep what is not TensorFlow's


class SavedTranslator(tf.Module):
    """Text in, text out, as one graph.

    Args:
        decoder: The model or models.
        options: How to search; the model keeps to them.
    """

    def __init__(self, decoder: TextDecoder, options: DecodingOptions) -> None:
        super().__init__(name="translator")
        self._tokenizer = decoder.subwords.tokenizer
        self._has_bytes = decoder.subwords.has_bytes
        self._weights = decoder.weight_variables  # held, so that they are saved with the graph
        self._search = decoder.search_function(options)
        self._penalties = (options.length_penalty, options.coverage_penalty)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")], autograph=False)
    def translate(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Translate a batch.

        Args:
            sentences: UTF-8, `[B]`.

        Returns:
            `translations`, `[B]`, UTF-8; `log_probabilities`, nats, and `scores`, `[B]`. A blank sentence has a blank
            translation and 0.
        """
        batch = tf.shape(sentences)[0]
        # The search needs one sentence at least: a batch of none is one blank sentence, left out in the end.
        sentences = tf.concat([sentences, tf.fill([tf.cast(tf.equal(batch, 0), tf.int32)], "")], axis=0)
        ids = self._tokenizer.tokenize(sentences)
        blank = tf.equal(ids.row_lengths(), 0)
        source = tf.concat([ids, tf.fill([ids.nrows(), 1], EOS)], axis=1).to_tensor(PAD)
        found = self._search(source, *(tf.constant(penalty, tf.float32) for penalty in self._penalties))
        tokens, lengths = found.tokens[:, 0], found.lengths[:, 0]
        text = (tokens >= FIRST_WORD) & (tf.range(tf.shape(tokens)[1]) < lengths[:, None])
        written = self._tokenizer.detokenize(tf.ragged.boolean_mask(tokens, text))
        if self._has_bytes:
            written = tf.strings.regex_replace(written, CONTROLS, REPLACEMENT)
        written = tf.strings.regex_replace(tf.strings.regex_replace(written, f"[ {BREAKS}]+", " "), "^ | $", "")
        return {
            "translations": tf.where(blank, "", written)[:batch],
            "log_probabilities": tf.where(blank, 0.0, found.log_probabilities[:, 0])[:batch],
            "scores": tf.where(blank, 0.0, found.scores[:, 0])[:batch],
        }


def export(
    chosen: Sequence[KeptModel[TranslationSettings]], folder: Path, options: DecodingOptions | None = None
) -> None:
    """Write models as one SavedModel; the folder appears when it is whole.

    Args:
        chosen: Which; several translate together.
        folder: Where to; it does not exist.
        options: How the model searches; None takes the run's.

    Raises:
        UsageError: The folder exists or cannot be made, or TensorFlow cannot write to it; nothing is left behind.
        StateError: A model's file is damaged.
        OSError: The disk is full or cannot be written; the same.
    """
    check_new_folder(folder)
    translator = Translator(chosen, options)
    module = SavedTranslator(translator.decoder, translator.options)
    save(module, folder, _description(chosen, translator))


def save(module: SavedTranslator, folder: Path, description: Mapping[str, Any]) -> None:
    """Write a SavedModel under a temporary name and give it its own; see `export`."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        tf.saved_model.save(module, str(temporary), signatures={"serving_default": module.translate})
        file = temporary / _DESCRIPTION
        file.parent.mkdir()
        file.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except tf.errors.OpError as error:
        why = first_line(error.message or "", type(error).__name__).replace(str(temporary), str(folder))
        raise UsageError(f"{folder}: cannot be written ({why}); mend that and try again") from None
    except OSError as error:
        raise named(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _description(chosen: Sequence[KeptModel[TranslationSettings]], translator: Translator) -> dict[str, Any]:
    """Return where an exported model comes from, and how it translates."""
    settings = chosen[0].settings
    return {
        "models": [
            {"run": str(its.run), "name": its.name, "trial": its.trial, its.objective: its.score} for its in chosen
        ],
        "corpus": settings.corpus.name,
        "source_language": settings.corpus.source_language,
        "target_language": settings.corpus.target_language,
        **asdict(translator.options),
        "environment": environment(),
    }
