"""How large a translation model and its saved states are, counted from the settings alone; without TensorFlow."""

from __future__ import annotations

import itertools

from nmt_pbt.space.settings import ChoiceDomain
from nmt_pbt.tasks.translation.settings.sections import STRUCTURAL, ModelSettings, TrainingSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

_FLOAT32_BYTES = 4
_NORMALISED = 10  # values for each unit of a layer-normalised LSTM
_OTHER_BYTES = 16 * 1024  # of a state beside its arrays: names, rates, generators


def state_bytes(settings: TranslationSettings, vocabulary: int) -> int:
    """Return how many bytes a saved state takes at most: that of the largest model which a run may train.

    Args:
        settings: The run's settings.
        vocabulary: Subwords of its vocabulary.
    """
    largest = max(parameters(model, vocabulary) for model in _shapes(settings))
    return _copies(settings.training) * _FLOAT32_BYTES * largest + _OTHER_BYTES


def parameters(model: ModelSettings, vocabulary: int) -> int:
    """Return the number of trained values of a model, see `model.seq2seq.Seq2Seq`.

    Args:
        model: Its shapes.
        vocabulary: Subwords.
    """
    embedding, units = model.embedding_units, model.units
    tables = {"all": 1, "output": 2, "none": 3}[model.tie_embeddings]
    beside = _NORMALISED * units if model.layer_normalisation else 0
    encoder = 2 * sum(_lstm(2 * units if layer else embedding, units) + beside for layer in range(model.encoder_layers))
    decoder = sum(_lstm(units if layer else embedding, units) + beside for layer in range(model.decoder_layers))
    fed = 4 * units * embedding if model.input_feeding else 0
    attention = {"dot": 0, "general": 2 * units * units, "additive": 3 * units * units + units}[model.attention]
    bridges = 2 * model.decoder_layers * 2 * units * units
    output = vocabulary + 3 * units * embedding
    return tables * vocabulary * embedding + encoder + decoder + fed + attention + bridges + output


def _lstm(width: int, units: int) -> int:
    return 4 * units * (width + units + 1)


def _copies(training: TrainingSettings) -> int:
    """Return how many arrays a state holds for each of the model's."""
    averages = {"none": 0, "exponential": 1, "checkpoints": 1 + training.averaged_checkpoints}
    return 3 + averages[training.averaging]  # the weights, and Adam's two slots


def _shapes(settings: TranslationSettings) -> list[ModelSettings]:
    """Return the models that a search may build: at the ends of ranges, and at each choice."""
    searched = {name: domain for name, domain in settings.search.space.items() if name in STRUCTURAL}
    values = [domain.choices if isinstance(domain, ChoiceDomain) else [int(domain.max)] for domain in searched.values()]
    return [
        settings.model.model_copy(update=dict(zip(searched, combination, strict=True)))
        for combination in itertools.product(*values)
    ]
