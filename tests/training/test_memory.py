"""What does not fit into memory fails a leg with a reason, never the run, and leaves nothing of itself behind."""

from __future__ import annotations

import pytest
import tensorflow as tf

from nmt_pbt.experiment.engine import Leg, StateReference
from nmt_pbt.experiment.worker import TraineePool, Worker
from nmt_pbt.settings import load_settings
from nmt_pbt.training.protocol import MemberState
from nmt_pbt.training.state import content_hash
from nmt_pbt.training.trainee import TranslationTask
from nmt_pbt.training.translation_model import Seq2Seq


class InMemory:
    """States, kept as long as the worker."""

    def __init__(self) -> None:
        self.states: dict[str, MemberState] = {}

    def save(self, name: str, state: MemberState) -> str:
        self.states[name] = state
        return content_hash(state)

    def load(self, name: str, expected_hash: str) -> MemberState:
        return self.states[name]


def leg(start: StateReference | None, name: str) -> Leg:
    return Leg("0", {}, 16, start, weights_seed=0, order_seed=0, masks_seed=1, save_as=name)


ONEDNN = (
    "Operation received an exception:Status: %d, message: could not create a primitive, in file mkl_softmax_op.cc:290"
)
ERRORS = [
    MemoryError(),
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
    tf.errors.AbortedError(None, None, ONEDNN % 1),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_leg_that_does_not_fit_fails_alone(digits, error, monkeypatch) -> None:
    def full(*_, **__):
        raise error

    settings = load_settings(
        overrides={"model.embedding_units": 12, "model.units": 16, "training.averaging": "exponential"}
    )
    pool = TraineePool(TranslationTask(settings, digits))
    worker = Worker("worker0", pool, InMemory())
    with monkeypatch.context() as patch:
        patch.setattr(Seq2Seq, "reset", full)
        assert worker.run(leg(None, "none")).failure == "out of memory"
    first = worker.run(leg(None, "first"))
    second = worker.run(leg(first.state, "second"))
    assert second.failure is None
    live = pool.get({}).trainee
    for part, broken in {"_step": full, "_likelihood": full, "_search": lambda *_: full}.items():
        with monkeypatch.context() as patch:
            patch.setattr(live, part, broken)
            assert worker.run(leg(first.state, "never")).failure == "out of memory", part
        assert worker.run(leg(first.state, "again")).state.hash == second.state.hash, part


def test_another_fault_of_an_operation_is_not_taken_for_it(digits, small_settings, monkeypatch) -> None:
    def broken(*_):
        raise tf.errors.AbortedError(None, None, ONEDNN % 2)

    worker = Worker("worker0", TraineePool(TranslationTask(small_settings, digits)), InMemory())
    live = worker._pool.get({}).trainee
    for part in ("_step", "_likelihood"):
        with monkeypatch.context() as patch:
            patch.setattr(live, part, broken)
            with pytest.raises(tf.errors.AbortedError, match="Status: 2"):
                worker.run(leg(None, "never"))
