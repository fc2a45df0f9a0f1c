"""Samplers on a toy alphabet: a table of log-probabilities, no model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.model.decoding import NEVER, BeamSampler, GreedySampler, length_normalisation

PAD, BEGIN, END, VOCABULARY = 0, 1, 2, 6


def toy(batch: int, seed: int = 0):
    """Return a step whose next subword depends on the sentence, the subword before and the position."""
    random = np.random.default_rng(seed)
    scores = random.standard_normal((batch, 12, VOCABULARY, VOCABULARY)).astype(np.float32) * 2
    scores[..., [PAD, BEGIN]] = -50
    table = tf.nn.log_softmax(scores)

    def step(tokens, cache, memory):
        (position,) = cache
        rows = tf.gather(tf.repeat(memory[:, None], tf.shape(tokens)[1], axis=1), position, batch_dims=2)
        return tf.gather(rows, tokens, batch_dims=2), (position + 1,)

    return step, (tf.zeros([batch, 1], tf.int32),), table


def total(table: np.ndarray, tokens) -> float:
    before, found = BEGIN, 0.0
    for position, token in enumerate(tokens):
        found += float(table[position, before, token])
        before = token
    return found


def run(sampler, batch, limits, seed=0, **options):
    step, cache, memory = toy(batch, seed)
    decode = tf.function(
        lambda memory: sampler(step, cache, memory, tf.constant(batch), tf.constant(limits), **options)
    )
    return [part.numpy() for part in decode(memory)], memory.numpy()


def texts(found):
    return [[tuple(ids[:n]) for ids, n in zip(row, ns, strict=True)] for row, ns in zip(*found[:2], strict=True)]


def test_greedy_takes_the_best_at_each_step_until_the_end_or_the_limit():
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    found, table = run(GreedySampler(BEGIN, END), 8, limits)
    for row, (hypothesis,) in enumerate(texts(found)):
        before = BEGIN
        for position, token in enumerate(hypothesis):
            assert token == table[row, position, before].argmax()
            before = token
        assert hypothesis[-1] == END or len(hypothesis) == limits[row]
        assert END not in hypothesis[:-1]
        assert found[2][row, 0] == pytest.approx(total(table[row], hypothesis), abs=1e-5)
        assert not found[0][row, 0, len(hypothesis) :].any()


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beam_1_is_greedy(penalty):
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    for seed in range(5):
        greedy, _ = run(GreedySampler(BEGIN, END), 8, limits, seed)
        beam, _ = run(BeamSampler(1, BEGIN, END), 8, limits, seed, length_penalty=penalty)
        assert texts(greedy) == texts(beam)
        assert np.allclose(greedy[2], beam[2], atol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_scores_are_those_of_a_forced_decode_and_come_in_order(penalty):
    found, table = run(BeamSampler(4, BEGIN, END, n_best=4), 8, [9] * 8, length_penalty=penalty)
    for row, hypotheses in enumerate(texts(found)):
        assert len(set(hypotheses)) == 4
        for k, hypothesis in enumerate(hypotheses):
            assert found[2][row, k] == pytest.approx(total(table[row], hypothesis), abs=1e-5)
            normalised = found[2][row, k] / ((5 + len(hypothesis)) / 6) ** penalty
            assert found[3][row, k] == pytest.approx(normalised, abs=1e-5)
        assert list(found[3][row]) == sorted(found[3][row], reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all(penalty):
    limit, width = 4, 4**3 * VOCABULARY
    found, table = run(BeamSampler(width, BEGIN, END), 3, [limit] * 3, length_penalty=penalty)
    letters = range(3, VOCABULARY)
    for row in range(3):
        everything = [
            (*letter, END) for length in range(limit) for letter in itertools.product(letters, repeat=length)
        ] + list(itertools.product(letters, repeat=limit))
        best = max(everything, key=lambda text: total(table[row], text) / ((5 + len(text)) / 6) ** penalty)
        assert texts(found)[row][0] == best


def test_stopping_early_for_one_hypothesis_finds_the_same_one_as_for_all():
    for seed in range(5):
        one, _ = run(BeamSampler(4, BEGIN, END, n_best=1), 8, [9] * 8, seed)
        four, _ = run(BeamSampler(4, BEGIN, END, n_best=4), 8, [9] * 8, seed)
        assert [row[0] for row in texts(one)] == [row[0] for row in texts(four)]


@pytest.mark.parametrize("sampler", [GreedySampler(BEGIN, END), BeamSampler(3, BEGIN, END, n_best=3)], ids=str)
def test_a_sentence_is_translated_alike_alone_and_in_any_batch(sampler):
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    together, _ = run(sampler, 8, limits)
    step, _, memory = toy(8)
    for row in range(8):
        cache = (tf.zeros([1, 1], tf.int32),)
        alone = sampler(step, cache, memory[row : row + 1], tf.constant(1), tf.constant(limits[row : row + 1]))
        alone = [part.numpy() for part in alone]
        assert texts(alone)[0] == texts(together)[row]
        assert np.allclose(alone[2][0], together[2][row], atol=1e-5)


def test_a_sentence_with_fewer_hypotheses_than_wanted_says_so():
    found, _ = run(BeamSampler(8, BEGIN, END, n_best=8), 2, [1, 1])
    assert (found[3][:, VOCABULARY:] == NEVER).all()
    assert (found[3][:, :4] > NEVER).all()


def test_length_normalisation_is_wus():
    assert float(length_normalisation(tf.constant(1), 0.7)) == 1.0
    assert float(length_normalisation(tf.constant(7), 1.0)) == 2.0


def test_a_beam_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="Received: beam=0"):
        BeamSampler(0, BEGIN, END)
    with pytest.raises(ValueError, match="Received: n_best=3"):
        BeamSampler(2, BEGIN, END, n_best=3)
