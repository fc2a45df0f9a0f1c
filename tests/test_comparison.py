"""`nmt_pbt.compare_task`: methods compared on a task that is no Keras model and no translation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import nmt_pbt
from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.tasks.protocol import Evaluation, SearchableTask
from tests.run.test_processes import by_search

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> SearchableTask:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import decision_trees

    return decision_trees.ForestTask()


def compared(task: SearchableTask, folder: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "methods": ("pbt", "random"),
        "seeds": 1,
        "population": 3,
        "epochs": 4,
        "interval": 2,
        "workers": 1,
        "verbose": 0,
    }
    return nmt_pbt.compare_task(task, directory=folder, **{**arguments, **changes})


def test_what_is_found_does_not_depend_on_workers_and_can_be_gone_on_with(
    tmp_path: Path, task: SearchableTask, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(task, tmp_path / "one")
    compared(task, tmp_path / "two", workers=2)
    assert by_search(tmp_path / "two") == by_search(tmp_path / "one")
    for record in found.run.tested:
        winner = found.winner(record.method)
        assert winner.loss("dev") == record.dev["val_loss"]
        assert winner.loss("test") == record.test["loss"]
        assert winner.effective_values() == {"max_depth": winner.depth}
    assert list(found.schedule) == ["epoch", "until", "max_depth"]
    before = [without_times(record) for record in read_journal(tmp_path / "one" / "journal.jsonl")]
    more = compared(task, tmp_path / "one", methods=("pbt", "random", "bayes"), verbose=1)
    after = [without_times(record) for record in read_journal(tmp_path / "one" / "journal.jsonl")]
    assert after[: len(before)] == before
    assert [record.method for record in more.run.tested] == ["pbt", "random", "bayes"]
    printed = capsys.readouterr().out
    assert "bayes, seed 0: best val_loss" in printed
    assert "random" not in printed  # it was finished before
    assert "12 trees" in found.report.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=r"training\.epochs was 4.0 and is 6.0"):
        compared(task, tmp_path / "one", epochs=6)


def test_the_report_is_left_out_where_it_is_not_wanted_and_a_finished_run_tells_how_it_is_tracked(
    tmp_path: Path,
    task: SearchableTask,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = compared(task, Path("run"), methods=("random",), report=False, verbose=1)
    assert found.report is None
    assert not Path("run", "report").exists()
    assert capsys.readouterr().out.splitlines()[-1] == "nmt-pbt report run"
    tracked: list[Any] = []
    monkeypatch.setattr("nmt_pbt.track.tracking.open_tracker", lambda name, run: Nowhere(tracked))
    found = compared(task, Path("run"), methods=("random",), track=("mlflow",))
    assert found.report == Path("run", "report", "index.html")
    assert found.report.exists()
    assert "nothing was tracked; nmt-pbt report run --track mlflow sends a finished run" in caplog.text
    assert not tracked


class Nowhere:
    """A tracker that only notes that it is told something."""

    def __init__(self, tracked: list[Any]) -> None:
        self.start = self.log = self.result = self.tag = self.finish = lambda *told: tracked.append(told)

    def close(self) -> None: ...


class Killed(Exception):
    """Ends a search as a kill does."""


def test_a_population_goes_on_with_more_epochs_also_after_a_kill_and_past_ten_trials(
    tmp_path: Path, task: SearchableTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: dict[str, Any] = {"methods": ("pbt",), "population": 3, "interval": 1}
    compared(task, tmp_path / "whole", **{**lengths, "epochs": 4})
    compared(task, tmp_path / "on", **{**lengths, "epochs": 2})
    import decision_trees

    train, trained = decision_trees.Forest.train, []

    def killed_at_the_third(forest: Any, pairs: int) -> Any:
        trained.append(1)
        if len(trained) == 3:
            raise Killed
        return train(forest, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(decision_trees.Forest, "train", killed_at_the_third)
        with pytest.raises(Killed):
            compared(task, tmp_path / "on", **{**lengths, "epochs": 2, "more_epochs": 2})
    found = compared(task, tmp_path / "on", **{**lengths, "epochs": 2, "more_epochs": 2})
    assert list(found.run.searches["finished"]) == [True]
    assert list(found.run.searches["spent_pairs"]) == [12]
    whole, on = (
        [
            (record["values"], record["parent"] and int(record["parent"]))
            for record in by_search(tmp_path / name)["pbt", 0]
            if record["event"] == "assigned"
        ]
        for name in ("whole", "on")
    )
    assert len(on) == 12
    assert on == whole  # ids alone differ: they are padded by the number of trials that there were at first
    with pytest.raises(UsageError, match="3 epochs of a member are no whole intervals of 2"):
        compared(task, tmp_path / "cut", **{**lengths, "epochs": 2, "more_epochs": 1, "interval": 2})


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("train", None, "Forest.train: returned NoneType where Mapping is expected"),
        ("train", {"train_loss": "low"}, "Forest.train: returned 'low' as train_loss, which is no number"),
        ("evaluate", {"val_loss": 1.0}, "Forest.evaluate: returned dict where Evaluation is expected"),
        ("evaluate", Evaluation({"loss": 1.0}), "evaluate: reports train_loss, loss, not the objective val_loss"),
        ("state", {}, "Forest.state: returned dict where MemberState is expected"),
    ],
)
def test_what_a_method_of_ones_own_must_not_return_is_named(
    tmp_path: Path, task: SearchableTask, monkeypatch: pytest.MonkeyPatch, method: str, answer: object, told: str
) -> None:
    import decision_trees

    monkeypatch.setattr(decision_trees.Forest, method, lambda self, *given: answer)
    monkeypatch.setattr(decision_trees.Forest, "trees", [(1, 0)], raising=False)
    with pytest.raises(UsageError, match=told):
        compared(task, tmp_path / "run", methods=("random",))


def test_a_task_that_cannot_be_sent_is_refused_before_anything_is_trained(tmp_path: Path, task: SearchableTask) -> None:
    class Here(type(task)):  # type: ignore[misc] - only this function knows it
        """A class that no other process can find."""

        def build(self, structural: Mapping[str, Any]) -> Any:
            raise AssertionError("is not built")

    with pytest.raises(UsageError, match=r"task forest: cannot be sent to worker processes .* workers=1"):
        compared(Here(), tmp_path / "run", workers=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("pbt", "randm")}, "no such method 'randm'; did you mean 'random'"),
        ({"population": 1}, "population=1: has to be a whole number, at least 2"),
        ({"settings": {"pbt": {"fracton": 0.2}}}, "search.pbt.fracton: no such setting; did you mean 'fraction'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, task: SearchableTask, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        compared(task, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
