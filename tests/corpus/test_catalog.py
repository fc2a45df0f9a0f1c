from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus import catalog
from nmt_pbt.tasks.translation.corpus.catalog import list_corpora, load_corpus
from nmt_pbt.tasks.translation.corpus.parallel import Corpus
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings


def load(name: str = "toy", seed: int = 0, **settings: Any) -> Corpus:
    return load_corpus(CorpusSettings(name=name, **settings), seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, lines in (("train", 50), ("val", 5), ("test", 4)):
        for language in ("en", "de"):
            text = "".join(f"{split} {line}\n" for line in range(lines))
            (tmp_path / f"{split}.{language}").write_text(text)
    return tmp_path


@pytest.mark.parametrize("entry", [entry for entry in list_corpora() if entry.sizes], ids=lambda entry: entry.name)
def test_a_generated_corpus_has_its_usual_sizes_and_disjoint_splits(entry: catalog.Entry) -> None:
    corpus = load(entry.name)
    sources = [set(text.source) for text in (corpus.train, corpus.dev, corpus.test)]
    assert tuple(map(len, sources)) == tuple(map(len, (corpus.train, corpus.dev, corpus.test))) == entry.sizes
    assert not sources[0] & sources[1]
    assert not sources[0] & sources[2]
    assert not sources[1] & sources[2]
    assert corpus.name == entry.name
    assert corpus.dropped == {}


def test_the_same_seed_gives_the_same_corpus() -> None:
    assert load("toy", seed=3).digest() == load("toy", seed=3).digest()


@pytest.mark.parametrize("name", ["toy", "sort"])
def test_another_seed_changes_training_but_no_held_out_sentence(name: str) -> None:
    one, other = load(name, seed=0), load(name, seed=1)
    assert one.train != other.train
    assert one.dev == other.dev
    assert one.test == other.test
    assert not set(other.train.source) & {*one.dev.source, *one.test.source}


def test_asking_for_fewer_pairs_of_a_generated_corpus_gives_the_first() -> None:
    whole, part = load("toy"), load("toy", train_pairs=100, dev_pairs=10, test_pairs=20)
    assert part.train == whole.train.head(100)
    assert part.dev == whole.dev.head(10)
    assert part.test == whole.test.head(20)


def test_a_generated_corpus_grows_as_asked() -> None:
    corpus = load("toy", train_pairs=3000, dev_pairs=400, test_pairs=600)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (3000, 400, 600)
    assert not set(corpus.train.source) & {*corpus.dev.source, *corpus.test.source}
    assert corpus.test.head(500) == load("toy").test


@pytest.mark.parametrize("name", ["toy", "copy"])
def test_more_than_a_generated_corpus_makes_is_refused_at_once(name: str) -> None:
    with pytest.raises(UsageError, match=r"2,000,000 train.*at most 1,000,000"):
        load(name, train_pairs=2_000_000)


def test_the_toy_corpus_goes_both_ways() -> None:
    english, german = load("toy"), load("toy", source_language="de", target_language="en")
    assert (german.source_language, german.target_language) == ("de", "en")
    assert set(german.test.source) & set(english.test.target)
    assert (
        dict(zip(german.test.target, german.test.source, strict=True))[english.test.source[0]]
        == (english.test.target[0])
    )


def test_languages_that_the_toy_corpus_has_not_are_refused() -> None:
    with pytest.raises(UsageError, match="en to fr asked for, it has en and de"):
        load("toy", target_language="fr")


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="'revers': neither a known corpus nor a folder; did you mean 'reverse'"):
        load("revers")
    with pytest.raises(UsageError, match="known: copy, multi30k, reverse, sort, toy"):
        load("qqqq")


def test_a_folder_is_a_corpus(folder: Path) -> None:
    corpus = load(str(folder))
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (50, 5, 4)


def test_a_bare_folder_name_is_a_corpus_unless_the_catalog_has_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert load(folder.name).name == folder.name
    folder.rename(folder.parent / "toy")
    assert load("toy").name == "toy"
    assert len(load("toy").train) == 2000
    assert len(load("./toy").train) == 50


@pytest.mark.parametrize("name", ["./nowhere", "no/where", "a\0b", "a" * 5000], ids=["dot", "path", "NUL", "long"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        load(name)


def test_training_pairs_are_drawn_by_the_seed_without_repeat_and_in_order(folder: Path) -> None:
    whole = load(str(folder))
    part, again, other = (load(str(folder), seed=seed, train_pairs=20) for seed in (0, 0, 1))
    assert part.train == again.train
    assert part.train != other.train
    places = [whole.train.source.index(line) for line in part.train.source]
    assert places == sorted(set(places))
    assert places != list(range(20))
    assert part.train.target == tuple(whole.train.target[place] for place in places)


def test_dev_and_test_are_cut_to_their_first_pairs(folder: Path) -> None:
    corpus = load(str(folder), dev_pairs=2, test_pairs=1)
    assert corpus.dev.source == ("val 0", "val 1")
    assert corpus.test.source == ("test 0",)


@pytest.mark.parametrize(("split", "there"), [("train", 50), ("dev", 5), ("test", 4)])
def test_more_than_a_folder_has_is_refused_with_both_counts(folder: Path, split: str, there: int) -> None:
    with pytest.raises(UsageError, match=rf"corpus\.{split}_pairs: 51 asked for, .* has {there}"):
        load(str(folder), **{f"{split}_pairs": 51})


def test_multi30k_is_found_under_data_or_said_to_be_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "_PROJECT", tmp_path / "checkout" / "project")
    with pytest.raises(UsageError, match="nmt-pbt data fetch multi30k"):
        load("multi30k")
    (tmp_path / "data").mkdir()
    here = tmp_path / "data" / "multi30k"
    here.mkdir()
    for file in folder.glob("*.*"):
        file.rename(here / file.name)
    assert load("multi30k").name == "multi30k"
    shared = tmp_path / "checkout" / "shared" / "data"
    shared.mkdir(parents=True)
    here.rename(shared / "multi30k")
    assert len(load("multi30k").train) == 50
