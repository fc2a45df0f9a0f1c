"""A state file that is truncated, changed or gone is made again; and there are never more of them than promised."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt_pbt.base.errors import StateError
from nmt_pbt.run.driver import Driver
from nmt_pbt.run.jobs import Engine, JobResult, Result, TrainingJob
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.preflight import need_of
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.run.cheap import CheapTask, CheapTrainable, PassingOn, cheap_settings, driver, finish, inline, opened, search

METHODS = ("pbt", "random", "grid", "bayes", "hyperband", "exploit-only", "explore-only", "manual")
POPULATION = 4


def settings_with(*assignments: str) -> TranslationSettings:
    guesses = "search.manual.guesses=[{dropout: 0.1}, {dropout: 0.4}, {learning_rate: 0.001}]"
    return cheap_settings("search.bayes.initial_points=2", guesses, *assignments)


class Stopped(BaseException):
    """What a kill is in one process."""


class StopsAfter(PassingOn):
    """Stops everything when so many jobs were run."""

    def __init__(self, engine: Engine, jobs: int) -> None:
        super().__init__(engine)
        self._left = jobs

    def wait(self) -> JobResult | None:
        if self._left == 0:
            raise Stopped
        self._left -= 1
        return self.engine.wait()


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def bit_flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    file.write_bytes(data)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def gone(file: Path) -> None:
    file.unlink()


def of_another_trial(file: Path) -> None:
    other = next((other for other in sorted(file.parent.iterdir()) if other != file), None)
    file.write_bytes(other.read_bytes() if other is not None else b"")


DAMAGES: tuple[Callable[[Path], None], ...] = (truncated, bit_flipped, emptied, gone, of_another_trial)


def journal_of(folder: Path) -> list[dict[str, Any]]:
    return [without_times(record) for record in read_journal(folder / "journal.jsonl")]


def run(folder: Path, method: str, workers: int = 1, stop_after: int | None = None) -> None:
    engine: Engine = inline(folder, CheapTask(), workers)
    if stop_after is not None:
        engine = StopsAfter(engine, stop_after)
    with opened(folder) as journal:
        search(method, settings_with(), CheapTask(), engine, journal)


def story_of(folder: Path) -> list[Any]:
    """Return what was decided and what came of it, without who did it and in which order."""
    # Samples are those of the best so far, which depends on who is ready first, as worker and spent do.
    left_out = {"worker": "", "spent_pairs": 0, "samples": []}
    return sorted((str({**record, **left_out}) for record in journal_of(folder)), key=str)


@pytest.mark.parametrize(("method", "workers"), [*((method, 1) for method in METHODS), ("pbt", 3), ("random", 3)])
def test_lost_states_are_made_again_and_the_journal_is_that_of_an_undamaged_run(
    tmp_path: Path, method: str, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "whole", method, workers)
    told = journal_of if workers == 1 else story_of  # of several workers, one that makes a state again is later
    whole = told(tmp_path / "whole")
    rng = random.Random(METHODS.index(method))
    made_again = 0
    for stop_after in range(2, 9, 2):
        folder = tmp_path / f"stopped{stop_after}"
        with pytest.raises(Stopped):
            run(folder, method, workers, stop_after)
        damage = DAMAGES[stop_after // 2 % len(DAMAGES)]
        files = sorted((folder / "states").glob("*.safetensors"))
        for file in files if rng.random() < 0.5 else rng.sample(files, 1):
            damage(file)
        caplog.clear()
        run(folder, method, workers)
        assert told(folder) == whole, f"{damage.__name__} after {stop_after} jobs"
        made_again += len(caplog.messages)
        for message in caplog.messages:
            assert str(folder / "states") in message
            assert "training it again" in message
    assert made_again


def test_a_state_lost_while_the_search_runs_is_made_again_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "whole", "pbt")
    folder = tmp_path / "lost"

    class Loses(PassingOn):
        def submit(self, worker: str, job: TrainingJob) -> None:
            if job.start is not None and job.trial.endswith("7"):
                (folder / "states" / f"{job.start.name}.safetensors").unlink(missing_ok=True)
            self.engine.submit(worker, job)

    with opened(folder) as journal:
        search("pbt", settings_with(), CheapTask(), Loses(inline(folder, CheapTask())), journal)
    assert len(caplog.messages) == 1
    assert journal_of(folder) == journal_of(tmp_path / "whole")


def test_a_winner_that_was_lost_is_made_again_before_it_is_tested(tmp_path: Path) -> None:
    run(tmp_path, "pbt")
    for file in (tmp_path / "states").iterdir():
        file.unlink()
    with opened(tmp_path) as journal:
        winner = search("pbt", settings_with(), CheapTask(), inline(tmp_path, CheapTask()), journal)
    assert winner is not None
    assert [file.name for file in (tmp_path / "states").iterdir()] == [f"{winner.state.name}.safetensors"]
    assert StateStore(tmp_path / "states").problem(winner.state.name, winner.state.hash) is None


def test_a_state_that_comes_out_otherwise_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, "pbt", stop_after=6)
    for file in (tmp_path / "states").iterdir():
        file.unlink()
    train = CheapTrainable.train

    def train_otherwise(trainable: CheapTrainable, pairs: int) -> Any:
        trainable.weights = trainable.weights + 1e-9
        return train(trainable, pairs)

    monkeypatch.setattr(CheapTrainable, "train", train_otherwise)
    with pytest.raises(StateError, match=r"missing.*training it again gave another state") as error:
        run(tmp_path, "pbt")
    assert str(tmp_path / "states" / "pbt-seed0-trial") in str(error.value)


class Watching(PassingOn):
    """Counts the files of states, and compares what is kept with what is needed."""

    def __init__(self, engine: Engine, folder: Path, drivers: list[Driver]) -> None:
        super().__init__(engine)
        self._folder, self._drivers = folder, drivers
        self.most = 0

    def files(self) -> set[str]:
        found = {file.name for file in (self._folder / "states").glob("*")}
        self.most = max(self.most, len(found))
        return found

    def wait(self) -> Result | None:
        if not self._drivers[-1]._search.order.waiting:  # else there are states of results whose turn has not come
            # What is dropped bit by bit leaves what a look at everything would.
            assert self.files() == {f"{name}.safetensors" for name in self._drivers[-1].states_needed()}
        result = self.engine.wait()
        self.files()
        return result


UNSTEADY = "{learning_rate: 0.5, dropout: 0.9}"  # so that the best is not always the latest


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("manual", [f"search.manual.guesses=[{UNSTEADY}]"]),
        ("replay", ["search.replay.models=1", f"search.replay.schedule=[{{epochs: 6, values: {UNSTEADY}}}]"]),
    ],
)
def test_one_model_alone_takes_the_room_that_was_told_for_it(tmp_path: Path, method: str, settings: list[str]) -> None:
    wide = "search.space={learning_rate: {min: 0.1, max: 0.9}, dropout: {min: 0.0, max: 0.9}}"
    whole = cheap_settings(f"search.methods=[{method}]", "training.epochs=6", wide, *settings)
    drivers: list[Driver] = []
    watching = Watching(inline(tmp_path, CheapTask()), tmp_path, drivers)
    with opened(tmp_path) as journal:
        drivers.append(driver(method, whole, CheapTask(), journal))
        assert finish(drivers[0], watching) is not None
    assert watching.most == need_of(whole, 100).states == 3


@pytest.mark.parametrize("workers", [1, 5, 20])
@pytest.mark.parametrize(
    ("method", "setting"),
    [
        *((method, "search.pbt.synchronous=true") for method in METHODS),
        *((method, "search.pbt.synchronous=false") for method in ("pbt", "exploit-only", "explore-only")),
        ("pbt", "search.pbt.exploit=backtrack"),
        ("pbt", "search.pbt.exploit=tournament"),
        ("hyperband", "search.interval=0.05"),
        ("hyperband", "search.hyperband.factor=2"),
        ("random", "search.space.epochs={min: 0.9, max: 2.0}"),
    ],
)
def test_there_are_never_more_states_than_twice_the_population_and_two(
    tmp_path: Path, method: str, setting: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers: list[Driver] = []
    make = Driver.__init__

    def noted(driver: Driver, *args: Any, **kwargs: Any) -> None:
        drivers.append(driver)
        make(driver, *args, **kwargs)

    monkeypatch.setattr(Driver, "__init__", noted)
    task, settings = CheapTask(explodes_above=8e-3), settings_with("training.epochs=6", setting)
    most = 0
    for stop_after in (3, 4, 1, 5, 10_000):
        watching = Watching(inline(tmp_path, task, workers), tmp_path, drivers)
        try:
            with opened(tmp_path) as journal:
                search(method, settings, task, StopsAfter(watching, stop_after), journal)
        except Stopped:
            # What a kill in mid-save leaves is gone when the run goes on.
            (tmp_path / "states").mkdir(exist_ok=True)
            (tmp_path / "states" / ".left.safetensors.1.tmp").write_bytes(b"")
        most = max(most, watching.most)
    assert 0 < most <= 2 * POPULATION + 2
