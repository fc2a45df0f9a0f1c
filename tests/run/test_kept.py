"""What a search keeps for people beside its winner: samples of what its best model says, and other members' states."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path

import pytest

from nmt_pbt.base.types import Value
from nmt_pbt.run.records import Assigned, Evaluated
from nmt_pbt.run.worker import TrainablePool
from nmt_pbt.tasks.state import StateStore
from tests.run.cheap import CheapTask, CheapTrainable, cheap_settings, driver, finish, inline, opened, search

CHEAP = CheapTask()


def test_samples_are_recorded_whenever_a_model_is_the_best_so_far_and_only_then(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        search("pbt", cheap_settings(), CHEAP, inline(tmp_path, CHEAP), journal)
        evaluated = [record for record in journal.records if isinstance(record, Evaluated)]
    best = float("-inf")
    for record in evaluated:
        score = record.metrics["val_bleu"]
        assert score is not None
        assert bool(record.samples) == (score > best)
        best = max(best, score)
    assert 1 < sum(bool(record.samples) for record in evaluated) < len(evaluated)
    assert evaluated[0].samples == [f"a loss of {evaluated[0].metrics['val_loss']:.4f}"]


@pytest.mark.parametrize("objective", ["val_bleu", "val_loss"])
def test_runners_up_are_the_best_saved_states_of_other_members(tmp_path: Path, objective: str) -> None:
    settings = cheap_settings(f"search.objective={objective}")
    sign = -1 if objective == "val_loss" else 1
    with opened(tmp_path) as journal:
        one = driver("pbt", settings, CHEAP, journal)
        winner = finish(one, inline(tmp_path, CHEAP))
        found = one.runners_up(10)
        members = {record.trial: record.member for record in journal.records if isinstance(record, Assigned)}
        evaluated = [record for record in journal.records if isinstance(record, Evaluated)]
    assert winner is not None
    assert {members[other.trial] for other in found} == {0, 1, 2, 3} - {members[winner.trial]}
    scores = [sign * float(other.metrics[objective] or 0) for other in found]
    assert scores == sorted(scores, reverse=True)
    store = StateStore(tmp_path / "states")
    for other, score in zip(found, scores, strict=True):
        store.load(other.state.name, other.state.hash)
        saved = [r for r in evaluated if members[r.trial] == members[other.trial] and store.exists(_name(r))]
        assert score == max(sign * float(r.metrics[objective] or 0) for r in saved)
    assert one.runners_up(2) == found[:2]
    assert one.runners_up(0) == []


def _name(record: Evaluated) -> str:
    return f"pbt-seed0-trial{record.trial}-interval{record.interval_index}"


def test_they_are_the_same_when_an_ended_search_is_taken_up_again(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with opened(tmp_path) as journal:
            one = driver("pbt", cheap_settings(), CHEAP, journal)
            finish(one, inline(tmp_path, CHEAP))
            found.append(one.runners_up(3))
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_a_search_without_a_population_has_none(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        one = driver("random", cheap_settings(), CHEAP, journal)
        assert finish(one, inline(tmp_path, CHEAP)) is not None
        assert one.runners_up(3) == []


def test_models_of_shapes_that_were_not_used_for_long_are_let_go() -> None:
    built: list[weakref.ref[CheapTrainable]] = []

    class Building(CheapTask):
        def build(self, structural: Mapping[str, Value]) -> CheapTrainable:
            trainable = CheapTrainable(self)
            built.append(weakref.ref(trainable))
            return trainable

    pool = TrainablePool(Building(structural=frozenset({"units"})), most=2)
    for units in range(20):
        first = pool.get({"units": units, "dropout": 0.1})
        assert pool.get({"units": units, "dropout": 0.2}) is first
        assert sum(reference() is not None for reference in built) <= 2 + 1  # the one at hand in this test
    assert len(built) == 20
    pool.get({"units": 18})
    pool.get({"units": 99})
    pool.get({"units": 18})
    assert len(built) == 21  # the one used before the last stays
