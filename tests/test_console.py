"""What the terminal shows while a search runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console

from nmt_pbt.cli import progress as console
from nmt_pbt.run.greediness import Greediness
from nmt_pbt.run.records import AnyRecord, Assigned, Evaluated, Guessed, OtherTest, SearchEnded, SearchStarted, Tested
from nmt_pbt.search.population.diagnostics import Diagnosis
from tests.report import journals

SEARCH = {"method": "pbt", "seed": 0}


def shown(monkeypatch: pytest.MonkeyPatch, records: list[Evaluated]) -> str:
    written = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=written, width=100))
    with console.SearchProgress([("A [bold] cat.", "Eine Katze."), ("A dog.", "Ein Hund.")], log=False) as progress:
        progress(
            SearchStarted(
                **SEARCH,
                objective="val_bleu",
                direction="max",
                budget_pairs=9,
                interval_pairs=1,
                pairs_per_epoch=1,
                population=2,
            )
        )
        for record in records:
            progress(record)
    return written.getvalue()


def evaluated(score: float, samples: list[str], after: float = 1.0) -> Evaluated:
    return Evaluated(
        time=time.time() + after,
        **SEARCH,
        trial="7",
        interval_index=0,
        trained_pairs=1,
        spent_pairs=1,
        metrics={"val_bleu": score},
        samples=samples,
    )


def test_translations_of_the_best_model_stand_between_source_and_reference_as_they_are(monkeypatch):
    text = shown(monkeypatch, [evaluated(12.345, ["Eine [red]Katze[/red].", "Hund."])])
    lines = [line.rstrip() for line in text.splitlines()]
    start = lines.index("pbt, seed 0, trial 7: best val_bleu 12.35")
    assert lines[start + 1 : start + 7] == [
        "  source       A [bold] cat.",
        "  translation  Eine [red]Katze[/red].",
        "  reference    Eine Katze.",
        "  source       A dog.",
        "  translation  Hund.",
        "  reference    Ein Hund.",
    ]


def test_they_are_shown_sparingly_and_what_was_shown_before_a_resume_is_not_shown_again(monkeypatch):
    records = [evaluated(float(score), [f"text {score}", "b"], after=score - 4.5) for score in range(1, 60)]
    text = shown(monkeypatch, [*records, evaluated(99.0, [], after=99.0)])
    assert [score for score in range(1, 60) if f"text {score}\n" in text.replace(" \n", "\n")] == [5, 25, 45]
    assert "trial 7: best val_bleu 99" not in text


class Alarming(Greediness):
    """Finds what it is told to find when the second trial is given out."""

    def __init__(self, *alarms: str) -> None:
        self.alarms = alarms

    def take(self, record: AnyRecord) -> Diagnosis | None:
        if not isinstance(record, Assigned):
            return None
        return Diagnosis(2, {}, 0.2, 0.5, 1.0, 1.0, 1.0, self.alarms if record.trial == "b" else ())


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=text, width=200))
    return text


def test_an_alarm_is_told_when_it_goes_off_and_only_of_pbt(screen: io.StringIO) -> None:
    with console.SearchProgress((), Alarming("one ancestor", "low learning rates")) as progress:
        for method in ("pbt", "exploit-only"):
            progress(journals.search(method, seed=3))
            progress(journals.assigned("a", member=0, method=method, seed=3))
            progress(journals.assigned("b", member=1, method=method, seed=3))
    lines = [line for line in screen.getvalue().splitlines() if "greedy" in line]
    assert [line.split(":")[0] for line in lines] == ["pbt, seed 3"]
    assert "one ancestor and low learning rates as early as generation 2" in lines[0]


@pytest.mark.parametrize("log", [False, True])
def test_a_search_that_a_rule_stopped_is_told_and_one_of_before_a_resume_is_not(screen: io.StringIO, log: bool) -> None:
    with console.SearchProgress(log=log) as progress:
        progress(journals.search())
        reason, later = "no better val_bleu in 9 intervals", time.time() + 1
        progress(SearchEnded(**SEARCH, spent_pairs=1, rule="patience_intervals", reason="told before", time=1.0))
        progress(SearchEnded(**SEARCH, spent_pairs=1, rule="patience_intervals", reason=reason, time=later))
    assert "pbt, seed 0: stopped: no better val_bleu in 9 intervals" in screen.getvalue()
    assert "told before" not in screen.getvalue()


def test_a_guess_makes_the_bar_of_its_search_longer(screen: io.StringIO) -> None:
    with console.SearchProgress(log=False) as progress:
        progress(journals.search("manual", budget=0))
        progress(Guessed(method="manual", seed=0, values={"dropout": 0.1}, pairs=200))
        progress(journals.evaluated("0", 12.0, trained_pairs=100, spent_pairs=100, method="manual"))
    assert "100/200 pairs" in screen.getvalue()


def test_the_winners_of_several_test_sets_have_a_score_of_each(screen: io.StringIO) -> None:
    common = {"seed": 0, "trial": "1", "interval_index": 0, "trained_pairs": 1, "dev": {"val_bleu": 30.0}}
    other = OtherTest(test_set="test2017", test={"bleu": 22.5, "chrf": 40.0})
    scores = {"bleu": 25.5, "chrf": 50.0}
    one = Tested(method="pbt", **common, test=scores, test_set="test2016", others=[other])
    table = console.results_table([one], "val_bleu")
    assert [str(column.header) for column in table.columns][3:6] == ["test2016 BLEU", "test2016 chrF", "test2017 BLEU"]
    console.CONSOLE.print(table)
    assert "22.50" in screen.getvalue()
    before = console.results_table([Tested(method="pbt", **common, test=scores)], "val_bleu")
    assert [str(column.header) for column in before.columns][3:] == ["test BLEU", "test chrF", "trial"]


def test_a_log_has_a_line_a_generation_and_the_sample_sentences_once_when_the_search_is_over(
    screen: io.StringIO,
) -> None:
    began = time.time() + 1
    with console.SearchProgress([("A cat.", "Eine Katze.")]) as progress:
        progress(journals.search("pbt", budget=1200))
        for number in range(1, 13):
            progress(
                Evaluated(
                    time=began + 30 * number,
                    **SEARCH,
                    trial=str(number),
                    interval_index=0,
                    trained_pairs=100,
                    spent_pairs=100 * number,
                    metrics={"val_bleu": float(number)},
                    samples=[f"Text {number}."],
                )
            )
        progress(SearchEnded(time=began + 400, **SEARCH, spent_pairs=1200))
    assert screen.getvalue().splitlines() == [
        *(f"pbt, seed 0: {100 * done:,}/1,200 pairs, best val_bleu {done}.00" for done in (2, 4, 6, 8, 10, 12)),
        "pbt, seed 0, trial 12: best val_bleu 12.00",
        "  source       A cat.",
        "  translation  Text 12.",
        "  reference    Eine Katze.",
    ]


def test_a_log_of_generations_that_take_seconds_is_no_longer_for_that_and_old_ones_are_not_told_again(
    screen: io.StringIO,
) -> None:
    began = time.time() + 1
    with console.SearchProgress([("A cat.", "Eine Katze.")]) as progress:
        progress(journals.search("pbt", budget=6000))
        for number in range(1, 61):
            progress(
                Evaluated(
                    time=began - 100 if number < 20 else began + number,
                    **SEARCH,
                    trial=str(number),
                    interval_index=0,
                    trained_pairs=100,
                    spent_pairs=100 * number,
                    metrics={"val_bleu": 1.0},
                    samples=["Text."],
                )
            )
    assert [line.split()[3].split("/")[0] for line in screen.getvalue().splitlines()] == ["2,000", "4,000", "6,000"]


def test_what_the_shell_sets_for_other_programs_on_keras_changes_nothing() -> None:
    code = "import nmt_pbt.cli.startup as s; s.start_tensorflow(); import keras; print(keras.backend.backend())"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "tensorflow\n"
