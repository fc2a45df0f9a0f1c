from __future__ import annotations

import inspect
import logging
import math
from typing import Annotated

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager.polymorphic_function import polymorphic_function

from nmt_pbt.base.errors import OutOfMemoryError, StateError, UsageError
from nmt_pbt.base.section import Rate
from nmt_pbt.space.declarations import Searchable, declared_hyperparameters
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore, content_hash
from nmt_pbt.tasks.translation.decoding import translation_model
from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq
from nmt_pbt.tasks.translation.scoring.significance import COLUMNS, corpus_scores, unpack_counts
from nmt_pbt.tasks.translation.settings.sections import ModelSettings, TrainingSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.tasks.translation.task import TranslationTask
from nmt_pbt.tasks.translation.training.trainable import TranslationTrainable, configured_values
from tests.hyperparameters import changed_values

OTHER = {**changed_values(0.25), "learning_rate": 7e-4, "batch_size": 5}


def test_a_task_knows_its_epoch_and_what_changes_shapes(small_settings, digits):
    task = TranslationTask(small_settings, digits)
    assert task.pairs_per_epoch == 300
    assert {"units", "attention"} <= task.structural
    assert "dropout" not in task.structural


def test_all_values_and_the_batch_size_change_without_a_trace(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters({})
    trainable.train(20)
    trainable.evaluate()
    traced = trainable.traces
    assert traced == 3  # a training step, the likelihood of a batch, greedy decoding
    for index, batch_size in enumerate((1, 3, 16, 64)):
        values = {**changed_values((index + 1) / 5), "learning_rate": 10 ** -(index + 2), "batch_size": batch_size}
        values |= {"consistency": index * 2.0, "clip_norm": 1.2 + index / 5}  # at 0 one pass, above it two
        trainable.set_hyperparameters(values)
        assert trainable.effective_values() == pytest.approx(values, rel=1e-6)
        loaded = trainable.state()
        trainable.train(70)
        trainable.evaluate()
        trainable.load(loaded)
        trainable.reseed(index)
        trainable.reset(index)
    assert trainable.traces == traced


def test_values_not_named_go_back_to_the_configured_ones(trainable, small_settings):
    trainable.set_hyperparameters(OTHER)
    assert trainable.effective_values() == OTHER
    trainable.set_hyperparameters({"dropout": 0.5})
    configured = {name: getattr(small_settings.training, name) for name in OTHER}
    assert trainable.effective_values() == {**configured, "dropout": 0.5}


def test_a_structural_value_it_was_not_built_with_is_refused(trainable):
    trainable.set_hyperparameters({"units": 16, "epochs": 3.0})
    with pytest.raises(UsageError, match=r"units: 32 .* built with 16"):
        trainable.set_hyperparameters({"units": 32})


def test_the_seed_decides_the_fresh_model(trainable):
    def fresh(seed):
        trainable.reset(seed)
        trainable.set_hyperparameters({})
        return trainable.state()

    first = fresh(3)
    trainable.train(40)
    assert content_hash(fresh(3)) == content_hash(first)
    other = fresh(4)
    assert not np.array_equal(*(s.arrays["weights/attention/memory"] for s in (first, other)))
    assert first.age == 0
    assert first.arrays["optimizer/iterations"] == 0
    assert not any(np.any(a) for name, a in first.arrays.items() if name.startswith("optimizer/momentum"))


def test_a_state_holds_weights_slots_generator_and_values(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters(OTHER)
    trainable.train(20)
    state = trainable.state()
    assert state.age == 20
    assert state.arrays["optimizer/iterations"] == 4
    assert state.arrays["generator/counter"] == 4
    weights = [name.removeprefix("weights/") for name in state.arrays if name.startswith("weights/")]
    assert len(weights) == len(trainable.model.trainable_variables)
    for kind in ("momentum", "velocity"):
        assert [name.split("/", 2)[2] for name in state.arrays if name.startswith(f"optimizer/{kind}/")] == weights
    before = {name: array.copy() for name, array in state.arrays.items()}
    trainable.train(20)
    assert all(np.array_equal(before[name], state.arrays[name]) for name in before)  # a copy, not a view


def test_the_same_state_gives_the_same_next_state_bit_for_bit(trainable, small_settings, digits, tmp_path):
    trainable.reset(1)
    trainable.set_hyperparameters(OTHER)
    trainable.train(33)
    store = StateStore(tmp_path)
    store.save("middle", trainable.state())
    trainable.train(50)
    uninterrupted = content_hash(trainable.state())

    trainable.reset(9)
    trainable.set_hyperparameters({})
    trainable.train(10)
    trainable.load(store.load("middle"))
    trainable.train(50)
    assert content_hash(trainable.state()) == uninterrupted

    another = TranslationTask(small_settings, digits).build({})
    another.load(store.load("middle"))
    assert another.effective_values() == OTHER
    another.train(50)
    assert content_hash(another.state()) == uninterrupted


@pytest.mark.parametrize(
    "options",
    [{"input_feeding": True, "variational_dropout": True}, {"layer_normalisation": True, "decoder_layers": 2}],
    ids=str,
)
def test_every_kind_of_model_moves_bit_for_bit_and_is_traced_once(options, small_settings, digits):
    trainable = TranslationTask(small_settings, digits).build(options)
    trainable.reset(1)
    trainable.set_hyperparameters(OTHER)
    trainable.train(33)
    trainable.evaluate()
    traced, middle = trainable.traces, trainable.state()
    trainable.train(50)
    scores = trainable.evaluate().metrics
    uninterrupted = content_hash(trainable.state())
    trainable.reset(9)
    trainable.set_hyperparameters({})
    trainable.train(10)
    trainable.load(middle)
    trainable.train(50)
    assert trainable.evaluate().metrics == scores
    assert content_hash(trainable.state()) == uninterrupted
    assert trainable.traces == traced


def test_a_reseeded_child_draws_other_masks(trainable):
    trainable.reset(1)
    trainable.set_hyperparameters(OTHER)
    start = trainable.state()
    first = trainable.train(20)
    trainable.load(start)
    assert trainable.train(20) == first
    trainable.load(start)
    trainable.reseed(99)
    assert trainable.train(20) != first


def test_training_counts_exactly_the_pairs_asked_for(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters({"batch_size": 8})
    trainable.train(21)
    assert trainable.age == 21
    assert trainable.state().arrays["optimizer/iterations"] == 3


def test_a_diverged_training_stops_at_once_with_nan(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters({})
    trainable.model.output_bias.assign(np.full(14, np.nan))
    assert math.isnan(trainable.train(300)["train_loss"])
    assert trainable.state().arrays["optimizer/iterations"] == 1
    trainable.reset(0)
    assert math.isfinite(trainable.train(8)["train_loss"])


def test_a_batch_that_does_not_fit_into_memory_is_told_as_such(trainable, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nmore")

    monkeypatch.setattr(trainable, "_step", full)
    with pytest.raises(
        OutOfMemoryError, match=r"batch_size \d+ does not fit into memory \(OOM when allocating tensor\)"
    ):
        trainable.train(20)


def test_a_state_of_another_shape_is_refused_and_changes_nothing(trainable, small_settings, digits):
    other = TranslationTask(small_settings, digits).build({"units": 8})
    before = content_hash(trainable.state())
    with pytest.raises(StateError, match=r"bridge.* the model has shape \(32, 16\)"):
        trainable.load(other.state())
    assert content_hash(trainable.state()) == before


def test_the_loss_reported_is_without_smoothing(trainable):
    trainable.reset(2)
    trainable.set_hyperparameters(
        {"dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.0, "learning_rate": 1e-12}
    )
    plain = trainable.train(300)["train_loss"]
    trainable.reset(2)
    trainable.set_hyperparameters(
        {"dropout": 0.0, "recurrent_dropout": 0.0, "label_smoothing": 0.4, "learning_rate": 1e-12}
    )
    assert trainable.train(300)["train_loss"] == pytest.approx(plain, rel=1e-5)
    # near the uniform distribution over 14 subwords, as fresh weights predict
    assert plain == pytest.approx(math.log(14), abs=0.3)


def test_evaluation_changes_nothing_and_is_repeatable(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters(OTHER)
    trainable.train(100)
    before = trainable.state()
    metrics = trainable.evaluate().metrics
    assert set(metrics) == {"val_loss", "val_bleu", "val_chrf"}
    after = trainable.state()
    assert {name for name in after.arrays if not np.array_equal(after.arrays[name], before.arrays[name])} == {
        "plateau/lowest",
        "plateau/age",
        "plateau/scale",
    }
    assert trainable.evaluate().metrics == metrics
    assert content_hash(trainable.state()) == content_hash(after)


def test_weight_decay_takes_its_share_off_matrices_alone(trainable):
    states = {}
    for decay in (0.0, 0.1):
        trainable.reset(5)
        trainable.set_hyperparameters({"weight_decay": decay, "learning_rate": 0.01})
        before = trainable.state()
        trainable.train(8)
        states[decay] = trainable.state()
    for name, array in states[0.1].arrays.items():
        if name.startswith("weights/"):
            share = 0.01 * 0.1 * before.arrays[name] if array.ndim == 2 else 0.0
            assert np.allclose(array, states[0.0].arrays[name] - share, atol=1e-6), name


def test_on_a_plateau_the_learning_rate_is_cut_and_the_cut_travels_with_the_member(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters({"plateau_factor": 0.25, "learning_rate": 1e-9})
    for _ in range(3):
        trainable.train(8)
        trainable.evaluate()
    # at such a rate nothing is learned: the loss hardly moves, and is not lower every time
    plateaus = trainable.state()
    trainable.model.output_bias.assign(np.arange(14.0))
    trainable.train(8)
    trainable.evaluate()
    cut = trainable.state()
    assert cut.arrays["plateau/scale"] == 0.25 * plateaus.arrays["plateau/scale"]
    assert trainable.effective_values()["learning_rate"] == 1e-9
    trainable.reset(0)
    assert trainable.state().arrays["plateau/scale"] == 1
    trainable.load(cut)
    assert content_hash(trainable.state()) == content_hash(cut)


def test_the_learning_rate_decays_by_the_epoch_however_often_it_is_evaluated(trainable):
    for cuts in ([300], [100, 50, 150], [299, 1]):
        trainable.reset(0)
        trainable.set_hyperparameters({"learning_rate_decay": 0.5, "batch_size": 100})
        for pairs in cuts:
            trainable.train(pairs)
            trainable.evaluate()
        assert trainable.state().arrays["plateau/scale"] == pytest.approx(0.5, rel=1e-9)


def test_a_cut_learning_rate_trains_as_the_smaller_one_does(trainable):
    trainable.reset(0)
    trainable.set_hyperparameters({"learning_rate": 0.01})
    trainable.train(80)
    start = trainable.state()
    found = []
    for scale, rate in ((0.5, 0.01), (1.0, 0.005)):
        trainable.load(MemberState({**start.arrays, "plateau/scale": np.asarray(scale)}, start.age))
        trainable.set_hyperparameters({"learning_rate": rate})
        trainable.train(16)
        found.append(trainable.state().arrays["weights/target_embedding/table"])
    assert np.allclose(*found, atol=1e-7)
    assert not np.array_equal(found[0], start.arrays["weights/target_embedding/table"])


def test_a_state_from_before_there_was_a_value_has_it_as_configured(trainable, small_settings):
    trainable.reset(0)
    trainable.set_hyperparameters(OTHER)
    state = trainable.state()
    older = {name: a for name, a in state.arrays.items() if name not in ("values/word_dropout", "plateau/scale")}
    trainable.load(MemberState(older, state.age))
    assert trainable.effective_values() == {**OTHER, "word_dropout": small_settings.training.word_dropout}


def test_consistency_makes_predictions_depend_less_on_what_is_dropped(trainable):
    def divergence(consistency):
        """Return the divergence between two passes after training with this weight, nats a position."""
        trainable.reset(0)
        trainable.set_hyperparameters({"dropout": 0.4, "consistency": consistency, "learning_rate": 5e-3})
        trainable.train(600)
        batch = next(trainable._stream.batches(0, 100, 100, 0.0))
        loss = trainable.model.batch_loss(batch.source, batch.target, training=True, consistency=tf.constant(2.0))
        return float((loss.objective - loss.likelihood) / loss.tokens)

    assert divergence(5.0) < 0.5 * divergence(0.0)


def test_sentence_counts_add_up_to_the_bleu_of_the_evaluation(trainable):
    trainable.reset(0)
    trainable.train(300)
    evaluation = trainable.evaluate(evidence=True)
    counts = unpack_counts("bleu", evaluation.evidence)
    assert counts.shape == (len(trainable.prepared.dev_source), len(COLUMNS["bleu"]))
    assert corpus_scores("bleu", counts.sum(axis=0)) == pytest.approx(evaluation.metrics["val_bleu"])
    assert trainable.evaluate().evidence is None


def test_the_objective_and_its_evidence_are_of_the_tokenizer_of_the_settings(trainable, small_settings, monkeypatch):
    """Numbers written without spaces are one word to 13a, as a Chinese sentence is."""
    trainable.reset(0)
    trainable.train(300)
    spaced, dev = trainable.subwords.decode, trainable.prepared.corpus.dev
    joined = [line.replace(" ", "") for line in dev.target]
    monkeypatch.setattr(trainable.subwords, "decode", lambda ids: [text.replace(" ", "") for text in spaced(ids)])
    monkeypatch.setattr(dev, "target", joined)
    found = []
    for tokenize in ("13a", "char"):
        evaluation = small_settings.evaluation.model_copy(update={"tokenize": tokenize})
        monkeypatch.setattr(trainable, "settings", small_settings.model_copy(update={"evaluation": evaluation}))
        found.append(trainable.evaluate(evidence=True))
        counts = unpack_counts("bleu", found[-1].evidence)
        assert corpus_scores("bleu", counts.sum(axis=0)) == pytest.approx(found[-1].metrics["val_bleu"])
    assert found[0].metrics["val_bleu"] == 0
    assert found[1].metrics["val_bleu"] > 0


class NoisyTraining(TrainingSettings):
    """The section with one more hyperparameter."""

    noise: Annotated[Rate, Searchable(mutable=True)] = 0.25
    """Rate on the bias of the output"""


class NoisySettings(TranslationSettings):
    training: NoisyTraining = NoisyTraining()


class NoisySeq2Seq(Seq2Seq):
    """The model with a layer that uses it."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._dropout("noise", "noise")


def test_a_hyperparameter_is_a_field_and_the_layer_that_uses_it(small_settings, digits, monkeypatch):
    settings = NoisySettings.model_validate({**small_settings.model_dump(), "training": {"batch_size": 8}})
    noise = next(each for each in declared_hyperparameters(NoisyTraining) if each.name == "noise")
    assert (noise.mutable, noise.default, noise.integer) == (True, 0.25, False)
    noise.check(0.5, "here")
    with pytest.raises(ValueError, match=r"^here: 1\.0 is out of place \(.*\); correct it$"):
        noise.check(1.0, "here")

    with pytest.raises(ValueError, match="hyperparameter noise: nothing is bound to it"):
        TranslationTrainable(settings, digits, {})

    monkeypatch.setattr(translation_model, "Seq2Seq", NoisySeq2Seq)
    with pytest.raises(ValueError, match="hyperparameter noise: not declared"):
        TranslationTrainable(small_settings, digits, {})
    trainable = TranslationTrainable(settings, digits, {})
    assert trainable.effective_values()["noise"] == 0.25
    trainable.set_hyperparameters({"noise": 0.125})
    assert trainable.effective_values() == {**configured_values(settings.training), "noise": 0.125}
    state = trainable.state()
    trainable.set_hyperparameters({})
    trainable.load(state)
    assert trainable.effective_values()["noise"] == 0.125


def test_the_model_is_built_of_all_its_settings():
    arguments = set(inspect.signature(Seq2Seq).parameters)
    assert arguments - {"vocabulary", "seed"} == set(ModelSettings.model_fields)


def test_models_of_many_shapes_one_after_the_other_are_no_retracing_that_tensorflow_warns_of(
    small_settings, digits, monkeypatch
):
    monkeypatch.setattr(polymorphic_function, "FREQUENT_TRACING_WARNING_THRESHOLD", 2)  # by itself it warns of five
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    listener, logger = Listener(), logging.getLogger("tensorflow")
    logger.addHandler(listener)
    try:
        for units in range(8, 11):
            trainable = TranslationTask(small_settings, digits).build({"units": units})
            trainable.train(8)
            trainable.evaluate()
    finally:
        logger.removeHandler(listener)
    assert told == []
