"""What the terminal shows while a search runs."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from nmt_pbt import console
from nmt_pbt.journal import Evaluated, SearchStarted

SEARCH = {"method": "pbt", "seed": 0}


def shown(monkeypatch: pytest.MonkeyPatch, records: list[Evaluated]) -> str:
    written = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=written, width=100))
    with console.SearchProgress([("A [bold] cat.", "Eine Katze."), ("A dog.", "Ein Hund.")]) as progress:
        progress(
            SearchStarted(**SEARCH, objective="val_bleu", direction="max", budget=9, interval=1, epoch=1, population=2)
        )
        for record in records:
            progress(record)
    return written.getvalue()


def evaluated(score: float, samples: list[str], after: float = 1.0) -> Evaluated:
    return Evaluated(
        time=time.time() + after,
        **SEARCH,
        trial="7",
        interval=0,
        age=1,
        spent=1,
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
