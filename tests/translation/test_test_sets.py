"""Several test sets of one folder: every winner is scored once on each, and each can be named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.jobs import StateReference
from nmt_pbt.run.journal import Journal, read_journal
from nmt_pbt.run.progress import Winner
from nmt_pbt.run.records import RunStarted, SearchStarted
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.winner_test import WinnerTest
from nmt_pbt.run.worker import LiveTrainable, Worker
from nmt_pbt.settings.fingerprint import deciding_settings
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, corpus_of_run
from nmt_pbt.tasks.translation.decoding.decoder import Translation
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from nmt_pbt.tasks.translation.task import TranslationTask
from tests.translation.made_run import make_run
from tests.translation.test_text import chosen, own_text

TEXT = ParallelText(("a b c d", "e f g h"), ("A B C D", "E F G H"))
OTHER = ParallelText(("i j k l", "m n o p", "q r s t"), ("I J K L", "M N O P", "Q R S T"))
CORPUS = Corpus("mine", "en", "de", TEXT, TEXT, TEXT, {}, "test2016", {"test2017": OTHER})


class Characters:
    model = b"model"

    def count(self, text: str) -> int:
        return len(text)


def digest(corpus: Corpus) -> str:
    return PreparedCorpus(corpus, cast(Any, Characters()), *[[]] * 6, too_long=0, max_length=60).digest()


class Shouting:
    """Translates by upper case, but for the letter i."""

    def load(self, state: MemberState) -> None:
        """It knows."""

    set_hyperparameters = load

    def translate_n_best(self, lines: list[str], *how: object) -> list[list[Translation]]:
        return [[Translation(line.upper().replace("I", "X"), -1.0, -0.1, (4, 3))] for line in lines]

    def attention(self, lines: object, translations: object) -> list[object]:
        return []


def test_each_test_set_is_translated_once_and_told_in_the_journal(tmp_path: Path) -> None:
    (tmp_path / "translations").mkdir()
    prepared = PreparedCorpus(CORPUS, cast(Any, Characters()), *[[]] * 6, too_long=0, max_length=60)
    prepared_task = TranslationTask(load_settings(), prepared)
    run, states = RunDirectory(tmp_path), StateStore(tmp_path / "states")
    state = MemberState({"weights/w": np.zeros(1)}, 2)
    reference = StateReference("one", states.save("one", state))
    winner = Winner(trial="0", interval_index=0, trained_pairs=2, metrics={"val_bleu": 9.0}, state=reference, values={})

    class Pool:
        task = prepared_task

        def get(self, values: object) -> LiveTrainable:
            return LiveTrainable(cast(Any, Shouting()))

    start = SearchStarted(
        method="pbt",
        seed=0,
        objective="val_bleu",
        direction="max",
        **dict.fromkeys(("budget_pairs", "interval_pairs", "pairs_per_epoch", "population"), 1),
    )
    how = WinnerTest(run)
    result = Worker("worker0", cast(Any, Pool()), states).test(how.job(start, winner))
    how.keep(start, winner, [], result, states)
    tested = how.record(start, winner, result)
    assert (tested.test_set, tested.test["bleu"]) == ("test2016", pytest.approx(100.0))
    (other,) = tested.others
    assert (other.test_set, other.outputs) == ("test2017", "translations/pbt-seed0.test2017.txt")
    assert 0 < other.test["bleu"] < 100
    assert set(other.signatures) == {"bleu", "chrf"}
    assert (tmp_path / str(other.outputs)).read_text() == "X J K L\nM N O P\nQ R S T\n"
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(RunStarted(settings="a", data="b"))
        journal.append(tested)
    assert read_journal(tmp_path / "journal.jsonl")[1] == tested


def test_one_test_set_is_told_as_before(tmp_path: Path) -> None:
    (tmp_path / "translations").mkdir()
    alone = replace(CORPUS, other_tests={})
    prepared = PreparedCorpus(alone, cast(Any, Characters()), *[[]] * 6, too_long=0, max_length=60)
    result = TranslationTask(load_settings(), prepared).test(cast(Any, Shouting()), tmp_path, "pbt-seed0")
    assert (result.test_set, result.others) == (None, ())


def test_a_run_goes_on_with_the_test_sets_it_was_begun_with() -> None:
    def found(corpus: Corpus, begun_with: Corpus) -> Corpus | None:
        return corpus_of_run(corpus, cast(Any, Characters()), 60, digest(begun_with))

    alone = replace(CORPUS, other_tests={})
    added = replace(CORPUS, other_tests={"test2017": OTHER, "test2018": TEXT})
    assert found(CORPUS, CORPUS) == CORPUS
    assert found(added, CORPUS) == CORPUS
    assert found(CORPUS, alone) == alone  # also of runs from before other test sets were read
    assert found(alone, CORPUS) is None
    assert found(replace(CORPUS, other_tests={"test2017": TEXT}), CORPUS) is None


def test_a_test_set_that_is_named_decides_and_one_that_is_not_leaves_the_fingerprint_as_it_was() -> None:
    def deciding(*assignments: str) -> dict[str, Any]:
        tree = load_settings(None, assignments).model_dump(mode="json")
        return deciding_settings(tree, TranslationSettings)["corpus"]

    assert "test_set" not in deciding()
    assert deciding("corpus.test_set=test2017")["test_set"] == "test2017"


def test_a_generated_corpus_has_one_test_set() -> None:
    from nmt_pbt.tasks.translation.corpus.catalog import load_corpus

    with pytest.raises(UsageError, match=r"corpus\.test_set test2017: corpus 'toy' has one test set"):
        load_corpus(load_settings(None, ["corpus.test_set=test2017"]).corpus, 0)


def test_any_test_set_can_be_evaluated_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, lines in (("train", 40), ("val", 8), ("test2016", 10), ("test2017", 12)):
        for language in ("en", "de"):
            text = "".join(f"line {number} of a text\n" for number in range(lines))
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    corpus = {"train_pairs": None, "dev_pairs": None, "test_pairs": 11, "vocabulary_size": 26, "name": str(folder)}
    with pytest.raises(UsageError, match="test_pairs"):
        make_run(tmp_path / "none", with_models=False, **{f"corpus.{key}": value for key, value in corpus.items()})
    corpus["test_pairs"] = 9
    run = make_run(tmp_path / "run", with_models=False, **{f"corpus.{key}": value for key, value in corpus.items()})
    one = chosen(run)
    assert (own_text(one, "test").name, len(own_text(one, "test").pairs)) == ("test2016 of corpus", 9)
    named = own_text(one, "test", test_set="test2017")
    assert (named.name, len(named.pairs)) == ("test2017 of corpus", 9)
    with pytest.raises(UsageError, match=r"--test test2018: corpus 'corpus' has no such test set; did you mean"):
        own_text(one, "test", test_set="test2018")
