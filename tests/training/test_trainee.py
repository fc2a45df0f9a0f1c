from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from nmt_pbt.errors import OutOfMemoryError, StateError, UsageError
from nmt_pbt.significance import COLUMNS, corpus_scores
from nmt_pbt.training.protocol import MemberState
from nmt_pbt.training.state import StateStore, content_hash
from nmt_pbt.training.trainee import TranslationTask

OTHER = {
    "learning_rate": 7e-4,
    "batch_size": 5,
    "dropout": 0.45,
    "recurrent_dropout": 0.3,
    "label_smoothing": 0.05,
    "clip_norm": 0.5,
    "word_dropout": 0.15,
    "subword_sampling": 0.25,
    "weight_decay": 0.02,
    "average_decay": 0.9,
    "learning_rate_decay": 0.8,
    "plateau_factor": 0.7,
    "plateau_patience": 3,
}


@pytest.fixture(scope="module")
def trainee(small_settings, digits):
    return TranslationTask(small_settings, digits).build({})


def test_a_task_knows_its_epoch_and_what_changes_shapes(small_settings, digits):
    task = TranslationTask(small_settings, digits)
    assert task.epoch == 300
    assert {"units", "attention"} <= task.structural
    assert "dropout" not in task.structural


def test_all_values_and_the_batch_size_change_without_a_trace(trainee):
    trainee.reset(0)
    trainee.apply({})
    trainee.train(20)
    trainee.evaluate()
    traced = trainee.traces
    assert traced == 3  # a training step, the likelihood of a batch, greedy decoding
    for index, batch_size in enumerate((1, 3, 16, 64)):
        step = (index + 1) / 5
        values = {
            "learning_rate": 10 ** -(index + 2),
            "batch_size": batch_size,
            "dropout": step,
            "recurrent_dropout": step,
            "label_smoothing": step / 5,
            "clip_norm": 1 + step,
            "word_dropout": step,
            "subword_sampling": step,
            "weight_decay": step,
            "average_decay": step,
            "learning_rate_decay": step + 0.2,
            "plateau_factor": step + 0.1,
            "plateau_patience": index + 1,
        }
        trainee.apply(values)
        assert trainee.values_in_force() == pytest.approx(values, rel=1e-6)
        loaded = trainee.state()
        trainee.train(70)
        trainee.evaluate()
        trainee.load(loaded)
        trainee.reseed(index)
        trainee.reset(index)
    assert trainee.traces == traced


def test_values_not_named_go_back_to_the_configured_ones(trainee, small_settings):
    trainee.apply(OTHER)
    assert trainee.values_in_force() == OTHER
    trainee.apply({"dropout": 0.5})
    configured = {name: getattr(small_settings.training, name) for name in OTHER}
    assert trainee.values_in_force() == {**configured, "dropout": 0.5}


def test_a_structural_value_it_was_not_built_with_is_refused(trainee):
    trainee.apply({"units": 16, "epochs": 3.0})
    with pytest.raises(UsageError, match=r"units: 32 .* built with 16"):
        trainee.apply({"units": 32})


def test_the_seed_decides_the_fresh_model(trainee):
    def fresh(seed):
        trainee.reset(seed)
        trainee.apply({})
        return trainee.state()

    first = fresh(3)
    trainee.train(40)
    assert content_hash(fresh(3)) == content_hash(first)
    other = fresh(4)
    assert not np.array_equal(*(s.arrays["weights/attention/memory"] for s in (first, other)))
    assert first.age == 0
    assert first.arrays["optimizer/iterations"] == 0
    assert not any(np.any(a) for name, a in first.arrays.items() if name.startswith("optimizer/momentum"))


def test_a_state_holds_weights_slots_generator_and_values(trainee):
    trainee.reset(0)
    trainee.apply(OTHER)
    trainee.train(20)
    state = trainee.state()
    assert state.age == 20
    assert state.arrays["optimizer/iterations"] == 4
    assert state.arrays["generator/counter"] == 4
    weights = [name.removeprefix("weights/") for name in state.arrays if name.startswith("weights/")]
    assert len(weights) == len(trainee.model.trainable_variables)
    for kind in ("momentum", "velocity"):
        assert [name.split("/", 2)[2] for name in state.arrays if name.startswith(f"optimizer/{kind}/")] == weights
    before = {name: array.copy() for name, array in state.arrays.items()}
    trainee.train(20)
    assert all(np.array_equal(before[name], state.arrays[name]) for name in before)  # a copy, not a view


