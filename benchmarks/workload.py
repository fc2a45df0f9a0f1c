"""What all competitors train on and decode: the same sentences, subwords and batches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmt_pbt.tasks.translation.corpus.prepared import check, prepare
from nmt_pbt.tasks.translation.decoding.batches import by_length, source_batch, target_batch
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

UNITS, BATCH_SIZE, DROPOUT, LEARNING_RATE, CLIP_NORM = 256, 64, 0.2, 1e-3, 1.0
DECODE_BATCH_SIZE = 128


def settings_for(corpus: Path, vocabulary_size: int, changes: Mapping[str, Any] | None = None) -> TranslationSettings:
    """Return nmt-pbt's settings of the model and training that are compared, on one thread.

    Label smoothing and recurrent dropout are off, as not all competitors have them.

    Args:
        corpus: A folder of parallel text, for instance Multi30k's.
        vocabulary_size: Joint subwords.
        changes: Sections of settings with what is to be added or replaced in them.
    """
    tree: dict[str, dict[str, Any]] = {
        "corpus": {"name": str(corpus), "vocabulary_size": vocabulary_size},
        "model": {"embedding_units": UNITS, "units": UNITS, "attention": "general", "tie_embeddings": "all"},
        "training": {
            "learning_rate": LEARNING_RATE,
            "batch_size": BATCH_SIZE,
            "dropout": DROPOUT,
            "recurrent_dropout": 0.0,
            "label_smoothing": 0.0,
            "clip_norm": CLIP_NORM,
        },
        "evaluation": {"batch_size": DECODE_BATCH_SIZE},
        "engine": {"threads": 1},
    }
    for section, values in (changes or {}).items():
        tree[section] = {**tree.get(section, {}), **values}
    return TranslationSettings.model_validate(tree)


def write_workload(folder: Path, settings: TranslationSettings, window: int, windows: int) -> dict[str, Any]:
    """Write a folder that `peers/protocol.py` reads.

    Args:
        folder: Where to; made when missing. A folder that already holds this very workload is left as it is.
        settings: Of `settings_for`.
        window: Sentence pairs in one window of training, a multiple of 256, in which pairs of like length are blocked.
        windows: How many windows, one after the other; they have to fit into one epoch.

    Returns:
        What the folder's `workload.json` holds.
    """
    described: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "window": window,
        "windows": windows,
        "units": UNITS,
        "dropout": DROPOUT,
        "learning_rate": LEARNING_RATE,
        "clip_norm": CLIP_NORM,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "workload.json"
    if file.exists():
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if {name: held.get(name) for name in described} == described:
            return held
    prepared = prepare(*check(settings.corpus, settings.seed), settings.corpus)
    stream = prepared.stream(settings.seed)
    if window * windows > stream.epoch:
        raise SystemExit(f"{windows} windows of {window} pairs are more than the corpus's {stream.epoch}; ask for less")
    for index in range(windows):
        batches = stream.batches(index * window, window, BATCH_SIZE)
        _save(folder / f"window{index}.npz", [(batch.source, batch.target) for batch in batches])
    order = by_length(prepared.dev_source, DECODE_BATCH_SIZE)
    dev = [
        (source_batch([prepared.dev_source[i] for i in part]), target_batch([prepared.dev_target[i] for i in part]))
        for part in order
    ]
    _save(folder / "dev.npz", dev)
    (folder / "subwords.model").write_bytes(prepared.subwords.model)
    described |= {
        "vocabulary": prepared.subwords.size,
        "pairs_per_epoch": stream.epoch,
        "dev_order": np.concatenate(order).tolist(),
        "dev_target": list(prepared.corpus.dev.target),
    }
    (folder / "weights.npz").unlink(missing_ok=True)
    file.write_text(json.dumps(described), encoding="utf-8")
    return described


def _save(path: Path, batches: list[tuple[np.ndarray, np.ndarray]]) -> None:
    arrays = {}
    for index, (source, target) in enumerate(batches):
        arrays[f"source{index}"], arrays[f"target{index}"] = source, target
    np.savez(path, **arrays)
