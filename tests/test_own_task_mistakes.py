"""A mistake in a task of one's own is told in one line: which method is wrong, and what it has to return."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt_pbt
from nmt_pbt.base.errors import NmtPbtError, SearchError, UsageError
from nmt_pbt.cli.own_task import compare_own_task
from nmt_pbt.cli.running import resume_run
from nmt_pbt.run.compare import compare
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.space.domains import Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Evaluation, MemberState, Objective, SearchableTask, TestResult, Trainable
from tests.run.cheap import CheapTask, CheapTrainable, cheap_settings


class Mine(CheapTrainable):
    """A model of one's own."""


class MyTask(SearchableTask):
    """A task of one's own, without a mistake."""

    name = "mine"
    data_digest = "no data"
    search_space = Space((Real("learning_rate", 1e-3, 1e-1, "log"), Real("dropout", 0.0, 0.5)))
    searched_objective = Objective("val_loss", "min")
    trainable: type[CheapTrainable] = Mine

    def build(self, structural: Mapping[str, Any]) -> Trainable:
        return self.trainable(CheapTask())


def compared(task: Any, folder: Path, **changes: Any) -> Any:
    arguments = {"methods": ("pbt",), "seeds": 1, "population": 4, "epochs": 2, "workers": 1, "verbose": 0, **changes}
    return nmt_pbt.compare_task(task, directory=folder, **arguments)


def returning(answer: Any) -> Any:
    return lambda self, *given, **named: answer


STATE = CheapTrainable(CheapTask()).state()
LISTS = MemberState({name: array.tolist() for name, array in STATE.arrays.items()}, 1)  # type: ignore[misc]

DECLARED = [
    ({"data_digest": 3}, "MyTask.data_digest: is 3 where str is expected"),
    ({"data_digest": SearchableTask.data_digest}, "MyTask.data_digest: is None where str is expected"),
    ({"data_digest": ""}, "MyTask.data_digest: is empty"),
    ({"name": None}, "MyTask.name: is None where str is expected"),
    ({"unit": 1}, "MyTask.unit: is 1 where str is expected"),
    ({"pairs_per_epoch": 0}, "MyTask.pairs_per_epoch: is 0; make it a whole number, at least 1"),
    ({"pairs_per_epoch": -3}, "MyTask.pairs_per_epoch: is -3; make it a whole number, at least 1"),
    ({"pairs_per_epoch": 2.0}, "MyTask.pairs_per_epoch: is 2.0 where int is expected"),
    ({"pairs_per_epoch": math.nan}, "MyTask.pairs_per_epoch: is nan where int is expected"),
    ({"pairs_per_epoch": True}, "MyTask.pairs_per_epoch: is True where int is expected"),
    ({"structural": "units"}, "MyTask.structural: is 'units' where Set is expected"),
    ({"structural": {"dropout"}}, "MyTask.structural: names dropout, which search_space lets change in training"),
    ({"searched_objective": "val_loss"}, "MyTask.searched_objective: is 'val_loss' where Objective is expected"),
    ({"searched_objective": Objective("val_loss", "less")}, "MyTask.searched_objective: has the direction 'less'"),  # type: ignore[arg-type]
    ({"searched_objective": Objective(3, "min")}, "MyTask.searched_objective: has the name 3"),  # type: ignore[arg-type]
    ({"search_space": {"dropout": (0.0, 0.5)}}, "MyTask.search_space: is {'dropout': .* where Space is"),
    ({"search_space": SearchableTask.search_space}, "MyTask.search_space: is None where Space is expected"),
    ({"with_threads": returning(None)}, "MyTask.with_threads: returned NoneType, which has no name, structural"),
    ({"build": returning(None)}, "MyTask.build: returned NoneType, which has no reset, load"),
    ({"build": returning(object())}, "MyTask.build: returned object, which has no reset, load"),
    ({"test": returning({"loss": 1.0})}, "MyTask.test: returned dict where TestResult is expected"),
    ({"test": returning(TestResult({"loss": math.nan}))}, "MyTask.test: returned nan as loss, which is not finite"),
    (
        {"test": returning(TestResult({}, others=(TestResult({"loss": math.inf}),)))},
        "MyTask.test: returned inf as loss, which is not finite",
    ),
    ({"test": returning(TestResult({"loss": "low"}))}, "MyTask.test: returned 'low' as loss, which is no number"),
]

