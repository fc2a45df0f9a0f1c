"""No n-gram of the given size comes twice, and all else is as without that rule."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.model.decoding import NEVER, BeamSampler, GreedySampler, block_repeats
from tests.model.test_decoding import BEGIN, END, VOCABULARY, run, texts, total


def ngrams(tokens, size: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[begin : begin + size]) for begin in range(len(tokens) - size + 1)]


def repeats(tokens, size: int) -> bool:
    return len(set(ngrams(tokens, size))) < len(ngrams(tokens, size))


def sampler(beam: int, size: int):
    if beam == 1:
        return GreedySampler(BEGIN, END, no_repeat_ngram_size=size)
    return BeamSampler(beam, BEGIN, END, n_best=beam, no_repeat_ngram_size=size)


@given(seed=st.integers(0, 2**16), size=st.integers(1, 4), beam=st.sampled_from([1, 2, 5]), limit=st.integers(2, 11))
@settings(max_examples=24)
def test_no_ngram_comes_twice_and_where_none_did_nothing_changes(seed, size, beam, limit):
    found, (table, _) = run(sampler(beam, size), 6, [limit] * 6, seed)
    free, _ = run(sampler(beam, 0), 6, [limit] * 6, seed)
    for row, hypotheses in enumerate(texts(found)):
        assert found[3][row, 0] > NEVER
        for k, hypothesis in enumerate(hypotheses):
            if found[3][row, k] > NEVER:
                assert not repeats(hypothesis, size)
                assert found[2][row, k] == pytest.approx(total(table[row], hypothesis), abs=1e-4)
    if beam == 1:
        for row, ((one,), (other,)) in enumerate(zip(texts(found), texts(free), strict=True)):
            assert repeats(other, size) or (one == other and found[2][row, 0] == free[2][row, 0])


def test_random_steps_do_repeat_when_nothing_is_blocked():
    for beam in (1, 5):
        free, _ = run(sampler(beam, 0), 64, [11] * 64)
        assert sum(repeats(hypothesis, 2) for row in texts(free) for hypothesis in row) >= 5


@given(seed=st.integers(0, 2**16), size=st.integers(1, 3))
@settings(max_examples=8)
def test_a_beam_finds_what_a_beam_word_for_word_finds(seed, size):
    beam, limit = 3, 8
    found, (table, _) = run(BeamSampler(beam, BEGIN, END, no_repeat_ngram_size=size), 4, [limit] * 4, seed)
    for row in range(4):
        open_, best, best_score = [()], None, -np.inf
        for length in range(1, limit + 1):
            grown = [(*prefix, token) for prefix in open_ for token in range(2, VOCABULARY)]
            grown = [tokens for tokens in grown if not repeats(tokens, size)]
            grown.sort(key=lambda tokens: -total(table[row], tokens))
            for tokens in grown[:beam]:
                score = total(table[row], tokens) / ((5 + len(tokens)) / 6)
                if (tokens[-1] == END or length == limit) and score > best_score:
                    best, best_score = tokens, score
            open_ = [tokens for tokens in grown if tokens[-1] != END][:beam]
        assert texts(found)[row][0] == best
        assert found[3][row, 0] == pytest.approx(best_score, abs=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_beam_1_is_greedy(size):
    greedy, _ = run(GreedySampler(BEGIN, END, no_repeat_ngram_size=size), 8, [9, 3, 9, 1, 6, 9, 9, 9])
    beam, _ = run(BeamSampler(1, BEGIN, END, no_repeat_ngram_size=size), 8, [9, 3, 9, 1, 6, 9, 9, 9])
    assert texts(greedy) == texts(beam)
    assert np.allclose(greedy[2], beam[2], atol=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_the_rule_adds_nothing_to_the_graph_where_it_is_off(beam):
    def operations(size: int) -> list[str]:
        def decode(scores):
            def step(tokens, cache, memory):
                return tf.gather(memory, tokens, batch_dims=1), tf.zeros([2, tokens.shape[1], 1]), cache

            return sampler(beam, size)(step, tf.zeros([2, 1]), scores, tf.constant(2), tf.constant([5, 5]))

        graph = (
            tf.function(decode, autograph=False).get_concrete_function(tf.TensorSpec([2, VOCABULARY, VOCABULARY])).graph
        )
        bodies = [function.signature.name for function in graph.as_graph_def().library.function]
        assert bodies
        return [
            node.op
            for nodes in [
                graph.as_graph_def().node,
                *(f.node_def for f in graph.as_graph_def().library.function),
            ]
            for node in nodes
        ]

    off, on = operations(0), operations(3)
    assert "TensorScatterUpdate" in off  # rows that are done are put aside, which is one in each of two places
    assert on.count("TensorScatterUpdate") == off.count("TensorScatterUpdate") + 1
    assert on.count("Where") == off.count("Where") + 1


def test_only_what_would_complete_an_ngram_is_blocked():
    written = tf.constant([[[4, 5, 6, 4, 5, 0, 0, 0], [4, 5, 6, 5, 4, 0, 0, 0]]])
    free = tf.zeros([1, 2, 8])
    blocked = block_repeats(free, written, tf.constant(5), 3).numpy() < NEVER
    assert np.argwhere(blocked).tolist() == [[0, 0, 6]]
    pairs = block_repeats(free, written, tf.constant(5), 2).numpy() < NEVER
    assert np.argwhere(pairs).tolist() == [[0, 0, 6], [0, 1, 5]]
    single = block_repeats(free, written, tf.constant(5), 1).numpy() < NEVER
    assert np.argwhere(single).tolist() == [[0, k, token] for k in (0, 1) for token in (4, 5, 6)]


@pytest.mark.parametrize(("position", "size"), [(0, 1), (0, 3), (2, 3), (1, 9), (7, 9)])
def test_what_is_shorter_than_the_ngram_blocks_nothing(position, size):
    written = tf.constant([[[4, 4, 4, 4, 4, 4, 4, 4]]])
    free = tf.zeros([1, 1, 8])
    assert not block_repeats(free, written, tf.constant(position), size).numpy().any()


def test_a_size_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="Received: -1"):
        GreedySampler(BEGIN, END, no_repeat_ngram_size=-1)
    with pytest.raises(ValueError, match="Received: -1"):
        BeamSampler(2, BEGIN, END, no_repeat_ngram_size=-1)
