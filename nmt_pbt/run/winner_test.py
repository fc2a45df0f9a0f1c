"""Testing a search's winner once on the test split, and keeping its model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmt_pbt.base.files import replace_file
from nmt_pbt.run.jobs import StateReference, TestingJob, TestingResult
from nmt_pbt.run.progress import Winner
from nmt_pbt.run.records import OtherTest, SearchStarted, Tested
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.run.states import SavedStates
from nmt_pbt.tasks.state import StateStore


@dataclass(frozen=True)
class WinnerTest:
    """How winners of a run are tested.

    Attributes:
        run: Where their models and what the task makes of the test split are kept.
        runners_up: How many models of other members are kept beside the winner's, at most.
    """

    run: RunDirectory
    runners_up: int = 0

    def job(self, search: SearchStarted, winner: Winner) -> TestingJob:
        """Return the job that tests a winner."""
        return TestingJob(_name(search), winner.values, winner.state)

    def keep(
        self,
        search: SearchStarted,
        winner: Winner,
        runners_up: Sequence[Winner],
        result: TestingResult,
        states: SavedStates,
    ) -> None:
        """Keep what was made of the test split, and the models.

        Args:
            search: The record that opened the search.
            winner: Its winner.
            runners_up: Other members whose models are kept.
            result: What came of the test.
            states: Where their states are.
        """
        for path, content in result.files.items():
            file = self.run.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, content)
        models = StateStore(self.run.models)
        kept = {other.state.name for other in runners_up}
        models.drop({name for name in models.names() if name.startswith(f"{_name(search)}-trial")} - kept)
        for other in runners_up:
            models.save(other.state.name, states.load(other.state.name, other.state.hash))
        models.save(_name(search), states.load(winner.state.name, winner.state.hash))

    def bring_back(self, search: SearchStarted, needed: Iterable[StateReference], states: SavedStates) -> None:
        """Take the states that a search goes on from out of the models that were kept; the others are trained again.

        Args:
            search: The record that opened the search.
            needed: The states.
            states: Where they are to be.
        """
        models = StateStore(self.run.models)
        for state in needed:
            for name in (state.name, _name(search)):
                if states.problem(state.name, state.hash) and models.problem(name, state.hash) is None:
                    states.save(state.name, models.load(name, state.hash))

    def record(self, search: SearchStarted, winner: Winner, result: TestingResult) -> Tested:
        """Return the journal's record of it."""
        assert result.result is not None, "a lost state was made again before"
        return Tested(
            method=search.method,
            seed=search.seed,
            trial=winner.trial,
            interval_index=winner.interval_index,
            trained_pairs=winner.trained_pairs,
            dev={metric: value for metric, value in winner.metrics.items() if value is not None},
            test=dict(result.result.metrics),
            signatures=dict(result.result.signatures),
            outputs=result.result.outputs,
            test_set=result.result.test_set,
            others=[
                OtherTest(
                    test_set=other.test_set or "",
                    test=dict(other.metrics),
                    signatures=dict(other.signatures),
                    outputs=other.outputs,
                )
                for other in result.result.others
            ],
            seconds=result.seconds,
        )


def _name(search: SearchStarted) -> str:
    return f"{search.method}-seed{search.seed}"
