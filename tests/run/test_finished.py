"""Whether a run has anything left to do."""

from __future__ import annotations

import pytest

from nmt_pbt.run.preflight import is_finished
from nmt_pbt.run.records import AnyRecord, Tested
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.report.journals import assigned, evaluated, run_started, search, search_ended


def searched(method: str, *, winner: bool = True) -> list[AnyRecord]:
    """Return the records of a search that is over."""
    records = [search(method), assigned("a", method=method, dropout=0.1)]
    records += [evaluated("a", 1.0, 200, 200, method=method)] if winner else []
    return [*records, search_ended(200, method)]


def the_test_of(method: str) -> Tested:
    scores = {"dev": {"val_bleu": 1.0}, "test": {"bleu": 1.0, "chrf": 2.0}, "signatures": {"bleu": "nrefs:1"}}
    place = {"trial": "a", "interval_index": 0, "trained_pairs": 200, "outputs": "translations/a.txt"}
    return Tested(method=method, seed=0, **place, **scores)


PBT, RANDOM = [*searched("pbt"), the_test_of("pbt")], [*searched("random"), the_test_of("random")]


@pytest.mark.parametrize(
    ("records", "settings", "over"),
    [
        ([*PBT, *RANDOM], ["search.methods=[pbt, random]"], True),
        ([*RANDOM, *PBT], ["search.methods=[pbt]"], True),
        (PBT, ["search.methods=[pbt, random]"], False),
        ([*PBT, *RANDOM], ["search.methods=[pbt, random]", "search.seeds=2"], False),
        ([*PBT, *searched("random")], ["search.methods=[pbt, random]"], False),
        ([*PBT, *searched("random", winner=False)], ["search.methods=[pbt, random]"], True),
        ([*PBT, *searched("random", winner=False)[:-1]], ["search.methods=[pbt, random]"], False),
        (searched("random", winner=False), ["search.methods=[random]"], False),
        (PBT, ["search.methods=[pbt, replay]"], False),
        ([*searched("pbt", winner=False), *RANDOM], ["search.methods=[pbt, random, replay]"], True),
        (
            [*searched("pbt", winner=False), *RANDOM],
            ["search.methods=[pbt, random, replay]", "search.replay.schedule=[{epochs: 1, values: {dropout: 0.1}}]"],
            False,
        ),
        ([], [], False),
    ],
)
def test_a_run_is_over_when_every_winner_there_is_was_tested(
    records: list[AnyRecord], settings: list[str], over: bool
) -> None:
    assert is_finished([run_started(), *records], load_settings(None, settings)) is over
