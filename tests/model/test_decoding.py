"""Samplers on a toy alphabet: a table of log-probabilities, no model."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.model.decoding import (
    NEVER,
    BeamSampler,
    Coverage,
    GreedySampler,
    coverage_score,
    length_normalisation,
)
from nmt_pbt.tasks.translation.model.scoring import ensemble, teacher_forced_scores

PAD, BEGIN, END, VOCABULARY = 0, 1, 2, 6
SOURCE = 5
PENALTIES = [(0.0, 0.0), (0.6, 0.0), (1.0, 0.0), (0.0, 0.4), (1.0, 0.4), (0.6, 2.0)]


def toy(batch: int, seed: int = 0):
    """Return a step whose next subword depends on the sentence, the subword before and the position.

    Its attention depends on the sentence and the subword before; the last source position is a pad.
    """
    random = np.random.default_rng(seed)
    scores = random.standard_normal((batch, 12, VOCABULARY, VOCABULARY)).astype(np.float32) * 2
    scores[..., [PAD, BEGIN]] = -50
    table = tf.nn.log_softmax(scores)
    looks = random.standard_normal((batch, VOCABULARY, SOURCE)).astype(np.float32) * 2
    looks[..., -1] = -1e9
    looks = tf.nn.softmax(looks)
    return toy_step, (tf.zeros([batch, 1], tf.int32),), (table, looks)


def toy_step(tokens, cache, memory):
    (position,) = cache
    table, looks = memory
    rows = tf.gather(tf.repeat(table[:, None], tf.shape(tokens)[1], axis=1), position, batch_dims=2)
    return tf.gather(rows, tokens, batch_dims=2), tf.gather(looks, tokens, batch_dims=1), (position + 1,)


def total(table: np.ndarray, tokens) -> float:
    before, found = BEGIN, 0.0
    for position, token in enumerate(tokens):
        found += float(table[position, before, token])
        before = token
    return found


def score(memory, row: int, tokens, length_penalty: float, coverage_penalty: float) -> float:
    """Wu et al. 2016, eq. 14, word for word."""
    table, looks = memory
    normalised = total(table[row], tokens) / ((5 + len(tokens)) ** length_penalty / (5 + 1) ** length_penalty)
    looked = looks[row][[BEGIN, *tokens[:-1]], : SOURCE - 1].sum(axis=0)
    return normalised + coverage_penalty * sum(math.log(min(float(weight), 1.0)) for weight in looked)


INTEGERS, NUMBER = tf.TensorSpec([None], tf.int32), tf.TensorSpec([])
CACHE = (tf.TensorSpec([None, 1], tf.int32),)
MEMORY = (tf.TensorSpec([None, 12, VOCABULARY, VOCABULARY]), tf.TensorSpec([None, VOCABULARY, SOURCE]))


def coverage(batch: tf.Tensor, penalty: tf.Tensor) -> Coverage:
    return Coverage(penalty, tf.tile([[0.0] * (SOURCE - 1) + [1.0]], [batch, 1]))


@functools.cache
def graph_of_search(kind, options, with_coverage):
    """Return a sampler's search of toys as a graph, traced once for all batches and penalties, as the decoder's is."""
    sampler = kind(**dict(options))

    @tf.function(input_signature=[CACHE, MEMORY, INTEGERS, NUMBER, NUMBER], autograph=False)
    def search(cache, memory, limits, length_penalty, coverage_penalty):
        batch = tf.size(limits)
        covering = coverage(batch, coverage_penalty) if with_coverage else None
        return sampler(toy_step, cache, memory, batch, limits, length_penalty, covering)

    return search


@functools.cache
def graph_of_scores(with_coverage):
    """Return the scoring of given translations as a graph, likewise."""
    tokens = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[CACHE, MEMORY, tokens, INTEGERS, NUMBER, NUMBER], autograph=False)
    def force(cache, memory, tokens, lengths, length_penalty, coverage_penalty):
        covering = coverage(tf.size(lengths), coverage_penalty) if with_coverage else None
        return teacher_forced_scores(toy_step, cache, memory, tokens, lengths, BEGIN, length_penalty, covering)

    return force


def run(sampler, batch, limits, seed=0, length_penalty=1.0, coverage_penalty=0.0):
    _, cache, memory = toy(batch, seed)
    return search(sampler, cache, memory, limits, length_penalty, coverage_penalty), [part.numpy() for part in memory]


def search(sampler, cache, memory, limits, length_penalty=1.0, coverage_penalty=0.0):
    decode = graph_of_search(type(sampler), tuple(vars(sampler).items()), coverage_penalty > 0)
    penalties = tf.constant(length_penalty), tf.constant(coverage_penalty)
    return [part.numpy() for part in decode(cache, memory, tf.constant(limits), *penalties)]


def texts(found):
    return [[tuple(ids[:n]) for ids, n in zip(row, ns, strict=True)] for row, ns in zip(*found[:2], strict=True)]


def test_greedy_takes_the_best_at_each_step_until_the_end_or_the_limit():
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    found, (table, _) = run(GreedySampler(BEGIN, END), 8, limits)
    for row, (hypothesis,) in enumerate(texts(found)):
        before = BEGIN
        for position, token in enumerate(hypothesis):
            assert token == table[row, position, before].argmax()
            before = token
        assert hypothesis[-1] == END or len(hypothesis) == limits[row]
        assert END not in hypothesis[:-1]
        assert found[2][row, 0] == pytest.approx(total(table[row], hypothesis), abs=1e-5)
        assert not found[0][row, 0, len(hypothesis) :].any()


@pytest.mark.parametrize("penalties", PENALTIES)
def test_beam_1_is_greedy(penalties):
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    for seed in range(5):
        greedy, _ = run(GreedySampler(BEGIN, END), 8, limits, seed, *penalties)
        beam, _ = run(BeamSampler(1, BEGIN, END), 8, limits, seed, *penalties)
        assert texts(greedy) == texts(beam)
        assert np.allclose(greedy[2], beam[2], atol=1e-5)
        assert np.allclose(greedy[3], beam[3], atol=1e-5)


@pytest.mark.parametrize("penalties", PENALTIES)
def test_scores_are_wus_and_come_in_order(penalties):
    found, memory = run(BeamSampler(4, BEGIN, END, n_best=4), 8, [9] * 8, 0, *penalties)
    for row, hypotheses in enumerate(texts(found)):
        assert len(set(hypotheses)) == 4
        for k, hypothesis in enumerate(hypotheses):
            assert found[2][row, k] == pytest.approx(total(memory[0][row], hypothesis), abs=1e-5)
            assert found[3][row, k] == pytest.approx(score(memory, row, hypothesis, *penalties), abs=1e-5)
        assert list(found[3][row]) == sorted(found[3][row], reverse=True)


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize(
    "sampler", [GreedySampler(BEGIN, END), BeamSampler(4, BEGIN, END, n_best=4)], ids=["greedy", "beam"]
)
def test_a_forced_decode_gives_the_scores_of_search(sampler, penalties):
    found, (_, looks) = run(sampler, 8, [9, 3, 9, 1, 6, 9, 9, 9], 0, *penalties)
    _, cache, memory = toy(8)
    force = graph_of_scores(penalties[1] > 0)
    for k in range(found[0].shape[1]):
        tokens, lengths = tf.constant(found[0][:, k]), tf.constant(found[1][:, k])
        forced = force(cache, memory, tokens, lengths, *(tf.constant(penalty) for penalty in penalties))
        assert np.allclose(forced.log_probabilities, found[2][:, k], atol=1e-5)
        assert np.allclose(forced.scores, found[3][:, k], atol=1e-5)
        for row, hypothesis in enumerate(texts(found)):
            wanted = looks[row][[BEGIN, *hypothesis[k][:-1]]]
            assert np.allclose(forced.attention[row, : len(wanted)], wanted, atol=1e-6)
            assert not np.any(forced.attention[row, len(wanted) :])


@pytest.mark.parametrize("penalties", PENALTIES)
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all(penalties):
    limit, width = 4, 4**3 * VOCABULARY
    found, memory = run(BeamSampler(width, BEGIN, END), 3, [limit] * 3, 0, *penalties)
    letters = range(3, VOCABULARY)
    for row in range(3):
        everything = [
            (*letter, END) for length in range(limit) for letter in itertools.product(letters, repeat=length)
        ] + list(itertools.product(letters, repeat=limit))
        best = max(everything, key=lambda text: score(memory, row, text, *penalties))
        assert texts(found)[row][0] == best


@pytest.mark.parametrize("penalties", PENALTIES)
def test_a_wider_beam_finds_better_scores_up_to_those_of_the_whole_tree(penalties):
    batch, limit, means = 64, 3, []
    for beam in (1, 2, 5, 10, 30, 4**2 * VOCABULARY):
        found, _ = run(BeamSampler(beam, BEGIN, END), batch, [limit] * batch, 0, *penalties)
        means.append(float(found[3][:, 0].mean()))
    assert all(wider >= narrower - 1e-6 for narrower, wider in itertools.pairwise(means))
    assert means[-1] - means[0] > 0.01


@given(seed=st.integers(0, 2**16), limit=st.integers(2, 9), penalties=st.sampled_from(PENALTIES))
@settings(max_examples=8, deadline=None)
def test_a_search_ends_only_when_no_open_hypothesis_can_still_win(seed, limit, penalties):
    found, memory = run(BeamSampler(3, BEGIN, END), 4, [limit] * 4, seed, *penalties)
    for row, (hypothesis,) in enumerate(texts(found)):
        assert score(memory, row, hypothesis, *penalties) >= _to_the_limit(memory, row, 3, limit, penalties) - 1e-4


def _to_the_limit(memory, row, beam, limit, penalties):
    """Return the best score of a beam search that never ends early, word for word."""
    open_, best = [()], -math.inf
    for length in range(1, limit + 1):
        grown = [(*prefix, token) for prefix in open_ for token in range(2, VOCABULARY)]
        grown.sort(key=lambda tokens: -total(memory[0][row], tokens))
        finished = [tokens for tokens in grown[:beam] if tokens[-1] == END or length == limit]
        best = max([best, *(score(memory, row, tokens, *penalties) for tokens in finished)])
        open_ = [tokens for tokens in grown if tokens[-1] != END][:beam]
    return best


def test_a_coverage_penalty_makes_translations_that_look_at_more_of_the_source():
    looked = []
    for penalty in (0.0, 2.0):
        found, (_, looks) = run(BeamSampler(4, BEGIN, END), 8, [9] * 8, 0, 1.0, penalty)
        looked.append(
            sum(
                np.minimum(looks[row][[BEGIN, *hypothesis[:-1]]].sum(axis=0), 1).sum()
                for row, (hypothesis,) in enumerate(texts(found))
            )
        )
    assert looked[1] > looked[0] + 1


def test_attention_that_underflows_costs_much_but_not_all():
    assert -30 < float(coverage_score(tf.constant([0.0, 1.0]))) < -20
    assert float(coverage_score(tf.constant([3.0, 1.0]))) == 0


def test_an_ensemble_s_probability_is_the_mean_of_its_members_and_its_attention_too():
    parts = [toy(8, seed) for seed in range(3)]
    together = ensemble([step for step, _, _ in parts])
    cache, memory = tuple(cache for _, cache, _ in parts), tuple(memory for _, _, memory in parts)
    tokens = tf.fill([8, 1], BEGIN)
    found, looked, after = together(tokens, cache, memory)
    alone = [step(tokens, its, seen) for step, its, seen in parts]
    assert np.allclose(np.exp(found), np.mean([np.exp(logs) for logs, _, _ in alone], axis=0), atol=1e-6)
    assert np.allclose(looked, np.mean([weights for _, weights, _ in alone], axis=0), atol=1e-6)
    assert [int(position[0, 0]) for (position,) in after] == [1, 1, 1]


def test_an_ensemble_decodes_and_one_of_equal_models_decodes_like_one():
    step, cache, memory = toy(8)
    for sampler in (GreedySampler(BEGIN, END), BeamSampler(3, BEGIN, END, n_best=3)):
        one = sampler(step, cache, memory, tf.constant(8), tf.constant([9] * 8))
        for count in (1, 3):
            same = (ensemble([step] * count), (cache,) * count, (memory,) * count)
            several = sampler(*same, tf.constant(8), tf.constant([9] * 8))
            assert np.array_equal(one.tokens, several.tokens)
            assert np.allclose(one.scores, several.scores, atol=1e-5)
    other, _, its_memory = toy(8, 1)
    mixed = (ensemble([step, other]), (cache, cache), (memory, its_memory))
    assert not np.array_equal(sampler(*mixed, tf.constant(8), tf.constant([9] * 8)).tokens, one.tokens)


def test_no_models_are_no_ensemble():
    with pytest.raises(ValueError, match="Received: none"):
        ensemble([])


def test_stopping_early_for_one_hypothesis_finds_the_same_one_as_for_all():
    for seed in range(5):
        one, _ = run(BeamSampler(4, BEGIN, END, n_best=1), 8, [9] * 8, seed)
        four, _ = run(BeamSampler(4, BEGIN, END, n_best=4), 8, [9] * 8, seed)
        assert [row[0] for row in texts(one)] == [row[0] for row in texts(four)]


@pytest.mark.parametrize(
    "sampler", [GreedySampler(BEGIN, END), BeamSampler(3, BEGIN, END, n_best=3)], ids=["greedy", "beam"]
)
def test_a_sentence_is_translated_alike_alone_and_in_any_batch(sampler):
    limits = [9, 3, 9, 1, 6, 9, 9, 9]
    together, _ = run(sampler, 8, limits)
    _, cache, memory = toy(8)
    for row in range(8):
        its_cache, its_memory = (tuple(part[row : row + 1] for part in whole) for whole in (cache, memory))
        alone = search(sampler, its_cache, its_memory, limits[row : row + 1])
        assert texts(alone)[0] == texts(together)[row]
        assert np.allclose(alone[2][0], together[2][row], atol=1e-5)


@pytest.mark.parametrize("sampler", [GreedySampler(BEGIN, END), BeamSampler(3, BEGIN, END)], ids=["greedy", "beam"])
def test_a_sentence_that_does_not_end_costs_the_steps_of_one_sentence(sampler):
    step, cache, memory = toy(16)
    sizes = []

    def endless(tokens, cache, memory):
        tf.py_function(lambda size: sizes.append(int(size)), [tf.shape(tokens)[0]], [])
        log_probabilities, attention, cache = step(tokens, cache, memory)
        return log_probabilities - 100 * tf.one_hot(END, VOCABULARY), attention, cache

    limits = [10] + [2] * 7 + [1] * 8
    decode = tf.function(lambda: sampler(endless, cache, memory, tf.constant(16), tf.constant(limits)), autograph=False)
    found = decode()
    assert found.lengths[:, 0].numpy().tolist() == limits
    assert sizes == [16, 8, *[1] * 8]


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
