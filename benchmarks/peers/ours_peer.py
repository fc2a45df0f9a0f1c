"""nmt-pbt's own model and training, as a competitor: through its public classes, input pipeline included."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from protocol import Calls, Stopwatch, Workload, serve, until_end


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build the trainable; see `protocol.serve`."""
    import numpy as np

    from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
    from nmt_pbt.tasks.translation.corpus.prepared import prepare
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords
    from nmt_pbt.tasks.translation.decoding.decoder import first_texts
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
    from nmt_pbt.tasks.translation.model.runtime import use_threads
    from nmt_pbt.tasks.translation.scoring.metrics import score_translations
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
    from nmt_pbt.tasks.translation.task import TranslationTask

    settings = TranslationSettings.model_validate(workload.settings["settings"])
    engine = settings.engine.model_copy(update={"threads": arguments.threads})
    settings = settings.model_copy(update={"engine": engine})
    use_threads(settings.engine.threads)
    subwords = Subwords.load((workload.folder / "subwords.model").read_bytes())
    prepared = prepare(load_corpus(settings.corpus, settings.seed), subwords, settings.corpus)
    trainable = TranslationTask(settings, prepared).build({})
    trainable.set_hyperparameters({"recurrent_dropout": arguments.recurrent_dropout})
    dev = prepared.corpus.dev
    # The other models know a weight by its layer and kind, wherever in ours the layer is.
    named = {
        "/".join(name.split("/")[-2:]).removeprefix("seq2seq/"): variable
        for name, variable in trainable.weights().items()
    }

    def train(window: int) -> Mapping[str, Any]:
        pairs = workload.settings["window"]
        trainable.age = window * pairs
        stopwatch = Stopwatch()
        found = trainable.train(pairs)
        return {**stopwatch.read(), "loss": found["train_loss"]}

    def learn(pairs: int) -> Mapping[str, Any]:
        trainable.reset(settings.seed)
        return trainable.train(pairs)

    def load() -> Mapping[str, Any]:
        weights = workload.weights()
        for name, variable in named.items():
            variable.value.assign(weights[name])
        return {}

    def save() -> Mapping[str, Any]:
        weights = {name: np.array(variable.value) for name, variable in named.items()}
        np.savez(workload.folder / "weights.npz", **weights)
        return {}

    def decode(beam: int, length_penalty: float) -> Mapping[str, Any]:
        stopwatch = Stopwatch()
        found = trainable.translate_n_best(dev.source, DecodingOptions(beam, length_penalty))
        texts = first_texts(found)
        seconds = stopwatch.read()
        return {**seconds, "texts": texts, "ids": [until_end(row[0].subwords) if row else [] for row in found]}

    def evaluate() -> Mapping[str, Any]:
        """Decode greedily and score, as the search does for `val_bleu`."""
        stopwatch = Stopwatch()
        scores = score_translations(trainable.translate(dev.source), dev.target)
        return {**stopwatch.read(), "bleu": scores.bleu}

    return {"train": train, "learn": learn, "load": load, "save": save, "decode": decode, "evaluate": evaluate}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be chosen on the command line."""
    parser.add_argument("--recurrent-dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)


if __name__ == "__main__":
    serve(["tensorflow", "keras"], build, add_options)