def test_the_same_state_gives_the_same_next_state_bit_for_bit(trainee, small_settings, digits, tmp_path):
    trainee.reset(1)
    trainee.apply(OTHER)
    trainee.train(33)
    store = StateStore(tmp_path)
    store.save("middle", trainee.state())
    trainee.train(50)
    uninterrupted = content_hash(trainee.state())

    trainee.reset(9)
    trainee.apply({})
    trainee.train(10)
    trainee.load(store.load("middle"))
    trainee.train(50)
    assert content_hash(trainee.state()) == uninterrupted

    another = TranslationTask(small_settings, digits).build({})
    another.load(store.load("middle"))
    assert another.values_in_force() == OTHER
    another.train(50)
    assert content_hash(another.state()) == uninterrupted


@pytest.mark.parametrize(
    "options",
    [{"input_feeding": True, "variational_dropout": True}, {"layer_normalisation": True, "decoder_layers": 2}],
    ids=str,
)
def test_every_kind_of_model_moves_bit_for_bit_and_is_traced_once(options, small_settings, digits):
    trainee = TranslationTask(small_settings, digits).build(options)
    trainee.reset(1)
    trainee.apply(OTHER)
    trainee.train(33)
    trainee.evaluate()
    traced, middle = trainee.traces, trainee.state()
    trainee.train(50)
    scores = trainee.evaluate().metrics
    uninterrupted = content_hash(trainee.state())
    trainee.reset(9)
    trainee.apply({})
    trainee.train(10)
    trainee.load(middle)
    trainee.train(50)
    assert trainee.evaluate().metrics == scores
    assert content_hash(trainee.state()) == uninterrupted
    assert trainee.traces == traced


def test_a_reseeded_child_draws_other_masks(trainee):
    trainee.reset(1)
    trainee.apply(OTHER)
    start = trainee.state()
    first = trainee.train(20)
    trainee.load(start)
    assert trainee.train(20) == first
    trainee.load(start)
    trainee.reseed(99)
    assert trainee.train(20) != first


def test_training_counts_exactly_the_pairs_asked_for(trainee):
    trainee.reset(0)
    trainee.apply({"batch_size": 8})
    trainee.train(21)
    assert trainee.age == 21
    assert trainee.state().arrays["optimizer/iterations"] == 3


def test_a_diverged_training_stops_at_once_with_nan(trainee):
    trainee.reset(0)
    trainee.apply({})
    trainee.model.output_bias.assign(np.full(14, np.nan))
    assert math.isnan(trainee.train(300)["train_loss"])
    assert trainee.state().arrays["optimizer/iterations"] == 1
    trainee.reset(0)
    assert math.isfinite(trainee.train(8)["train_loss"])


