"""Replays train what a search found again, segment by segment, from other weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nmt_pbt.run.jobs import Job
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import Assigned, Ended, Evaluated
from nmt_pbt.run.schedule import Schedule, found_schedule
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, PassingOn, cheap_settings, inline, opened, search

TASK = CheapTask()
PBT = ("training.epochs=6", "search.population=5")


def searched(folder: Path, *assignments: str) -> Schedule:
    """Run PBT and return its winner's schedule."""
    with opened(folder) as journal:
        search("pbt", cheap_settings(*assignments), TASK, inline(folder, TASK), journal)
        schedule = found_schedule(journal.records, "pbt", 0, folder.name)
    assert schedule is not None
    return schedule


def replayed(folder: Path, schedule: Schedule, method: str, *assignments: str, task: CheapTask = TASK) -> list:
    """Replay a schedule; return the journal."""
    segments = [segment.model_dump() for segment in schedule.plain]
    settings = cheap_settings(*assignments, f"search.replay.schedule={json.dumps(segments)}")
    with opened(folder) as journal:
        search(method, settings, task, inline(folder, task), journal)
    return read_journal(folder / "journal.jsonl")


def trained(records: list, member: int) -> list[tuple[int, dict]]:
    """Age and values at each evaluation of one model."""
    values = {r.trial: r.values for r in records if isinstance(r, Assigned) and r.member == member}
    return [(r.trained_pairs, values[r.trial]) for r in records if isinstance(r, Evaluated) and r.trial in values]


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("search.pbt.synchronous=false",),
        ("search.interval=0.7",),
        ("search.pbt.exploit=backtrack",),
    ],
    ids=["synchronous", "asynchronous", "interval that does not divide", "backtracking"],
)
def test_a_replay_reproduces_the_recorded_values_interval_by_interval(tmp_path: Path, more: tuple[str, ...]) -> None:
    schedule = searched(tmp_path / "found", *PBT, *more)
    assert len({json.dumps(segment.values) for segment in schedule.segments}) > 1
    ages, age = [], 0
    for segment in schedule.segments:
        assert segment.pairs is not None
        age += segment.pairs
        ages.append((age, segment.values))
    records = replayed(tmp_path / "again", schedule, "replay", *PBT, *more)
    for member in range(5):
        assert trained(records, member)[: len(ages)] == ages
        later = trained(records, member)[len(ages) :]
        assert all(values == schedule.segments[-1].values for _, values in later)


def test_a_winner_that_never_exploited_replays_as_a_constant(tmp_path: Path) -> None:
    never = ("search.pbt.exploit=bootstrap", "search.pbt.significance=1.0e-12")
    schedule = searched(tmp_path / "found", *PBT, *never)
    assert not any(segment.adopted for segment in schedule.segments)
    scores = []
    for method in ("replay", "final-values"):
        records = replayed(tmp_path / method, schedule, method, *PBT)
        values = [record.values for record in records if isinstance(record, Assigned)]
        assert all(held == schedule.segments[0].values for held in values)
        scores.append([record.metrics for record in records if isinstance(record, Evaluated)])
    assert scores[0] == scores[1]  # as docs/schedules.md says: the same models, trained by the same values


def test_final_values_are_held_from_the_beginning(tmp_path: Path) -> None:
    schedule = searched(tmp_path / "found", *PBT)
    records = replayed(tmp_path / "again", schedule, "final-values", *PBT)
    assigned = [record for record in records if isinstance(record, Assigned)]
    assert [record.values for record in assigned] == [schedule.segments[-1].values] * 5
    assert all(record.parent is None for record in assigned)


def test_both_replays_begin_with_the_same_weights_and_none_of_them_were_pbts(tmp_path: Path) -> None:
    def first_states(name: str) -> list[str]:
        """The states after one interval at a rate of next to nothing: the fresh weights."""
        records = read_journal(tmp_path / name / "journal.jsonl")
        members = {r.trial: r.member for r in records if isinstance(r, Assigned)}
        found = {members[r.trial]: r for r in records if isinstance(r, Evaluated) and r.started is None}
        return [f"{found[member].metrics['val_loss']:.9g}" for member in sorted(found)]

    still = "search.space={learning_rate: {min: 1.0e-15, max: 2.0e-15, scale: log}}"
    schedule = searched(tmp_path / "pbt", still)
    for method in ("replay", "final-values"):
        replayed(tmp_path / method, schedule, method, still)
    assert first_states("replay") == first_states("final-values")
    assert len(set(first_states("replay"))) == 4
    assert not set(first_states("replay")) & set(first_states("pbt"))


def test_one_model_can_be_asked_for_and_is_trained_as_long_as_the_schedule(tmp_path: Path) -> None:
    schedule = searched(tmp_path / "found", *PBT)
    length = f"training.epochs={schedule.epochs}"
    records = replayed(tmp_path / "again", schedule, "replay", "search.replay.models=1", length)
    assert {record.member for record in records if isinstance(record, Assigned)} == {0}
    assert records[-1].spent_pairs == sum(segment.pairs for segment in schedule.segments if segment.pairs)


def test_what_a_failed_model_leaves_is_given_to_another(tmp_path: Path) -> None:
    values = [{"dropout": 0.1, "batch_size": size} for size in (32, 256)]
    schedule = Schedule.model_validate({"segments": [{"epochs": 1.0, "values": held} for held in values]})
    records = replayed(tmp_path, schedule, "replay", task=CheapTask(largest_batch=100))
    failed = [record.trial for record in records if isinstance(record, Ended) and record.status == "failed"]
    assert len(failed) == 4  # each of the first four models fails in its second epoch of three; there are 12 to spend
    assert records[-1].spent_pairs == 4 * 3 * 200


def test_no_more_states_are_kept_than_two_of_each_model(tmp_path: Path) -> None:
    settings = cheap_settings()
    found = []

    class Counting(PassingOn):
        def submit(self, worker: str, job: Job) -> None:
            found.append(len(StateStore(tmp_path / "states").names()))
            super().submit(worker, job)

    with opened(tmp_path) as journal:
        search("replay", settings, TASK, Counting(inline(tmp_path, TASK)), journal)
    assert 4 <= max(found) <= 9  # four models under way, of each what it has and what it comes from, and the best


def test_values_that_the_schedule_does_not_name_are_the_configured_ones(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        search("replay", cheap_settings("training.batch_size=48"), TASK, inline(tmp_path, TASK), journal)
        values = [record.values for record in journal.records if isinstance(record, Assigned)]
    assert all(held["batch_size"] == 48 for held in values)
    assert math.isclose(float(values[0]["learning_rate"]), 3e-3)
