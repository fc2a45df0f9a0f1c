"""What a run will need on the disk, told and checked before it begins; without TensorFlow."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.counting import counted
from nmt_pbt.errors import UsageError
from nmt_pbt.method_names import POPULATION_METHODS, REPLAYS
from nmt_pbt.settings import STRUCTURAL, ChoiceDomain, ModelSettings, Settings, TrainingSettings

_BYTES = 4  # of a float32
_NORMALISED = 10  # values for each unit of a layer-normalised LSTM
_OTHER = 16 * 1024  # bytes of a state beside them: names, rates, generators
_BESIDES = 32 * 1024**2  # bytes of a run beside its states: journal, report, translations


@dataclass(frozen=True)
class Need:
    """Room on the disk.

    Attributes:
        states: Most saved states there are at once.
        models: Models that are kept in the end, at most.
        state: Bytes of a state, and of a model, at most.
    """

    states: int
    models: int
    state: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return (self.states + self.models) * self.state + _BESIDES

    def __str__(self) -> str:
        return (
            f"{_megabytes(self.bytes)} of disk at most: {counted(self.states, 'state')} at once and "
            f"{counted(self.models, 'model')} in the end, {_megabytes(self.state)} each, and {_megabytes(_BESIDES)} "
            "besides"
        )


def need_of(settings: Settings, vocabulary: int) -> Need:
    """Return what a run needs.

    Args:
        settings: Its settings.
        vocabulary: Subwords of its vocabulary.
    """
    search = settings.search
    largest = max(parameters(model, vocabulary) for model in _shapes(settings))
    return Need(
        states=max(_under_way(method, settings) for method in search.methods) + 2,  # the best, and one being saved
        models=search.seeds * sum(_models(method, settings) for method in search.methods),
        state=_copies(settings.training) * _BYTES * largest + _OTHER,
    )


def _under_way(method: str, settings: Settings) -> int:
    """Return how many trials of a search have a state that is needed, at most, beside the best."""
    search = settings.search
    most = 2 * search.population
    if method == "manual":
        return min(most, max(1, len(search.manual.guesses)))
    return min(most, search.replay.models or most) if method in REPLAYS else most


def _models(method: str, settings: Settings) -> int:
    """Return how many models of a search are kept, at most: of a method without members its winner alone."""
    search, kept = settings.search, settings.evaluation.kept_models
    if method in REPLAYS:
        return min(kept, search.replay.models or search.population)
    return min(kept, search.population) if method in POPULATION_METHODS else 1


def check_room(need: Need, run: Path) -> None:
    """Refuse a run for which the disk has no room.

    Args:
        need: What the run needs in all.
        run: The run's folder, or where it is to be; what it holds counts as room.

    Raises:
        UsageError: There is less.
    """
    there = next(folder for folder in (run, *run.absolute().parents) if folder.exists())
    held = sum(file.stat().st_size for file in run.rglob("*") if file.is_file()) if there == run else 0
    room = shutil.disk_usage(there).free + held
    if room < need.bytes:
        raise UsageError(
            f"{run}: the disk has room for {_megabytes(room)}, the run needs {need}; make room, choose another --out, "
            "or lower search.population"
        )


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


def _shapes(settings: Settings) -> list[ModelSettings]:
    """Return the models that a search may build: at the ends of ranges, and at each choice."""
    searched = {name: domain for name, domain in settings.search.space.items() if name in STRUCTURAL}
    values = [domain.choices if isinstance(domain, ChoiceDomain) else [int(domain.max)] for domain in searched.values()]
    return [
        settings.model.model_copy(update=dict(zip(searched, combination, strict=True)))
        for combination in itertools.product(*values)
    ]


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MB"
