"""Which models of a run are taken, and what is said when they are not there."""

from __future__ import annotations

import json
import shutil

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.translation.made_run import make_run

FILES = ("pbt-seed0", "random-seed0", "pbt-seed0-trial1-interval0", "pbt-seed0-trial2-interval0")


@pytest.fixture
def kept(bare_run, tmp_path):
    """A run whose models are empty files."""
    run = tmp_path / "run"
    shutil.copytree(bare_run, run)
    (run / "models").mkdir()
    for name in FILES:
        (run / "models" / f"{name}.safetensors").touch()
    return run


def names(found):
    return [chosen.name for chosen in found]


def test_the_best_winner_on_dev_is_taken(kept):
    (chosen,) = choose_models(kept, TranslationSettings)
    assert chosen.name == "pbt-seed0"
    assert (chosen.trial, chosen.values["units"], chosen.objective, chosen.score) == ("0", 16, "val_bleu", 30.0)
    assert names(choose_models(kept, TranslationSettings, method="random")) == ["random-seed0"]


def test_several_are_the_best_that_are_kept_winners_and_members_alike(kept):
    assert names(choose_models(kept, TranslationSettings, count=2)) == ["pbt-seed0", "pbt-seed0-trial1-interval0"]
    assert names(choose_models(kept, TranslationSettings, count=4)) == [
        "pbt-seed0",
        "pbt-seed0-trial1-interval0",
        "random-seed0",
        "pbt-seed0-trial2-interval0",
    ]
    assert choose_models(kept, TranslationSettings, count=2)[1].values["units"] == 20
    (kept / "models" / "pbt-seed0.safetensors").unlink()
    assert names(choose_models(kept, TranslationSettings, count=2)) == ["pbt-seed0-trial1-interval0", "random-seed0"]


def test_the_winner_itself_is_not_passed_over_in_silence(kept):
    (kept / "models" / "pbt-seed0.safetensors").unlink()
    with pytest.raises(UsageError, match="the model of pbt-seed0 is not there"):
        choose_models(kept, TranslationSettings)


def test_fewer_than_asked_for_are_told_with_their_scores(kept):
    (kept / "models" / "random-seed0.safetensors").unlink()
    with pytest.raises(
        UsageError,
        match=r"5 models asked for, 3 kept: pbt-seed0 \(val_bleu 30.00\); .*kept_models=5",
    ):
        choose_models(kept, TranslationSettings, count=5)
    with pytest.raises(UsageError, match="2 models asked for, 0 kept: none"):
        choose_models(kept, TranslationSettings, method="random", count=2)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"method": "pbtt"}, "no winner of method pbtt; did you mean 'pbt'"),
        ({"seed": 3}, "no winner of seed 3; known: 0"),
    ],
)
def test_a_winner_that_is_not_there_is_told_with_those_that_are(kept, asked, told):
    with pytest.raises(UsageError, match=told):
        choose_models(kept, TranslationSettings, **asked)


def test_a_run_without_its_subwords_is_refused(kept):
    (kept / "subwords.model").unlink()
    with pytest.raises(UsageError, match="is not there"):
        choose_models(kept, TranslationSettings)


def test_a_search_for_the_smallest_takes_the_smallest(tmp_path):
    run = make_run(tmp_path / "run", with_models=False)
    journal = run / "journal.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").replace('"max"', '"min"'), encoding="utf-8")
    (run / "models").mkdir()
    for name in FILES:
        (run / "models" / f"{name}.safetensors").touch()
    assert names(choose_models(run, TranslationSettings)) == ["random-seed0"]
    assert names(choose_models(run, TranslationSettings, count=2)) == ["pbt-seed0-trial2-interval0", "random-seed0"]


def test_a_search_that_was_tested_twice_has_one_model_with_the_values_of_the_last_test(kept):
    journal = kept / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines()
    (first,) = (line for line in lines if '"tested"' in line and '"pbt"' in line)
    again = json.loads(first)
    again.update(trial="1", dev={"val_bleu": 25.0})
    journal.write_text("\n".join([*lines, json.dumps(again)]) + "\n", encoding="utf-8")
    found = choose_models(kept, TranslationSettings, count=3)
    assert names(found).count("pbt-seed0") == 1
    (winner,) = (chosen for chosen in found if chosen.name == "pbt-seed0")
    assert (winner.trial, winner.values["units"], winner.score) == ("1", 20, 25.0)