def test_a_batch_that_does_not_fit_into_memory_is_told_as_such(trainee, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nmore")

    monkeypatch.setattr(trainee, "_step", full)
    with pytest.raises(
        OutOfMemoryError, match=r"batch_size \d+ does not fit into memory \(OOM when allocating tensor\)"
    ):
        trainee.train(20)


def test_a_state_of_another_shape_is_refused_and_changes_nothing(trainee, small_settings, digits):
    other = TranslationTask(small_settings, digits).build({"units": 8})
    before = content_hash(trainee.state())
    with pytest.raises(StateError, match=r"bridge.* the model has shape \(32, 16\)"):
        trainee.load(other.state())
    assert content_hash(trainee.state()) == before


def test_the_loss_reported_is_without_smoothing(trainee):
    trainee.reset(2)
    trainee.apply({"dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.0, "learning_rate": 1e-12})
    plain = trainee.train(300)["train_loss"]
    trainee.reset(2)
    trainee.apply({"dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.4, "learning_rate": 1e-12})
    assert trainee.train(300)["train_loss"] == pytest.approx(plain, rel=1e-5)
    # near the uniform distribution over 14 subwords, as fresh weights predict
    assert plain == pytest.approx(math.log(14), abs=0.3)


def test_evaluation_changes_nothing_and_is_repeatable(trainee):
    trainee.reset(0)
    trainee.apply(OTHER)
    trainee.train(100)
    before = trainee.state()
    metrics = trainee.evaluate().metrics
    assert set(metrics) == {"val_loss", "val_bleu", "val_chrf"}
    after = trainee.state()
    assert {name for name in after.arrays if not np.array_equal(after.arrays[name], before.arrays[name])} == {
        "plateau/lowest",
        "plateau/age",
        "plateau/scale",
    }
    assert trainee.evaluate().metrics == metrics
    assert content_hash(trainee.state()) == content_hash(after)


def test_weight_decay_takes_its_share_off_matrices_alone(trainee):
    states = {}
    for decay in (0.0, 0.1):
        trainee.reset(5)
        trainee.apply({"weight_decay": decay, "learning_rate": 0.01})
        before = trainee.state()
        trainee.train(8)
        states[decay] = trainee.state()
    for name, array in states[0.1].arrays.items():
        if name.startswith("weights/"):
            share = 0.01 * 0.1 * before.arrays[name] if array.ndim == 2 else 0.0
            assert np.allclose(array, states[0.0].arrays[name] - share, atol=1e-6), name


def test_on_a_plateau_the_learning_rate_is_cut_and_the_cut_travels_with_the_member(trainee):
    trainee.reset(0)
    trainee.apply({"plateau_factor": 0.25, "learning_rate": 1e-9})
    for _ in range(3):
        trainee.train(8)
        trainee.evaluate()
    # at such a rate nothing is learned: the loss hardly moves, and is not lower every time
    plateaus = trainee.state()
    trainee.model.output_bias.assign(np.arange(14.0))
    trainee.train(8)
    trainee.evaluate()
    cut = trainee.state()
    assert cut.arrays["plateau/scale"] == 0.25 * plateaus.arrays["plateau/scale"]
    assert trainee.values_in_force()["learning_rate"] == 1e-9
    trainee.reset(0)
    assert trainee.state().arrays["plateau/scale"] == 1
    trainee.load(cut)
    assert content_hash(trainee.state()) == content_hash(cut)


def test_the_learning_rate_decays_by_the_epoch_however_often_it_is_evaluated(trainee):
    for cuts in ([300], [100, 50, 150], [299, 1]):
        trainee.reset(0)
        trainee.apply({"learning_rate_decay": 0.5, "batch_size": 100})
        for pairs in cuts:
            trainee.train(pairs)
            trainee.evaluate()
        assert trainee.state().arrays["plateau/scale"] == pytest.approx(0.5, rel=1e-9)


def test_a_cut_learning_rate_trains_as_the_smaller_one_does(trainee):
    trainee.reset(0)
    trainee.apply({"learning_rate": 0.01})
    trainee.train(80)
    start = trainee.state()
    found = []
    for scale, rate in ((0.5, 0.01), (1.0, 0.005)):
        trainee.load(MemberState({**start.arrays, "plateau/scale": np.asarray(scale)}, start.age))
        trainee.apply({"learning_rate": rate})
        trainee.train(16)
        found.append(trainee.state().arrays["weights/target_embedding/table"])
    assert np.allclose(*found, atol=1e-7)
    assert not np.array_equal(found[0], start.arrays["weights/target_embedding/table"])


def test_a_state_from_before_there_was_a_value_has_it_as_configured(trainee, small_settings):
    trainee.reset(0)
    trainee.apply(OTHER)
    state = trainee.state()
    older = {name: a for name, a in state.arrays.items() if name not in ("values/word_dropout", "plateau/scale")}
    trainee.load(MemberState(older, state.age))
    assert trainee.values_in_force() == {**OTHER, "word_dropout": small_settings.training.word_dropout}


def test_sentence_counts_add_up_to_the_bleu_of_the_evaluation(trainee):
    trainee.reset(0)
    trainee.train(300)
    evaluation = trainee.evaluate(counts=True)
    assert evaluation.counts.shape == (len(trainee.prepared.dev_source), len(COLUMNS["bleu"]))
    assert corpus_scores("bleu", evaluation.counts.sum(axis=0)) == pytest.approx(evaluation.metrics["val_bleu"])
    assert trainee.evaluate().counts is None
