"""Journals recorded by earlier versions: fresh oracles have to decide as was recorded then.

Each is the journal of one search of `TASK`, with `cheap_settings` and what `RECORDED` adds. Only a change of a method's
decisions on purpose makes a new one, and the CHANGELOG then says that earlier runs cannot be continued.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nmt_pbt.run.jobs import StateReference
from tests.run.cheap import CheapTask, PassingOn, cheap_settings, inline, opened, search

JOURNALS = Path(__file__).parent / "journals"
GUESSES = [{"dropout": dropout, "batch_size": 32} for dropout in (0.0, 0.2, 0.4)]
LARGER = ["search.population=8", "training.epochs=4"]
RECORDED: dict[str, tuple[str, list[str]]] = {
    "pbt": ("pbt", []),
    "pbt-asynchronous": ("pbt", ["search.pbt.synchronous=false", "search.pbt.burn_in=1.0"]),
    "pbt-tournament": ("pbt", [*LARGER, "search.pbt.exploit=tournament"]),
    "pbt-ttest": ("pbt", [*LARGER, "search.pbt.exploit=ttest", "search.pbt.significance=0.4"]),
    "pbt-bootstrap": ("pbt", ["search.pbt.exploit=bootstrap", "search.pbt.significance=0.4"]),
    "pbt-backtrack": ("pbt", [*LARGER, "search.pbt.exploit=backtrack"]),
    "pbt-frequencies": ("pbt", [*LARGER, "search.pbt.frequencies=[1, 2]"]),
    "pbt-pb2": ("pbt", [*LARGER, "search.pbt.explore=pb2"]),
    "pbt-val-loss": ("pbt", ["search.objective=val_loss", "search.pbt.frozen=[dropout]"]),
    "exploit-only": ("exploit-only", []),
    "random": ("random", []),
    "grid": ("grid", []),
    "bayes": ("bayes", []),
    "hyperband": ("hyperband", ["search.hyperband.factor=2"]),
    "manual": ("manual", ["search.methods=[manual]", f"search.manual.guesses={json.dumps(GUESSES)}"]),
    "replay": ("replay", []),
    "final-values": ("final-values", []),
}
"""By the file's name: the method, and how its settings differ from those of `cheap_settings`."""
TASK = CheapTask(explodes_above=8e-3)


class NothingIsLost(PassingOn):
    """An engine that has every state, without looking."""

    def problem(self, state: StateReference) -> str | None:
        return None


@pytest.mark.parametrize("name", RECORDED)
def test_fresh_oracles_decide_as_recorded(name: str, tmp_path: Path) -> None:
    method, assignments = RECORDED[name]
    journal_file = tmp_path / "journal.jsonl"
    shutil.copy(JOURNALS / f"{name}.jsonl", journal_file)
    recorded = journal_file.read_bytes()
    with opened(tmp_path) as journal:
        search(method, cheap_settings(*assignments), TASK, NothingIsLost(inline(tmp_path, TASK)), journal)
    assert journal_file.read_bytes() == recorded
