"""The task that all searches search, built from a workload's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import Workload

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.task import TranslationTask


def read_task(workload: Workload) -> TranslationTask:
    """Return the task of the workload's settings, corpus and subwords."""
    from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
    from nmt_pbt.tasks.translation.corpus.prepared import prepare
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords
    from nmt_pbt.tasks.translation.model.runtime import use_threads
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
    from nmt_pbt.tasks.translation.task import TranslationTask

    settings = TranslationSettings.model_validate(workload.settings["settings"])
    use_threads(settings.engine.threads)
    subwords = Subwords.load((workload.folder / "subwords.model").read_bytes())
    return TranslationTask(settings, prepare(load_corpus(settings.corpus, settings.seed), subwords, settings.corpus))
