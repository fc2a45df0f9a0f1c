"""What a tracker is told of a run: each model, each interval once, whatever was interrupted; and what it may not do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.compare import compare
from nmt_pbt.run.records import Assigned, Evaluated, SearchRecord, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.track import tracking as module
from nmt_pbt.track.feed import TrackedModel
from nmt_pbt.track.names import check_trackers
from nmt_pbt.track.tracking import send, tracking
from tests.run.cheap import CheapTask, cheap_settings

CHEAP = CheapTask()


class Notes:
    """A tracker that keeps what it is told, as a server does: from one process to the next."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[Mapping[str, float]]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.results: dict[str, Mapping[str, float]] = {}
        self.open: set[str] = set()
        self.failed: list[str] = []
        self.broken = False

    def start(self, model: TrackedModel) -> int:
        assert model.label not in self.open
        self.open.add(model.label)
        return len(self.metrics.setdefault(model.label, []))

    def log(self, model: TrackedModel, interval: int, metrics: Mapping[str, float]) -> None:
        if self.broken:
            raise OSError("the server\nis gone")
        assert model.label in self.open
        self.metrics[model.label].append(metrics)
        assert interval == len(self.metrics[model.label])

    def result(self, model: TrackedModel, scores: Mapping[str, float]) -> None:
        assert model.label in self.open
        self.results[model.label] = scores

    def tag(self, model: TrackedModel, tags: Mapping[str, str]) -> None:
        assert model.label in self.open
        self.tags.setdefault(model.label, {}).update(tags)

    def finish(self, model: TrackedModel, failed: bool) -> None:
        self.open.remove(model.label)
        if failed:
            self.failed.append(model.label)

    def close(self) -> None:
        self.open.clear()


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes()
    monkeypatch.setattr(module, "open_tracker", lambda name, run: notes)
    return notes


def searches(*assignments: str) -> TranslationSettings:
    return cheap_settings('search.methods=["pbt","random"]', "search.objective=val_loss", *assignments)


def tracked(run: RunDirectory, settings: TranslationSettings, stop_after: int = 10**9) -> list[str]:
    """Compare, with a tracker, and stop after so many evaluations; return the warnings."""
    warnings: list[str] = []
    count = 0
    with tracking(["notes"], run, warnings.append) as track:

        def listener(record: SearchRecord) -> None:
            nonlocal count
            track(record)
            count += isinstance(record, Evaluated)
            if count == stop_after:
                raise KeyboardInterrupt

        compare(run, settings, CHEAP, listener)
    return warnings


def told(run: RunDirectory) -> dict[str, list[Mapping[str, float]]]:
    """Return what the journal says that a tracker has to know."""
    found: dict[str, list[Mapping[str, float]]] = {}
    given: dict[tuple[str, int, str], Assigned] = {}
    for record in run.records():
        if isinstance(record, Assigned):
            given[record.method, record.seed, record.trial] = record
        if isinstance(record, Evaluated):
            trial = given[record.method, record.seed, record.trial]
            name = f"trial-{trial.trial}" if trial.member is None else f"member-{trial.member}"
            values = {f"hyperparameters/{key}": value for key, value in trial.values.items()}
            metrics = {**record.metrics, **values, "trained_epochs": record.trained_pairs / CHEAP.pairs_per_epoch}
            found.setdefault(f"{record.method}-seed{record.seed}-{name}", []).append(metrics)  # type: ignore[arg-type]
    return found


def test_each_interval_of_each_model_is_tracked_with_its_lineage_and_the_winners(tmp_path: Path, notes: Notes) -> None:
    run = RunDirectory(tmp_path / "run")
    assert tracked(run, searches()) == []
    assert notes.metrics == told(run)
    assert len(notes.metrics["pbt-seed0-member-0"]) == 3
    assert not notes.open
    members = {record.trial: record.member for record in run.records() if isinstance(record, Assigned)}
    adopted = {
        (
            f"pbt-seed0-member-{record.member}",
            f"adopted/generation-{record.generation}",
            f"member-{members[record.parent]}",
        )
        for record in run.records()
        if isinstance(record, Assigned) and record.inherited and record.parent is not None
    }
    assert adopted
    assert adopted == {(model, *tag) for model, tags in notes.tags.items() for tag in tags.items()}
    tests = [{f"test/{key}": x for key, x in one.test.items()} for one in run.records() if isinstance(one, Tested)]
    assert list(notes.results.values()) == tests


@pytest.mark.parametrize("stop_after", [1, 5, 13])
def test_what_is_interrupted_and_gone_on_with_is_tracked_once(tmp_path: Path, notes: Notes, stop_after: int) -> None:
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        tracked(run, searches(), stop_after)
    tracked(run, searches())
    assert notes.metrics == told(run)


def test_a_tracker_that_fails_is_told_in_a_line_and_the_search_goes_on(tmp_path: Path, notes: Notes) -> None:
    notes.broken = True
    run = RunDirectory(tmp_path / "run")
    (warning,) = tracked(run, searches())
    assert "'notes': the server is gone; the search goes on without it" in warning
    assert f"nmt-pbt report {run.path} --track notes" in warning
    assert sum(isinstance(record, Tested) for record in run.records()) == 2
    notes.open.clear()
    with pytest.raises(UsageError, match="the server is gone"):
        send("notes", run)
    notes.broken = False
    notes.open.clear()
    send("notes", run)
    send("notes", run)
    assert notes.metrics == told(run)


def test_a_run_is_the_same_wherever_its_folder_lies(tmp_path: Path, notes: Notes) -> None:
    run = RunDirectory(tmp_path / "run")
    tracked(run, searches())
    shutil.copytree(run.path, tmp_path / "copy")
    before = {name: list(metrics) for name, metrics in notes.metrics.items()}
    send("notes", RunDirectory(tmp_path / "copy"))
    assert notes.metrics == before


def test_more_epochs_are_tracked_on_the_same_models(tmp_path: Path, notes: Notes) -> None:
    run = RunDirectory(tmp_path / "run")
    keep = "evaluation.kept_models=4"
    tracked(run, searches(keep, 'search.methods=["pbt"]'))
    tracked(run, searches(keep, 'search.methods=["pbt"]', "search.more_epochs=2"))
    assert notes.metrics == told(run)
    assert len(notes.metrics["pbt-seed0-member-0"]) == 5


def test_unknown_and_missing_trackers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="'mlflo': there is no such one; did you mean 'mlflow'"):
        check_trackers(["mlflo"])
    monkeypatch.setattr("nmt_pbt.track.names.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"'wandb': is not installed; pip install 'nmt-pbt\[wandb\]'"):
        check_trackers(["wandb"])
