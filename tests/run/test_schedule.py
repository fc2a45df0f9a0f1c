"""Schedules: read from a journal along the winner's lineage, and from YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.run.records import AnyRecord, SearchEnded
from nmt_pbt.run.schedule import (
    RecordedSegment,
    Schedule,
    dump_schedule,
    found_schedule,
    read_schedule,
    schedule_of_run,
)
from nmt_pbt.tasks.translation.settings.tree import check_schedule
from tests.report.journals import assigned, evaluated, run_started, search


def lineage() -> list[AnyRecord]:
    """Member 1 adopts member 0's state after the first interval, and wins after its second."""
    return [
        run_started(),
        search(),
        assigned("a", member=0, dropout=0.1),
        evaluated("a", 10.0, trained_pairs=100, spent_pairs=100),
        assigned("b", member=1, dropout=0.5),
        evaluated("b", 5.0, trained_pairs=100, spent_pairs=200),
        assigned("c", member=0, parent="a", generation=1, dropout=0.1),
        evaluated("c", 11.0, trained_pairs=200, spent_pairs=300),
        assigned("d", member=1, parent="a", inherited=True, generation=1, dropout=0.2),
        evaluated("d", 12.0, trained_pairs=200, spent_pairs=400),
        SearchEnded(method="pbt", seed=0, spent_pairs=400),
    ]


def test_a_schedule_follows_the_lineage_and_not_the_slot() -> None:
    schedule = found_schedule(lineage(), "pbt", 0, "run")
    assert schedule is not None
    assert [(s.trial, s.pairs, s.epochs, s.adopted, s.values) for s in schedule.segments] == [
        ("a", 100, 0.5, False, {"dropout": 0.1}),
        ("d", 100, 0.5, True, {"dropout": 0.2}),
    ]
    assert schedule.source is not None
    assert (schedule.source.trial, schedule.source.score, schedule.source.pairs_per_epoch) == ("d", 12.0, 200)


def test_the_schedule_ends_at_the_winning_evaluation() -> None:
    records = [
        run_started(),
        search("random"),
        assigned("a", method="random", dropout=0.1),
        evaluated("a", 10.0, trained_pairs=100, spent_pairs=100, method="random"),
        evaluated("a", 12.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="random"),
        evaluated("a", 11.0, trained_pairs=300, spent_pairs=300, interval_index=2, method="random"),
    ]
    schedule = found_schedule(records, "random", 0, "run")
    assert schedule is not None
    assert [segment.pairs for segment in schedule.segments] == [100, 100]
    assert {segment.values["dropout"] for segment in schedule.segments} == {0.1}


def test_a_search_without_a_finite_score_has_no_schedule() -> None:
    records = [
        run_started(),
        search(),
        assigned("a", member=0, dropout=0.1),
        evaluated("a", None, trained_pairs=0, spent_pairs=100),
    ]
    assert found_schedule(records, "pbt", 0, "run") is None
    assert found_schedule(records, "random", 0, "run") is None


def test_a_parent_that_is_not_in_the_journal_is_an_error() -> None:
    records = [record for record in lineage() if getattr(record, "trial", None) != "a"]
    with pytest.raises(JournalError, match="trial a, from which the winner descends"):
        found_schedule(records, "pbt", 0, "run")


VALUES = st.fixed_dictionaries(
    {"dropout": st.floats(0, 0.9), "batch_size": st.integers(1, 512), "learning_rate": st.floats(1e-6, 1.0)}
)


@given(st.lists(st.tuples(st.integers(1, 10**6), VALUES), min_size=1, max_size=5))
def test_a_written_schedule_is_read_back_to_the_same(tmp_path_factory: pytest.TempPathFactory, drawn: list) -> None:
    schedule = Schedule(
        source=found_schedule(lineage(), "pbt", 0, "run").source,  # type: ignore[union-attr]
        segments=[
            RecordedSegment(epochs=pairs / 200, pairs=pairs, trial=str(number), adopted=number % 2 == 1, values=values)
            for number, (pairs, values) in enumerate(drawn)
        ],
    )
    path = tmp_path_factory.mktemp("schedule") / "schedule.yaml"
    path.write_text(dump_schedule(schedule), encoding="utf-8")
    assert read_schedule(path, check_schedule) == schedule


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("segments: []", "segments"),
        ("segments: [{epochs: 0, values: {dropout: 0.1}}]", r"segments\.0\.epochs.*greater than 0"),
        ("segments: [{epoch: 1, values: {dropout: 0.1}}]", r"segments\.0\.epoch: no such.*did you mean 'epochs'"),
        ("segments: [{epochs: 1, values: {dropot: 0.1}}]", "segment 1 .*'dropot'.*did you mean 'dropout'"),
        ("segments: [{epochs: 1, values: {dropout: 1.5}}]", r"segment 1 .*dropout: 1\.5 is out of place"),
        ("segments: [{epochs: 1, values: {epochs: 4}}]", "segment 1 .*'epochs'"),
        ("segments: [{epochs: 1, values: {dropout: 0.1}}, {epochs: 1, values: {units: 8}}]", "segment 2 .*some"),
        ("segments: [{epochs: 1, values: {units: 16}}, {epochs: 1, values: {units: 8}}]", "segment 2 .*shape"),
        ("dropout: 0.1", "dropout"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told) as error:
        read_schedule(path, check_schedule)
    assert "schedule.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_pairs_that_are_not_the_epochs_are_refused(tmp_path: Path) -> None:
    schedule = found_schedule(lineage(), "pbt", 0, "run")
    assert schedule is not None
    path = tmp_path / "schedule.yaml"
    path.write_text(dump_schedule(schedule).replace("epochs: 0.5", "epochs: 2.5", 1), encoding="utf-8")
    with pytest.raises(UsageError, match=r"segment 1 has 100 pairs, which is not 2\.5 epochs of 200"):
        read_schedule(path, check_schedule)


def write(folder: Path, records: list[AnyRecord]) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(record.model_dump_json() + "\n" for record in records)
    (folder / "journal.jsonl").write_text(text, encoding="utf-8")
    return folder


def other_search(seed: int, score: float, method: str = "pbt") -> list[AnyRecord]:
    return [
        search(method, seed=seed),
        assigned("a", member=0, method=method, seed=seed, dropout=score / 100),
        evaluated("a", score, trained_pairs=100, spent_pairs=100, method=method, seed=seed),
        SearchEnded(method=method, seed=seed, spent_pairs=100),
    ]


def test_of_a_run_the_best_search_by_pbt_is_taken_unless_another_is_asked_for(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [*lineage(), *other_search(1, 20.0), *other_search(0, 30.0, "exploit-only")])

    def chosen(method: str | None = None, seed: int | None = None) -> tuple[str, int]:
        source = schedule_of_run(run, method, seed).source
        assert source is not None
        assert source.run == "run"
        return source.method, source.seed

    assert chosen() == ("pbt", 1)
    assert chosen(seed=0) == ("pbt", 0)
    assert chosen("exploit-only") == ("exploit-only", 0)
    for method, seed, told in [
        ("pbtt", None, "did you mean 'pbt'"),
        ("random", None, "random"),
        ("pbt", 7, "seed 7"),
    ]:
        with pytest.raises(UsageError, match=told):
            schedule_of_run(run, method, seed)


def test_a_run_without_a_finished_search_by_pbt_has_no_schedule_to_take(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no search is finished yet"):
        schedule_of_run(write(tmp_path / "begun", lineage()[:-1]))
    with pytest.raises(UsageError, match="give --method, one of: random"):
        schedule_of_run(write(tmp_path / "other", [run_started(), *other_search(0, 1.0, "random")]))
