"""A finished run made without training: fresh models, whose translations are odd but always the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nmt_pbt.base.yaml_text import read_yaml
from nmt_pbt.run.journal import Journal
from nmt_pbt.run.records import Assigned, Ended, Evaluated, RunStarted, SearchEnded, SearchStarted, Tested
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus
from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

SETTINGS = {
    "corpus.name": "toy",
    "corpus.train_pairs": 150,
    "corpus.dev_pairs": 8,
    "corpus.test_pairs": 12,
    "corpus.vocabulary_size": 200,
    "model.embedding_units": 12,
    "model.units": 16,
    "search.methods": ["pbt", "random"],
    "evaluation.beam": 3,
    "evaluation.length_penalty": 0.8,
    "evaluation.coverage_penalty": 0.1,
}
SCORES = {"pbt": 30.0, "random": 20.0}
MEMBERS = {"1": 25.0, "2": 10.0}
"""Dev scores of members of the population that did not win; their models are kept too."""


def make_run(folder: Path, with_models: bool = True, **overrides) -> Path:
    """Write a run of two searches: `pbt`, of which three members are kept, and `random`."""
    settings = load_settings(overrides={**SETTINGS, **overrides})
    corpus = load_corpus(settings.corpus, settings.seed)
    subwords = Subwords.train((*corpus.train.source, *corpus.train.target), settings.corpus.vocabulary_size, 0)
    folder.mkdir()
    (folder / "settings.yaml").write_text(dump_settings(settings), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({}), encoding="utf-8")
    (folder / "subwords.model").write_bytes(subwords.model)
    (folder / "translations").mkdir()
    digest = PreparedCorpus(corpus, subwords, *[[]] * 6, too_long=0, max_length=settings.corpus.max_length).digest()
    with Journal(folder / "journal.jsonl") as journal:
        tree = read_yaml(folder / "settings.yaml")
        journal.append(RunStarted(settings=settings_hash(tree, TranslationSettings), data=digest))
        for method, winner in SCORES.items():
            search = {"method": method, "seed": 0}
            journal.append(
                SearchStarted(
                    **search,
                    objective="val_bleu",
                    direction="max",
                    budget_pairs=450,
                    interval_pairs=150,
                    pairs_per_epoch=150,
                    population=3,
                )
            )
            for member, score in {"0": winner, **(MEMBERS if method == "pbt" else {})}.items():
                values = {"dropout": 0.1, "units": 16 + 4 * int(member)}
                journal.append(Assigned(**search, trial=member, worker="worker0", values=values, pairs=150))
                journal.append(
                    Evaluated(
                        **search,
                        trial=member,
                        interval_index=0,
                        trained_pairs=150,
                        spent_pairs=150 * (int(member) + 1),
                        metrics={"val_bleu": score},
                        state="0" * 64,
                    )
                )
                journal.append(Ended(**search, trial=member, status="completed"))
            journal.append(SearchEnded(**search, spent_pairs=450))
            journal.append(
                Tested(
                    **search,
                    trial="0",
                    interval_index=0,
                    trained_pairs=150,
                    dev={"val_bleu": winner},
                    test={"bleu": winner - 1, "chrf": winner + 10},
                    signatures={"bleu": "nrefs:1", "chrf": "nrefs:1"},
                    outputs=f"translations/{method}-seed0.txt",
                )
            )
            lines = corpus.test.target if method == "random" else ["Die Katze."] * len(corpus.test)
            text = "".join(line + "\n" for line in lines)
            (folder / "translations" / f"{method}-seed0.txt").write_text(text, encoding="utf-8")
    if with_models:
        _save_models(folder, settings, subwords)
    return folder


def write_corpus(folder: Path, run: Path) -> None:
    """Write the corpus that a run was made with to a folder of files, as on another machine."""
    settings = load_settings(run / "settings.yaml")
    corpus = load_corpus(settings.corpus, settings.seed)
    folder.mkdir()
    for split, text in (("train", corpus.train), ("val", corpus.dev), ("test", corpus.test)):
        for language, lines in ((corpus.source_language, text.source), (corpus.target_language, text.target)):
            (folder / f"{split}.{language}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _save_models(folder: Path, settings, subwords: Subwords) -> None:
    from nmt_pbt.tasks.protocol import MemberState
    from nmt_pbt.tasks.state import StateStore
    from nmt_pbt.tasks.translation.decoding.translation_model import TranslationModel

    store = StateStore(folder / "models")
    units = {"pbt-seed0": 16, "random-seed0": 16, "pbt-seed0-trial1-interval0": 20, "pbt-seed0-trial2-interval0": 24}
    for seed, (name, width) in enumerate(units.items()):
        model = TranslationModel(settings, subwords, {"units": width}, seed=seed)
        random = np.random.default_rng(seed)
        arrays = {}
        for key, weight in model.weights().items():  # fresh weights are all alike in what they say
            arrays[key] = weight.numpy() + random.standard_normal(weight.shape).astype(np.float32) * 0.4
        store.save(name, MemberState(arrays, 150))
