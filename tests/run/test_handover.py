"""A live model that does not take over what it should stops the run, whatever it forgets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.errors import HandoverError
from nmt_pbt.base.types import Value
from nmt_pbt.run.jobs import TrainingJob
from nmt_pbt.run.worker import TrainablePool, Worker
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, CheapTrainable, cheap_settings, inline, opened, search

JOB = TrainingJob(
    "0", {"learning_rate": 1e-3, "dropout": 0.1}, 100, None, weights_seed=1, masks_seed=2, order_seed=0, save_as="a"
)


@pytest.mark.parametrize(
    ("forgets", "told"),
    [
        ("momentum", r"the state it starts from \(optimizer/m differs\)"),
        ("iterations", r"\(optimizer/iterations differs\)"),
        ("trained_pairs", r"\(its age is \d+, not \d+\)"),
        ("array", r"\(weights/w is missing\)"),
        ("to stay", r"\(it changed after it was saved\)"),
        ("to count", "the optimizer counted 7 steps at its start and 7 at its end"),
        ("to age", "trained 100 pairs from age 200, and its age is 200"),
    ],
)
def test_what_is_forgotten_stops_the_run_with_its_name(tmp_path: Path, forgets: str, told: str) -> None:
    states = StateStore(tmp_path)
    first = Worker("first", TrainablePool(CheapTask()), states).run(dataclasses.replace(JOB, pairs=200))
    faulty = Worker("faulty", TrainablePool(CheapTask(forgets=forgets)), states)
    job = dataclasses.replace(JOB, trial="1", start=first.state, save_as="b")
    if forgets == "to stay":
        job = dataclasses.replace(JOB, trial="1", start=faulty.run(JOB).state, save_as="b")
    with pytest.raises(HandoverError, match=told):
        faulty.run(job)


class Echo(CheapTrainable):
    """Keeps the object that was loaded, returns it, and writes into its arrays."""

    loaded: MemberState | None = None

    def load(self, state: MemberState) -> None:
        super().load(state)
        self.loaded = state

    def set_hyperparameters(self, values: Mapping[str, Value]) -> None:
        super().set_hyperparameters(values)
        self.loaded = None

    def state(self) -> MemberState:
        if self.loaded is None:
            return super().state()
        arrays = {name: np.array(array) for name, array in self.loaded.arrays.items()}
        arrays["weights/w"] += 1
        self.loaded.arrays.update(arrays)  # type: ignore[attr-defined]
        return self.loaded


class Promising(Echo):
    checks_load = True


def test_a_state_that_is_returned_as_it_was_loaded_is_compared_unless_the_trainable_does_so(tmp_path: Path) -> None:
    class Task(CheapTask):
        kind: type[CheapTrainable] = Echo

        def build(self, structural: Mapping[str, Value]) -> CheapTrainable:
            return self.kind(self)

    states, task = StateStore(tmp_path), Task()
    first = Worker("first", TrainablePool(CheapTask()), states).run(JOB)
    job = dataclasses.replace(JOB, trial="1", start=first.state, save_as="b")
    with pytest.raises(HandoverError, match=r"does not hold the state it starts from .*Echo\.state or Echo\.load"):
        Worker("faulty", TrainablePool(task), states).run(job)
    object.__setattr__(task, "kind", Promising)
    assert Worker("second", TrainablePool(task), states).run(job).failure is None


def test_the_donor_is_taken_over_and_the_childs_own_values_are_in_force(tmp_path: Path) -> None:
    states = StateStore(tmp_path)
    donor = Worker("first", TrainablePool(CheapTask()), states).run(JOB)
    pool = TrainablePool(CheapTask())
    own = {"learning_rate": 2e-3, "dropout": 0.3}
    child = dataclasses.replace(JOB, trial="1", values=own, start=donor.state, masks_seed=9, save_as="b")
    result = Worker("second", pool, states).run(child)
    assert result.failure is None
    assert result.trained_pairs == 200
    held = pool.get(own).trainable.effective_values()
    assert {name: held[name] for name in own} == own


def test_a_faulty_trainable_stops_a_search_by_pbt(tmp_path: Path) -> None:
    task = CheapTask(forgets="momentum")
    with opened(tmp_path) as journal, pytest.raises(HandoverError, match="optimizer/m"):
        search("pbt", cheap_settings(), task, inline(tmp_path, task), journal)