ANSWERED = [
    ({"train": returning(None)}, "Mine.train: returned NoneType where Mapping is expected"),
    ({"train": returning({"train_loss": None})}, "Mine.train: returned None as train_loss, which is no number"),
    ({"train": returning({1: 1.0})}, "Mine.train: names a metric 1"),
    ({"evaluate": returning({"val_loss": 1.0})}, "Mine.evaluate: returned dict where Evaluation is"),
    ({"evaluate": returning(Evaluation({"loss": 1.0}))}, "evaluate: reports train_loss, loss, not the objective"),
    ({"evaluate": returning(Evaluation([1.0]))}, r"Mine.evaluate: returned list as metrics where Mapping is"),  # type: ignore[arg-type]
    ({"evaluate": returning(Evaluation({"val_loss": np.zeros(2)}))}, "Mine.evaluate: returned array.* as val_loss"),  # type: ignore[dict-item]
    ({"effective_values": returning(None)}, "Mine.effective_values: returned NoneType where Mapping is expected"),
    ({"effective_values": returning({"dropout": 0.1})}, "Mine.effective_values: leaves out learning_rate"),
    ({"effective_values": returning({})}, "Mine.effective_values: leaves out learning_rate"),
    ({"state": returning(None)}, "Mine.state: returned NoneType where MemberState is expected"),
    ({"state": returning(LISTS)}, "Mine.state: returned list as weights/w; return a NumPy array"),
    ({"state": returning(MemberState({"w": np.array(["a"])}, 1))}, "Mine.state: returned an array of <U1 as w"),
    ({"state": returning(MemberState({"w": np.array([None])}, 1))}, "Mine.state: returned an array of object as w"),
    ({"state": returning(MemberState([1], 1))}, r"Mine.state: returned list as arrays where Mapping is expected"),  # type: ignore[arg-type]
    ({"state": returning(MemberState({}, 1.0))}, "Mine.state: returned float as age where int is expected"),  # type: ignore[arg-type]
    ({"load": returning(None)}, "(?s)the state it starts from .* fault of Mine.state or Mine.load: correct it"),
    (
        {"set_hyperparameters": returning(None)},
        "as assigned; this is a fault of Mine.load or Mine.set_hyperparameters: correct it",
    ),
    ({"train": returning({"train_loss": 1.0})}, "its age is 0; this is a fault of Mine.load or Mine.train: correct it"),
]


def mistaken(changes: dict[str, Any], of_model: bool) -> MyTask:
    model = type("Mine", (Mine,), changes if of_model else {})
    kind = type("MyTask", (MyTask,), {"trainable": model, **({} if of_model else changes)})
    task: MyTask = kind()
    return task


@pytest.mark.parametrize(
    ("changes", "told", "of_model"),
    [(*row, False) for row in DECLARED] + [(*row, True) for row in ANSWERED],
)
def test_a_mistake_is_told_with_the_method_that_is_wrong(
    tmp_path: Path, changes: dict[str, Any], told: str, of_model: bool
) -> None:
    with pytest.raises(NmtPbtError, match=told) as caught:
        compared(mistaken(changes, of_model), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert "report" not in str(caught.value).removeprefix("evaluate: reports")


@pytest.mark.parametrize("changes", [{"data_digest": 3}, {"pairs_per_epoch": 0}, {"search_space": {}}])
def test_what_a_task_declares_is_checked_before_anything_is_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"MyTask\."):
        compared(mistaken(changes, of_model=False), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_task_without_a_mistake_is_compared(tmp_path: Path) -> None:
    assert len(compared(MyTask(), tmp_path / "run").run.tested) == 1


@pytest.mark.parametrize("methods", [("pbt",), ("random",), ("pbt", "random")])
def test_an_objective_that_is_never_a_number_is_told(tmp_path: Path, methods: tuple[str, ...]) -> None:
    task = mistaken({"evaluate": returning(Evaluation({"val_loss": math.nan}))}, of_model=True)
    with pytest.raises(SearchError, match="train or evaluate returned what is not finite in every trial"):
        compared(task, tmp_path / "run", methods=methods)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_does_not_inherit_may_lack_nothing(tmp_path: Path, workers: int) -> None:
    with pytest.raises(
        UsageError, match=r"CheapTask: has no search_space, searched_objective, unit, .*; inherit from nmt"
    ):
        compared(CheapTask(), tmp_path / "run", workers=workers)


def test_what_is_no_domain_is_refused_where_a_space_is_made_of_it() -> None:
    with pytest.raises(UsageError, match="the search space holds 'dropout', which is no domain; give a tuple"):
        Space({"dropout": (0.0, 0.5)})  # type: ignore[arg-type]


def test_what_is_raised_in_a_method_of_ones_own_keeps_its_traceback(tmp_path: Path) -> None:
    def digest(self: Any) -> str:
        return str(self.file)

    with pytest.raises(AttributeError, match="no attribute 'file'") as caught:
        compared(mistaken({"data_digest": property(digest)}, of_model=False), tmp_path / "run")
    assert caught.traceback[-1].name == "digest"


def test_a_run_of_another_kind_is_told_with_how_it_is_continued(tmp_path: Path) -> None:
    compare(RunDirectory(tmp_path / "translation"), cheap_settings("search.methods=[random]"), CheapTask())
    told = (
        r"is a translation run, not one of a task of your own; continue it with nmt-pbt compare --resume .*translation"
    )
    with pytest.raises(UsageError, match=told):
        compared(MyTask(), tmp_path / "translation")
    with pytest.raises(UsageError, match=told):
        compare_own_task(f"{__name__}:MyTask", tmp_path / "translation", None, [], {}, resume=True)
    compared(MyTask(), tmp_path / "own")
    with pytest.raises(UsageError, match=r"is a run of the task mine, not of translation; .* nmt_pbt\.compare_task\("):
        resume_run(tmp_path / "own", False, [], {})
    settings = {"training.epochs": 2.0, "search.methods": ["random"], "search.population": 2, "engine.name": "inline"}
    compare_own_task(f"{__name__}:MyTask", tmp_path / "told", None, [], settings, resume=False)
    how = rf"continue it with nmt-pbt compare --task {__name__}:MyTask --resume {tmp_path / 'told'}"
    with pytest.raises(UsageError, match=how):
        resume_run(tmp_path / "told", False, [], {})


def test_a_run_that_a_rule_ended_says_so_when_it_is_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verbose in (0, 1):
        compared(MyTask(), tmp_path / "run", stop={"target": 1e6}, verbose=verbose)
    told = "to search on, begin a new run with search.stop.target=null and another directory=\n"
    assert told in capsys.readouterr().out
