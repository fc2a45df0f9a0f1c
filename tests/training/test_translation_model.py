from __future__ import annotations

import numpy as np
import pytest

from nmt_pbt.errors import UsageError
from nmt_pbt.training.translation_model import TranslationModel


@pytest.fixture(scope="module")
def model(small_settings, digits):
    return TranslationModel(small_settings, digits.subwords, {"units": 20, "dropout": 0.3}, seed=4)


def test_structural_values_decide_the_shapes(model):
    assert model.shape.units == 20
    assert model.shape.embedding_units == 12


def test_translations_do_not_depend_on_the_batch_or_the_order(model, digits):
    lines = list(digits.corpus.dev.source)
    for beam in (1, 3):
        together = model.translate_n_best(lines, beam, 1.0, beam)
        backwards = model.translate_n_best(lines[::-1], beam, 1.0, beam)[::-1]
        alone = [model.translate_n_best([line], beam, 1.0, beam)[0] for line in lines[:5]]
        for one, other in [*zip(together, backwards, strict=True), *zip(together[:5], alone, strict=True)]:
            assert [found.text for found in one] == [found.text for found in other]
            assert np.allclose([found.score for found in one], [found.score for found in other], atol=1e-5)


def test_a_beam_of_1_is_greedy_and_the_best_of_n_is_the_translation(model, digits):
    lines = digits.corpus.dev.source[:10]
    assert model.translate(lines) == [found[0].text for found in model.translate_n_best(lines, 1)]
    assert model.translate(lines, 4) == [found[0].text for found in model.translate_n_best(lines, 4, 1.0, 3)]


def test_log_probabilities_are_those_of_scoring_the_given_pair(model, digits):
    lines = digits.corpus.dev.source[:12]
    found = model.translate_n_best(lines, 3, 0.0, 3)
    for k in range(3):
        # the toy's decoder drops what is not a digit, so compare only what ends as it reads
        pairs = [(line, row[k]) for line, row in zip(lines, found, strict=True)]
        scored = model.score([line for line, _ in pairs], [translation.text for _, translation in pairs])
        close = np.isclose(scored, [translation.log_probability for _, translation in pairs], atol=1e-4)
        assert close.any()


def test_wrong_use_is_refused(model):
    with pytest.raises(UsageError, match="n_best is 5 with a beam of 3"):
        model.translate_n_best(["1 2"], 3, 1.0, 5)
    with pytest.raises(UsageError, match="2 sources but 1 translations"):
        model.score(["1", "2"], ["1"])
