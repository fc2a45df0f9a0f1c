from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.base.errors import OutOfMemoryError, UsageError
from nmt_pbt.tasks.translation.decoding.batches import source_batch, target_batch
from nmt_pbt.tasks.translation.decoding.decoder import NOTHING, TextDecoder
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.translation_model import TranslationModel


@pytest.fixture(scope="module")
def model(small_settings, digits):
    return TranslationModel(small_settings, digits.subwords, {"units": 20, "dropout": 0.3}, seed=4)


def test_structural_values_decide_the_shapes(model):
    assert model.shape.units == 20
    assert model.shape.embedding_units == 12


def test_translations_do_not_depend_on_the_batch_or_the_order(model, digits):
    lines = list(digits.corpus.dev.source)
    for beam, coverage in ((1, 0.0), (3, 0.0), (3, 0.5)):
        together = model.translate_n_best(lines, DecodingOptions(beam, 1.0, coverage), beam)
        backwards = model.translate_n_best(lines[::-1], DecodingOptions(beam, 1.0, coverage), beam)[::-1]
        alone = [model.translate_n_best([line], DecodingOptions(beam, 1.0, coverage), beam)[0] for line in lines[:5]]
        for one, other in [*zip(together, backwards, strict=True), *zip(together[:5], alone, strict=True)]:
            assert [found.text for found in one] == [found.text for found in other]
            assert np.allclose([found.score for found in one], [found.score for found in other], atol=1e-5)


def test_a_beam_of_1_is_greedy_and_the_best_of_n_is_the_translation(model, digits):
    lines = digits.corpus.dev.source[:10]
    assert model.translate(lines) == [found[0].text for found in model.translate_n_best(lines, DecodingOptions(1))]
    assert model.translate(lines, DecodingOptions(4)) == [
        found[0].text for found in model.translate_n_best(lines, DecodingOptions(4), 3)
    ]


@pytest.mark.parametrize("coverage", [0.0, 0.5])
def test_a_forced_decode_scores_a_translation_as_search_did(model, digits, coverage):
    lines = digits.corpus.dev.source[:12]
    found = model.translate_n_best(lines, DecodingOptions(3, 0.7, coverage), 3)
    compared = 0
    for k in range(3):
        scored = model.score(lines, [row[k].text for row in found], DecodingOptions(3, 0.7, coverage))
        for given, row in zip(scored, found, strict=True):
            if given.subwords != row[k].subwords:
                continue  # cut off, or a special subword that the text does not show
            compared += 1
            assert given.log_probability == pytest.approx(row[k].log_probability, abs=1e-5)
            assert given.score == pytest.approx(row[k].score, abs=1e-5)
    assert compared >= 6


def test_a_forced_decode_gives_what_reading_the_whole_target_gives(model, digits):
    source, target = digits.subwords.encode(digits.corpus.dev.source[:9]), digits.dev_target[3:12]
    targets = target_batch(target)
    logarithms = model.model((source_batch(source), targets)).numpy()
    picked = np.take_along_axis(logarithms, targets[:, 1:, None], axis=2)[:, :, 0] * (targets[:, 1:] != 0)
    scored = model.score(digits.corpus.dev.source[:9], digits.corpus.dev.target[3:12])
    assert np.allclose([given.log_probability for given in scored], picked.sum(axis=1), atol=1e-4)


def test_attention_has_a_row_for_each_subword_and_a_column_for_each_of_the_source(model, digits):
    lines = digits.corpus.dev.source[:5]
    found = [row[0] for row in model.translate_n_best(lines, DecodingOptions(3, 1.0))]
    together = model.attention(["", *lines], [NOTHING, *found])
    assert [sentence.line for sentence in together] == [1, 2, 3, 4, 5]
    for line, translation, sentence in zip(lines, found, together, strict=True):
        assert sentence.source == [*line.split(), "</s>"]
        assert len(sentence.target) == len(translation.subwords)
        assert sentence.weights.shape == (len(sentence.target), len(sentence.source))
        assert np.allclose(sentence.weights.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(sentence.weights, model.attention([line], [translation])[0].weights, atol=1e-5)


def test_a_line_without_text_has_an_empty_translation(model):
    assert model.translate(["1 2", "", "3"], DecodingOptions(2))[1] == ""
    assert model.translate_n_best([""], DecodingOptions(2), 2) == [[NOTHING]]
    assert model.translate([]) == []


def test_two_of_the_same_model_are_an_ensemble_that_is_the_model_and_another_changes_it(model, digits, small_settings):
    lines = digits.corpus.dev.source[:10]
    other = TranslationModel(small_settings, digits.subwords, {"units": 8}, seed=5)
    alone, same, mixed, swapped = (
        TextDecoder(models, digits.subwords, 16).translate_n_best(lines, DecodingOptions(3, 1.0))
        for models in (
            [model.model],
            [model.model, model.model],
            [model.model, other.model],
            [other.model, model.model],
        )
    )
    for one, others in zip(alone, same, strict=True):
        assert one[0].score == pytest.approx(others[0].score, abs=1e-5)
    assert [row[0].score for row in mixed] == pytest.approx([row[0].score for row in swapped], abs=1e-5)
    assert [row[0].score for row in mixed] != pytest.approx([row[0].score for row in alone], abs=1e-3)


def test_a_batch_that_does_not_fit_into_memory_is_halved_until_it_does(model, digits, monkeypatch):
    lines = digits.corpus.dev.source[:13]
    wanted = model.translate(lines)
    search, sizes = model._search(DecodingOptions(), 1), []

    def small(source, *penalties):
        sizes.append(len(source))
        if len(source) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
        return search(source, *penalties)

    monkeypatch.setitem(model._searches, (1, 1, False, 0), small)
    assert model.translate(lines) == wanted
    assert sizes[0] == 13
    assert sum(size for size in sizes if size <= 3) == 13


def test_a_sentence_that_does_not_fit_into_memory_alone_is_told(model, monkeypatch):
    def none(*_):
        raise MemoryError

    monkeypatch.setitem(model._searches, (1, 1, False, 0), none)
    with pytest.raises(OutOfMemoryError, match="a sentence of 3 subwords does not fit"):
        model.translate(["1 2 3", "1 2 3 4"])


def test_wrong_use_is_refused(model):
    with pytest.raises(UsageError, match="n_best is 5 with a beam of 3"):
        model.translate_n_best(["1 2"], DecodingOptions(3), 5)
    with pytest.raises(UsageError, match="2 sources but 1 translations"):
        model.score(["1", "2"], ["1"])
