"""Sentence counts and resampling tests give what sacrebleu gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.tasks.translation.scoring.significance import (
    approximate_randomisation,
    approximate_randomisations,
    corpus_scores,
    counts_path,
    pack_counts,
    paired_bootstrap,
    read_counts,
    resampled_scores,
    sentence_counts,
    unpack_counts,
    write_counts,
)

METRICS = {"bleu": BLEU(force=True), "chrf": CHRF()}
WORDS = "der Hund eine Katze läuft sehr schnell über das alte Haus nicht , und".split()  # noqa: SIM905
SENTENCE = st.lists(st.sampled_from(["ja", "nein", "é", "x-y", "12", ".", "a,b"]), max_size=9).map(" ".join)


def corpus(sentences: int, wrong: tuple[float, ...]) -> tuple[list[str], list[list[str]]]:
    """References, and one translation of them for each share of wrong words."""
    random = np.random.default_rng(3)
    references = [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(sentences)]
    return references, [
        [
            " ".join(str(random.choice(WORDS)) if random.random() < share else word for word in text.split())
            for text in references
        ]
        for share in wrong
    ]


@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6))
def test_scores_from_counts_equal_sacrebleus(pairs):
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    counts = sentence_counts(hypotheses, references)
    for name, metric in METRICS.items():
        expected = metric.corpus_score(hypotheses, [references]).score
        assert float(corpus_scores(name, counts[name].sum(axis=0))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_both_tests_give_sacrebleus_p_values_from_the_same_draws(name):
    references, (a, b) = corpus(150, (0.2, 0.24))
    counts_a, counts_b = sentence_counts(a, references), sentence_counts(b, references)
    for kind, ours in (("ar", approximate_randomisation), ("bs", paired_bootstrap)):
        _, theirs = PairedTest([("a", a), ("b", b)], {name: METRICS[name]}, [references], kind, n_samples=600)()
        expected = theirs["BLEU" if name == "bleu" else "chrF2"][1].p_value
        result = ours(name, counts_a[name], counts_b[name], np.random.default_rng(12345), 600)
        assert 0.005 < expected < 0.6
        assert result.p_value == pytest.approx(expected, abs=1e-12)


def test_translations_that_are_alike_do_not_differ_by_either_test():
    references, (a,) = corpus(50, (0.2,))
    for name, counts in sentence_counts(a, references).items():
        for test in (approximate_randomisation, paired_bootstrap):
            found = test(name, counts, counts, np.random.default_rng(0), 200)
            assert (found.difference, found.p_value) == (0, 1)


@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6))
def test_ter_from_counts_equals_sacrebleus(pairs):
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    sums = np.sum(TER()._extract_corpus_statistics(hypotheses, [references]), axis=0)
    assert float(corpus_scores("ter", sums)) == pytest.approx(TER().corpus_score(hypotheses, [references]).score)


def test_several_searches_are_compared_by_their_mean_scores():
    references, (a1, b1, a2, b2) = corpus(80, (0.1, 0.3, 0.2, 0.3))
    a, b = (np.stack([sentence_counts(text, references)["bleu"] for text in texts]) for texts in ((a1, a2), (b1, b2)))
    scores = [BLEU(force=True).corpus_score(text, [references]).score for text in (a1, a2, b1, b2)]
    result = paired_bootstrap("bleu", a, b, np.random.default_rng(0), 400)
    assert result.difference == pytest.approx((scores[0] + scores[1] - scores[2] - scores[3]) / 2)
    assert result.low < result.difference < result.high
    turned = paired_bootstrap("bleu", b, a, np.random.default_rng(0), 400)
    assert (turned.low, turned.high) == pytest.approx((-result.high, -result.low))


def test_a_translation_does_not_differ_from_itself():
    references, (a,) = corpus(60, (0.2,))
    counts = sentence_counts(a, references)["chrf"]
    assert approximate_randomisation("chrf", counts, counts, np.random.default_rng(0), 200).p_value == 1.0


def test_the_number_of_resamples_drawn_together_changes_no_bootstrap(monkeypatch):
    references, (a, b) = corpus(40, (0.2, 0.3))
    counts = [sentence_counts(text, references)["bleu"] for text in (a, b)]
    at_once = paired_bootstrap("bleu", *counts, np.random.default_rng(1), 300)
    monkeypatch.setattr("nmt_pbt.tasks.translation.scoring.significance._CHUNK", 7)
    assert paired_bootstrap("bleu", *counts, np.random.default_rng(1), 300) == at_once


def test_several_translations_are_scored_on_the_same_resamples():
    references, translations = corpus(100, (0.2, 0.5))
    counts = np.stack([sentence_counts(text, references)["bleu"] for text in translations])
    together = resampled_scores("bleu", counts, np.random.default_rng(0), 200)
    alone = [resampled_scores("bleu", one[None], np.random.default_rng(0), 200)[:, 0] for one in counts]
    assert np.array_equal(together, np.stack(alone, axis=1))
    low, high = np.quantile(together[:, 0], [0.025, 0.975])
    assert low < float(corpus_scores("bleu", counts[0].sum(axis=0))) < high


def test_randomisation_of_several_pairs_at_once_gives_what_each_gives_alone():
    references, translations = corpus(60, (0.2, 0.25, 0.5))
    a, b, c = (sentence_counts(text, references)["chrf"] for text in translations)
    pairs = [(a, b), (np.stack([a, b]), np.stack([c, c])), (b, c)]
    places = [([0], [1]), ([0, 1], [2, 2]), ([1], [2])]
    together = approximate_randomisations("chrf", np.stack([a, b, c]), places, np.random.default_rng(1), 1500)
    alone = [approximate_randomisation("chrf", *pair, np.random.default_rng(1), 1500) for pair in pairs]
    assert [result.p_value for result in together] == [result.p_value for result in alone]
    assert [result.difference for result in together] == [result.difference for result in alone]
    assert approximate_randomisations("chrf", np.stack([a, b, c]), [], np.random.default_rng(1)) == []


def test_counts_survive_their_file(tmp_path):
    references, (a,) = corpus(20, (0.2,))
    counts = sentence_counts(a, references)
    path = counts_path(tmp_path / "pbt-seed0.txt")
    assert path.name == "pbt-seed0.counts.csv"
    write_counts(path, counts)
    again = read_counts(path)
    assert list(again) == ["bleu", "chrf"]
    assert all((again[name] == counts[name]).all() for name in counts)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda lines: ["nonsense", *lines[1:]], "line 1"),
        (lambda lines: [], "line 1"),
        (lambda lines: [*lines[:2], lines[2][:-3], *lines[3:]], "line 3"),
        (lambda lines: [lines[0], lines[1].replace(",", ",-", 1), *lines[2:]], "line 2"),
    ],
)
def test_a_damaged_file_of_counts_is_refused_by_its_line(tmp_path: Path, change, where):
    references, (a,) = corpus(5, (0.2,))
    path = tmp_path / "x.counts.csv"
    write_counts(path, sentence_counts(a, references))
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(change(lines)), encoding="utf-8")
    with pytest.raises(UsageError, match=where):
        read_counts(path)


def test_translations_of_different_texts_are_refused():
    with pytest.raises(UsageError, match="2 translations for 1 references"):
        sentence_counts(["a", "b"], ["a"])
    with pytest.raises(UsageError, match="same test sentences"):
        paired_bootstrap("bleu", np.ones((3, 10), int), np.ones((2, 10), int), np.random.default_rng(0))


def sampled(random: np.random.Generator, population: np.ndarray, count: int) -> np.ndarray:
    return population[:, random.integers(0, population.shape[1], count)]


@pytest.mark.slow
def test_bootstrap_intervals_hold_the_true_difference_95_times_in_100():
    references, texts = corpus(4000, (0.2, 0.25))
    population = np.stack([sentence_counts(text, references)["bleu"] for text in texts])
    truth = float(np.subtract(*corpus_scores("bleu", population.sum(axis=1))))
    random = np.random.default_rng(11)
    hits = 0
    for _ in range(1000):
        a, b = sampled(random, population, 300)
        result = paired_bootstrap("bleu", a, b, random, 500)
        hits += result.low <= truth <= result.high
    assert 930 <= hits <= 970


@pytest.mark.slow
def test_randomisation_finds_a_difference_where_there_is_none_5_times_in_100():
    references, texts = corpus(4000, (0.2, 0.2))
    population = np.stack([sentence_counts(text, references)["bleu"] for text in texts])
    random = np.random.default_rng(12)
    found = 0
    for _ in range(1000):
        a, b = sampled(random, population, 300)
        swap = random.integers(2, size=300, dtype=bool)[:, None]  # makes the two exactly exchangeable
        a, b = np.where(swap, a, b), np.where(swap, b, a)
        found += approximate_randomisation("bleu", a, b, random, 400).p_value < 0.05
    assert found <= 60


@given(st.lists(st.tuples(SENTENCE, SENTENCE), max_size=6))
def test_packed_counts_are_unpacked_to_the_same(pairs):
    counts = sentence_counts([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    for name in METRICS:
        again = unpack_counts(name, pack_counts(counts[name]))
        assert again.dtype == np.int64
        assert np.array_equal(again, counts[name])


def test_a_thousand_sentences_are_packed_into_less_than_8_kilobytes():
    references, (translations,) = corpus(1000, (0.3,))
    assert len(pack_counts(sentence_counts(translations, references)["bleu"])) < 8 * 1000


@pytest.mark.parametrize("damage", ["", "no base64", "AAAA", pack_counts(np.zeros((3, 10), np.int64))[:-4]])
def test_damaged_counts_are_told(damage):
    with pytest.raises(JournalError, match="damaged"):
        unpack_counts("bleu", damage)
