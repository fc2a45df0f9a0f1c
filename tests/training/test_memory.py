"""What does not fit into memory fails a job with a reason, never the run, and leaves nothing of itself behind."""

from __future__ import annotations

import pytest
import tensorflow as tf

from nmt_pbt.run.jobs import StateReference, TrainingJob
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import content_hash
from nmt_pbt.tasks.translation.decoding.translation_model import Seq2Seq
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.tasks.translation.task import TranslationTask


class InMemory:
    """States, kept as long as the worker."""

    def __init__(self) -> None:
        self.states: dict[str, MemberState] = {}

    def save(self, name: str, state: MemberState) -> str:
        self.states[name] = state
        return content_hash(state)

    def load(self, name: str, expected_hash: str) -> MemberState:
        return self.states[name]


def job(start: StateReference | None, name: str) -> TrainingJob:
    return TrainingJob("0", {}, 16, start, weights_seed=0, order_seed=0, masks_seed=1, save_as=name)


ONEDNN = (
    "Operation received an exception:Status: %d, message: could not create a primitive, in file mkl_softmax_op.cc:290"
)
ERRORS = [
    MemoryError(),
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
    tf.errors.AbortedError(None, None, ONEDNN % 1),
]


def test_a_job_that_does_not_fit_fails_alone(digits, monkeypatch) -> None:
    def failing(error):
        def full(*_, **__):
            raise error

        return full

    settings = load_settings(
        overrides={"model.embedding_units": 12, "model.units": 16, "training.averaging": "exponential"}
    )
    pool = TrainablePool(TranslationTask(settings, digits))
    worker = Worker("worker0", pool, InMemory())
    for error in ERRORS:
        with monkeypatch.context() as patch:
            patch.setattr(Seq2Seq, "reset", failing(error))
            assert worker.run(job(None, "none")).failure == "out of memory", error
    first = worker.run(job(None, "first"))
    second = worker.run(job(first.state, "second"))
    assert second.failure is None
    live = pool.get({}).trainable
    for error in ERRORS:
        full = failing(error)
        for part, broken in {"_step": full, "_likelihood": full, "_search": lambda *_, full=full: full}.items():
            with monkeypatch.context() as patch:
                patch.setattr(live, part, broken)
                assert worker.run(job(first.state, "never")).failure == "out of memory", (part, error)
            assert worker.run(job(first.state, "again")).state.hash == second.state.hash, (part, error)


def test_another_fault_of_an_operation_is_not_taken_for_it(digits, small_settings, monkeypatch) -> None:
    def broken(*_):
        raise tf.errors.AbortedError(None, None, ONEDNN % 2)

    worker = Worker("worker0", TrainablePool(TranslationTask(small_settings, digits)), InMemory())
    live = worker._pool.get({}).trainable
    for part in ("_step", "_likelihood"):
        with monkeypatch.context() as patch:
            patch.setattr(live, part, broken)
            with pytest.raises(tf.errors.AbortedError, match="Status: 2"):
                worker.run(job(None, "never"))
