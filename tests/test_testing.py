"""The contract tests that others import: what keeps the contract passes, and each broken promise is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.types import Value
from nmt_pbt.search.methods.registry import METHODS, MethodSpec, register_method
from nmt_pbt.search.oracles.base import BudgetedOracle
from nmt_pbt.tasks.protocol import Evaluation, TestResult, Trainable
from nmt_pbt.testing import check_method, check_task
from tests.run.cheap import CheapTask, CheapTrainable

VALUES = {"learning_rate": 1e-2, "dropout": 0.1, "recurrent_dropout": 0.0, "batch_size": 32}
OTHERS = {"learning_rate": 3e-3, "dropout": 0.4, "recurrent_dropout": 0.1, "batch_size": 64}


@pytest.mark.parametrize("name", ["pbt", "random", "grid", "bayes", "hyperband", "explore-only"])
def test_the_methods_of_the_package_keep_the_contract(name: str) -> None:
    check_method(name)


def _broken(choose: object) -> type[BudgetedOracle]:
    return type("BrokenOracle", (BudgetedOracle,), {"choose": choose})


@pytest.fixture
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A method whose oracle chooses by a function."""
    monkeypatch.setattr(METHODS, "_specs", dict(METHODS._specs))
    register_method(
        MethodSpec(
            "broken",
            "Broken",
            "constant",
            lambda plan, section, seed, pairs_per_epoch, segments: _broken(request.param)(
                **plan.oracle_arguments(seed, pairs_per_epoch)
            ),
        )
    )
    return "broken"


def _beyond(oracle: BudgetedOracle, trial_id: str) -> dict:
    return {**oracle.space.sample(oracle.seed, "initial", len(oracle.trials)), "dropout": 0.9}


def _by_chance(oracle: BudgetedOracle, trial_id: str) -> dict:
    return oracle.space.sample(int(np.random.default_rng().integers(2**31)), "initial", len(oracle.trials))


@pytest.mark.parametrize(
    ("method", "promise"),
    [(_beyond, "values lie within their range: dropout is 0.9"), (_by_chance, "the same seed and results give")],
    indirect=["method"],
)
def test_a_method_that_breaks_a_promise_is_told_which(method: str, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_method(method)


def test_a_task_that_keeps_the_contract_passes() -> None:
    check_task(CheapTask(), VALUES, OTHERS)


@pytest.mark.parametrize(
    ("task", "promise"),
    [
        (CheapTask(forgets_to_apply=True), "values that are set are in force: learning_rate is 0.001"),
        (CheapTask(forgets="to age"), "age counts the pairs it was trained on: 0 after 200"),
        (CheapTask(forgets="momentum"), "holds the state that it was given: optimizer/m differs"),
        (CheapTask(forgets="trained_pairs"), "a loaded model holds the state"),
        (CheapTask(forgets="iterations"), "holds the state that it was given: optimizer/iterations differs"),
        (CheapTask(forgets="to stay"), "an evaluation changes nothing|the same|a loaded model"),
        (CheapTask(name=""), "a task has a name"),
        (CheapTask(pairs_per_epoch=0), "an epoch is a positive number of pairs"),
    ],
)
def test_a_task_that_breaks_a_promise_is_told_which(task: CheapTask, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_task(task, VALUES, OTHERS)


class Silent(CheapTrainable):
    def effective_values(self) -> Mapping[str, Value]:
        return {"dropout": self.values["dropout"]}


@dataclass(frozen=True)
class SilentTask(CheapTask):
    def build(self, structural: object) -> Silent:
        return Silent(self)


def test_a_value_that_cannot_be_read_back_is_told() -> None:
    with pytest.raises(AssertionError, match="values in force can be read back: learning_rate is missing"):
        check_task(SilentTask(), VALUES, OTHERS)


class Moody(CheapTrainable):
    def evaluate(self, evidence: bool = False) -> Evaluation:
        self.weights = self.weights * 0.5
        return super().evaluate(evidence)


@dataclass(frozen=True)
class MoodyTask(CheapTask):
    def build(self, structural: object) -> Moody:
        return Moody(self)


@dataclass(frozen=True)
class ForgetfulTask(CheapTask):
    def test(self, trainable: Trainable, run: Path, name: str) -> TestResult:
        return TestResult({"loss": 1.0}, outputs=f"{name}.txt")


def test_an_evaluation_that_changes_the_model_and_a_file_that_is_not_there_are_told() -> None:
    with pytest.raises(AssertionError, match="an evaluation that is repeated gives the same"):
        check_task(MoodyTask(), VALUES, OTHERS)
    with pytest.raises(AssertionError, match=r"a test writes the file it names: winner\.txt"):
        check_task(ForgetfulTask(), VALUES, OTHERS)
