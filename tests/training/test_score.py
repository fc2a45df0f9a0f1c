from __future__ import annotations

import pytest
import sacrebleu

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.scoring.metrics import score_translations

REFERENCES = ["The cat sat on the mat.", "Two dogs are running in the snow.", "A man sleeps."]
TRANSLATIONS = ["The cat sat on a mat.", "Two dogs run in the snow.", "A man sleeps."]


def test_scores_are_sacrebleus_with_its_signature():
    scores = score_translations(TRANSLATIONS, REFERENCES)
    assert scores.bleu == sacrebleu.corpus_bleu(TRANSLATIONS, [REFERENCES]).score
    assert scores.chrf == sacrebleu.corpus_chrf(TRANSLATIONS, [REFERENCES]).score
    assert "case:mixed" in scores.signatures["bleu"]
    assert "tok:13a" in scores.signatures["bleu"]
    assert scores.signatures["chrf"].startswith("nrefs:1")


def test_equal_text_scores_100():
    assert score_translations(REFERENCES, REFERENCES).bleu == pytest.approx(100)


def test_text_whose_full_stops_stand_apart_is_scored_without_a_word(caplog):
    apart = ["Ein Hund schläft im Schnee ."] * 200
    assert score_translations(apart, apart).bleu == pytest.approx(100)
    assert caplog.messages == []


def test_empty_translations_score_0():
    assert score_translations(["", "", ""], REFERENCES).bleu == 0


def test_unequal_numbers_and_nothing_are_refused():
    with pytest.raises(UsageError, match="2 translations but 3 references"):
        score_translations(TRANSLATIONS[:2], REFERENCES)
    with pytest.raises(UsageError, match="nothing to score"):
        score_translations([], [])
