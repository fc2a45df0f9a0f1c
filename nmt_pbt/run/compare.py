"""The main job: each method searches the same space for the same budget; each winner is tested once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from nmt_pbt.base.errors import SearchError
from nmt_pbt.base.files import replace_file
from nmt_pbt.run.driver import Driver, SearchRecord, search_started
from nmt_pbt.run.jobs import Engine, Winner
from nmt_pbt.run.journal import Journal, SearchEnded, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.schedule import found_schedule
from nmt_pbt.run.worker import InlineEngine, TrainablePool
from nmt_pbt.search.method_names import REPLAYS
from nmt_pbt.search.methods import build_method, in_order
from nmt_pbt.search.settings import Segment
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.attention_record import attention_path, write_attention
from nmt_pbt.tasks.translation.corpus.parallel import ParallelText, sample_lines
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus
from nmt_pbt.tasks.translation.decoder import first_texts
from nmt_pbt.tasks.translation.metrics import score_translations
from nmt_pbt.tasks.translation.settings import MOST_SAMPLES
from nmt_pbt.tasks.translation.significance import counts_path, sentence_counts, write_counts
from nmt_pbt.tasks.translation.trainable import TranslationTask, TranslationTrainable
from nmt_pbt.tasks.translation.tree import TranslationSettings

SAMPLE_SENTENCES = 8
"""Test sentences whose source and reference a run keeps, to be shown beside the translations."""


def compare(
    run: RunDirectory,
    settings: TranslationSettings,
    prepared: PreparedCorpus,
    listener: Callable[[SearchRecord], None] = lambda record: None,
) -> None:
    """Search with each method and seed, and test each winner; goes on from whatever the run already holds.

    Args:
        run: An existing run directory.
        settings: Its settings.
        prepared: Its corpus, cut into subwords.
        listener: Told every record, replayed ones too.

    Raises:
        UsageError: Another process writes this run, or settings or corpus changed since it was begun.
        JournalError: The journal is damaged, or does not replay.
        SearchError: Every trial of every method failed.
    """
    task = TranslationTask(settings, prepared)
    pool = TrainablePool(task)
    with run.writing(settings, prepared.digest()) as journal:
        replace_file(run.subwords_file, prepared.subwords.model)
        _write_samples(run.translations, settings, prepared)
        engine = build_engine(settings, task, pool, StateStore(run.states))
        tested_before = {(record.method, record.seed): record for record in journal if isinstance(record, Tested)}
        try:
            for seed in range(settings.seed, settings.seed + settings.search.seeds):
                for name in in_order(settings.search.methods):
                    if done := tested_before.get((name, seed)):
                        listener(done)
                        continue
                    driver = _driver(settings, task.epoch, name, seed, engine, journal, listener)
                    winner = driver.run() if driver is not None else None
                    if driver is None or winner is None:
                        continue
                    states, models = StateStore(run.states), StateStore(run.models)
                    for other in driver.runners_up(settings.evaluation.kept_models - 1):
                        models.save(other.state.name, states.load(other.state.name, other.state.hash))
                    tested = test_winner(run, settings, prepared, pool, states, name, seed, winner)
                    journal.append(tested)
                    engine.keep(frozenset())
                    listener(tested)
        finally:
            engine.close()
        _check_any_succeeded(run, journal)


def _check_any_succeeded(run: RunDirectory, journal: Journal) -> None:
    if not any(isinstance(record, Tested) for record in journal):
        reasons = [record.reason for record in journal if isinstance(record, SearchEnded)]
        raise SearchError(f"{run.path}: no search of this run has a winner; the last one: {reasons[-1]}")


def build_engine(
    settings: TranslationSettings, task: TranslationTask, pool: TrainablePool, states: StateStore
) -> Engine:
    """Build the engine of the settings.

    Args:
        settings: The settings.
        task: Builds trainables.
        pool: Live models of this process, for the engine that needs no other.
        states: Where states are saved.
    """
    chosen = settings.engine
    if chosen.name == "inline":
        return InlineEngine(pool, states, chosen.workers)
    from nmt_pbt.run.ray_engine import RayEngine

    threads = chosen.threads or 1
    there = settings.model_copy(update={"engine": chosen.model_copy(update={"threads": threads})})
    task = TranslationTask(there, task.prepared)
    return RayEngine(task, states, chosen.workers, chosen.address, float(threads), chosen.gpus)


def _driver(
    settings: TranslationSettings,
    epoch: int,
    name: str,
    seed: int,
    engine: Engine,
    journal: Journal,
    listener: Callable[[SearchRecord], None],
) -> Driver | None:
    schedule: list[Segment] = []
    if name in REPLAYS and not settings.search.replay.schedule:
        found = found_schedule(journal.records, "pbt", seed, journal.path.parent.name)
        if found is None:
            return None  # every trial of PBT failed, which the journal says
        schedule = found.plain
    method = build_method(name, settings, seed, epoch, schedule)
    start = search_started(method, settings, seed)
    return Driver(method, engine, journal, start, listener, settings.training.early_stopping)


def test_winner(
    run: RunDirectory,
    settings: TranslationSettings,
    prepared: PreparedCorpus,
    pool: TrainablePool,
    states: StateStore,
    method: str,
    seed: int,
    winner: Winner,
) -> Tested:
    """Decode the test split once, with beam search, by a method's winner, and keep its model.

    Args:
        run: Where translations and model are written.
        settings: Its settings.
        prepared: Its corpus.
        pool: Live models.
        states: Where the winner's state is.
        method: Whose winner.
        seed: Of which search.
        winner: The winner.

    Returns:
        The record of it, not yet in the journal.
    """
    began = time.perf_counter()
    state = states.load(winner.state.name, winner.state.hash)
    live = pool.get(winner.values)
    live.at = None
    trainable = cast(TranslationTrainable, live.trainable)  # the pool's task builds no other
    trainable.load(state)
    trainable.apply(winner.values)
    test = prepared.corpus.test
    how = settings.evaluation
    found = trainable.translate_n_best(list(test.source), how.beam, how.length_penalty, 1, how.coverage_penalty)
    translations = first_texts(found)
    scores = score_translations(translations, list(test.target))
    name = f"{method}-seed{seed}"
    StateStore(run.models).save(name, state)
    file = run.translations / f"{name}.txt"
    replace_file(file, "".join(text + "\n" for text in translations).encode("utf-8"))
    # What significance tests need of the references, so that the report can make them without the corpus.
    write_counts(counts_path(file), sentence_counts(translations, list(test.target)))
    lines = [line for line in _shown(settings, test) if found[line]]
    looked = trainable.attention([test.source[line] for line in lines], [found[line][0] for line in lines])
    write_attention(attention_path(file), [replace(sentence, line=lines[sentence.line]) for sentence in looked])
    return Tested(
        method=method,
        seed=seed,
        trial=winner.trial,
        interval_index=winner.interval_index,
        trained_pairs=winner.trained_pairs,
        dev={metric: value for metric, value in winner.metrics.items() if value is not None},
        test={"bleu": scores.bleu, "chrf": scores.chrf},
        signatures=dict(scores.signatures),
        translations=f"{run.translations.name}/{file.name}",
        seconds=round(time.perf_counter() - began, 3),
    )


def _write_samples(folder: Path, settings: TranslationSettings, prepared: PreparedCorpus) -> None:
    """Keep a few sentences of test and of dev, so that the report can show them without the corpus."""
    folder.mkdir(exist_ok=True)
    test, dev = prepared.corpus.test, prepared.corpus.dev
    _write_sample(folder / "sample.json", test, _shown(settings, test))
    # As many as can ever be shown, in the order of an evaluation's samples: the setting may change on resume.
    _write_sample(folder / "dev_sample.json", dev, sample_lines(settings.seed, len(dev), MOST_SAMPLES))


def _shown(settings: TranslationSettings, test: ParallelText) -> list[int]:
    """Return which test sentences the report shows, in ascending order."""
    return sorted(sample_lines(settings.seed, len(test), SAMPLE_SENTENCES))


def _write_sample(file: Path, text: ParallelText, lines: Sequence[int]) -> None:
    sample = [{"line": line, "source": text.source[line], "reference": text.target[line]} for line in lines]
    replace_file(file, (json.dumps(sample, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
