"""A run stays readable: the tables of a run written by version 1 keep their columns, and its numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.columns import SCHEMA_VERSION
from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run

OLD = Path(__file__).parent / "data" / "run-v1"
VALUES = ["learning_rate", "dropout", "recurrent_dropout", "batch_size"]
COLUMNS = {
    "searches": [
        *(
            "method",
            "seed",
            "objective",
            "direction",
            "budget_pairs",
            "interval_pairs",
            "pairs_per_epoch",
            "population",
            "spent_pairs",
        ),
        *("finished", "reason"),
    ],
    "trials": [
        *("method", "seed", "trial", "member", "generation", "parent", "inherited", "worker", "pairs", "status"),
        *("reason", "intervals", "trained_pairs", "score", "best", *VALUES),
    ],
    "evaluations": [
        *(
            "method",
            "seed",
            "trial",
            "member",
            "generation",
            "interval_index",
            "trained_pairs",
            "spent_pairs",
            "trained_epochs",
            "seconds",
        ),
        *("score", "train_loss", "val_loss", "val_bleu", "val_chrf", *VALUES),
    ],
    "best_so_far": [
        *(
            "method",
            "seed",
            "trial",
            "interval_index",
            "spent_pairs",
            "spent_epochs",
            "seconds",
            "score",
            "best",
            "improved",
        ),
    ],
    "winners": [
        "method",
        "seed",
        "trial",
        "interval_index",
        "trained_pairs",
        "spent_pairs",
        "trained_epochs",
        "score",
        *VALUES,
    ],
    "tests": [
        *(
            "method",
            "seed",
            "trial",
            "interval_index",
            "trained_pairs",
            "outputs",
            "dev_bleu",
            "dev_chrf",
            "test_bleu",
        ),
        *("test_chrf", "signature_bleu", "signature_chrf"),
    ],
    "time_spent": ["method", "seed", "train", "evaluate", "load", "save", "decide", "idle", "test", "total"],
    "lineage": [
        *("method", "seed", "child", "parent", "member", "parent_member", "generation", "inherited", "left", "start"),
        *("parent_score", "left_score", *(f"{name}_{side}" for name in VALUES for side in ("before", "after"))),
    ],
    "translations": ["method", "seed", "line", "translation"],
}
"""The schema. Whoever changes a column here raises SCHEMA_VERSION."""


@pytest.fixture(scope="module")
def old() -> Run:
    return load_run(OLD)


@pytest.mark.parametrize("name", list(COLUMNS))
def test_every_table_has_the_columns_of_its_schema(old, name):
    assert SCHEMA_VERSION == 2
    frame: pd.DataFrame = getattr(old, name)
    assert list(frame.columns) == COLUMNS[name]
    assert len(frame) > 0


def test_an_old_run_says_what_it_said(old):
    assert old.name == "run-v1"
    assert [len(frame) for frame in (old.trials, old.evaluations, old.translations)] == [12, 17, 160]
    assert old.winners[["method", "trial", "score"]].to_numpy().tolist() == [
        ["pbt", "0007", 28.6166],
        ["random", "0000", 28.9473],
    ]
    assert old.lineage["inherited"].sum() == 2
    assert [record.trial for record in old.tested] == list(old.tests["trial"])
    assert [sample.line for sample in old.samples] == [3, 40, 77]
    assert {name: rows.shape for name, rows in old.counts["pbt", 0].items()} == {"bleu": (80, 10), "chrf": (80, 18)}


def test_an_old_run_can_be_drawn(tmp_path, no_pictures):
    import shutil

    copy = tmp_path / "run-v1"
    shutil.copytree(OLD, copy)
    assert "test BLEU" in write_report(copy).read_text(encoding="utf-8")


def test_settings_that_this_version_does_not_know_do_no_harm(tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(OLD, copy)
    with open(copy / "settings.yaml", "a", encoding="utf-8") as file:
        file.write("of_the_future:\n  setting: 1\n")
    assert load_run(copy).settings["of_the_future"] == {"setting": 1}


def test_a_file_is_not_a_run(tmp_path):
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="no such run directory"):
        load_run(file)
