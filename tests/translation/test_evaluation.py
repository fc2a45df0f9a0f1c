"""Scores are sacrebleu's, with its signatures; that for the literature is of text prepared as its published files."""

from __future__ import annotations

import pytest
import sacrebleu

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.scoring.evaluation import MosesText, compare_scores, score_text

REFERENCES = [
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    'Eine Frau auf einem Boot namens "El Corazon" lacht.',
    "Drei Teenager in einer U-Bahn albern herum.",
    "Leute reparieren das Dach eines Hauses.",
]
TRANSLATIONS = [
    "Ein Mann mit einem roten Hut, der etwas anstarrt.",
    'Eine Frau auf einem Boot namens "El Corazon" lacht laut.',
    "Drei Teenager in einer U-Bahn.",
    "leute reparieren ein Dach.",
]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (REFERENCES[0], "ein mann mit einem orangefarbenen hut , der etwas anstarrt ."),
        (REFERENCES[1], "eine frau auf einem boot namens &quot; el corazon &quot; lacht ."),
        (REFERENCES[2], "drei teenager in einer u-bahn albern herum ."),
        ("Ein Mann\u2019s „Hut“\u2026", "ein mann &apos; s &quot; hut &quot; ..."),
    ],
)
def test_text_is_prepared_as_multi30k_s_published_files_are(lines, found):
    assert MosesText("de").prepare([lines]) == [found]


def test_a_language_that_moses_does_not_know_is_prepared_like_english():
    assert MosesText("digits").prepare(["1 2, 3."]) == ["1 2 , 3 ."]


def test_scores_are_sacrebleus_each_with_its_signature():
    bleu, chrf, ter, literature = score_text(TRANSLATIONS, REFERENCES, "de")
    assert bleu.value == pytest.approx(sacrebleu.corpus_bleu(TRANSLATIONS, [REFERENCES]).score)
    assert chrf.value == pytest.approx(sacrebleu.corpus_chrf(TRANSLATIONS, [REFERENCES]).score)
    assert ter.value == pytest.approx(sacrebleu.corpus_ter(TRANSLATIONS, [REFERENCES]).score)
    prepared = [MosesText("de").prepare(text) for text in (TRANSLATIONS, REFERENCES)]
    expected = sacrebleu.corpus_bleu(prepared[0], [prepared[1]], tokenize="none", force=True).score
    assert literature.value == pytest.approx(expected)
    assert literature.value != pytest.approx(bleu.value, abs=0.1)
    assert "case:mixed" in bleu.signature
    assert "tok:13a" in bleu.signature
    assert "tok:tercom" in ter.signature
    assert "tok:none" in literature.signature
    assert "prepared:lowercase+normalize-punctuation+tokenizer|lang:de|sacremoses:" in literature.signature


def test_a_translation_of_nothing_and_of_everything():
    assert [round(score.value) for score in score_text([""] * 4, REFERENCES, "de")] == [0, 0, 100, 0]
    assert [round(score.value) for score in score_text(REFERENCES, REFERENCES, "de")] == [100, 100, 0, 100]


def test_a_translation_differs_from_itself_by_nothing_and_from_a_worse_one_by_what_the_scores_say():
    references, worse = REFERENCES * 20, ["Ein Hund."] * 80
    good, bad = score_text(TRANSLATIONS * 20, references, "de"), score_text(worse, references, "de")
    for same in compare_scores(good, good):
        assert (same.bootstrap.difference, same.bootstrap.low, same.bootstrap.high) == (0, 0, 0)
        assert same.randomisation.p_value == 1
    for a, b, difference in zip(good, bad, compare_scores(good, bad), strict=True):
        assert difference.bootstrap.difference == pytest.approx(a.value - b.value)
        assert difference.bootstrap.low <= a.value - b.value <= difference.bootstrap.high
        assert difference.bootstrap.p_value < 0.01
        assert difference.randomisation.p_value < 0.01


def test_unequal_numbers_and_nothing_are_refused():
    with pytest.raises(UsageError, match="3 translations but 4 references"):
        score_text(TRANSLATIONS[:3], REFERENCES, "de")
    with pytest.raises(UsageError, match="nothing to score"):
        score_text([], [], "de")
