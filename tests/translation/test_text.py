"""The text that is evaluated on: blank pairs are counted, another corpus than the run's is refused."""

from __future__ import annotations

import shutil

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.parallel import ParallelText
from nmt_pbt.tasks.translation.decoding.text import (
    EvaluatedText,
    given_text,
    own_corpus,
    pair_up,
    read_translations,
    same_direction,
    split_of,
)
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from tests.translation.made_run import make_run, write_corpus


def own_text(one, split, lies=None, test_set=None):
    return split_of(own_corpus(one, lies), split, test_set)


def chosen(run):
    directory = RunDirectory(run)
    started = directory.started()
    assert started is not None
    return KeptModel(
        "pbt-seed0", "0", {}, "val_bleu", 30.0, run, directory.read_settings(TranslationSettings), started.data
    )


def test_a_split_of_the_run_s_corpus_is_read_again(bare_run):
    one = chosen(bare_run)
    corpus = load_corpus(one.settings.corpus, 0)
    assert own_text(one, "dev") == EvaluatedText("dev of toy", corpus.dev, 0)
    assert own_text(one, "test") == EvaluatedText("test of toy", corpus.test, 0)


def test_another_corpus_than_the_run_s_is_refused(bare_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(bare_run, run)
    text = (run / "settings.yaml").read_text(encoding="utf-8")
    (run / "settings.yaml").write_text(text.replace("test_pairs: 12", "test_pairs: 11"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"corpus 'toy' is not the one that the run was begun with; .*--src and --ref"):
        own_text(chosen(run), "test")


def test_a_corpus_that_lies_elsewhere_now_is_taken_when_it_is_the_same(bare_run, tmp_path):
    write_corpus(tmp_path / "moved", bare_run)
    one = chosen(bare_run)
    assert own_text(one, "test", str(tmp_path / "moved")).pairs == own_text(one, "test").pairs


def test_blank_lines_of_a_folder_are_counted_for_the_split_they_are_in(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    lines = [f"line {number} of a text" for number in range(40)]
    for split, blank in (("train", 0), ("val", 1), ("test", 2)):
        for language in ("en", "de"):
            text = lines[: len(lines) - blank] + [""] * blank
            (folder / f"{split}.{language}").write_text("\n".join(text) + "\n", encoding="utf-8")
    corpus = {"train_pairs": None, "dev_pairs": None, "test_pairs": None, "vocabulary_size": 26, "name": str(folder)}
    run = make_run(tmp_path / "run", with_models=False, **{f"corpus.{key}": value for key, value in corpus.items()})
    assert own_text(chosen(run), "dev").dropped == 1
    assert own_text(chosen(run), "test").dropped == 2
    assert len(own_text(chosen(run), "test").pairs) == 38


def test_given_files_are_read_and_their_blank_pairs_counted(tmp_path):
    (tmp_path / "a").write_text("one\n\nthree\nfour\n", encoding="utf-8")
    (tmp_path / "b").write_text("eins\nzwei\n \nvier\n", encoding="utf-8")
    text = given_text(tmp_path / "a", tmp_path / "b")
    assert text.pairs == ParallelText(("one", "four"), ("eins", "vier"))
    assert text.dropped == 2


def test_translations_to_compare_with_are_as_many_as_the_pairs(tmp_path):
    file = tmp_path / "theirs"
    file.write_text("eins\n\n", encoding="utf-8")
    pairs = ParallelText(("one", "two"), ("eins", "zwei"))
    lines = read_translations(file)
    assert lines == ["eins", ""]
    pair_up(file, lines, EvaluatedText("a", pairs, 0))
    with pytest.raises(UsageError, match=r"has 2 lines, a has 1 pair \(left out: 1 pair with a blank line\)"):
        pair_up(file, lines, EvaluatedText("a", pairs.head(1), 1))
    with pytest.raises(UsageError, match="nowhere: cannot be read"):
        read_translations(tmp_path / "nowhere")


def test_runs_of_different_directions_are_not_compared(bare_run):
    one = chosen(bare_run)
    reverse = load_settings(overrides={"corpus.source_language": "de", "corpus.target_language": "en"})
    assert dump_settings(reverse) != dump_settings(one.settings)
    other = KeptModel("pbt-seed0", "0", {}, "val_bleu", 30.0, one.run, reverse, one.data_digest)
    same_direction([one], [one])
    with pytest.raises(UsageError, match=r"translates de to en, .* en to de"):
        same_direction([one], [other])
