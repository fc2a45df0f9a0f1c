"""How greedy a search was, as the report tells it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from nmt_pbt.report.answer import answer
from nmt_pbt.report.diagnoses import _MEANING, diagnosis_cautions, diagnosis_findings, relative_spreads
from nmt_pbt.report.figures.population import draw_diversity
from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.series import diagnosis_table
from nmt_pbt.report.statistics import results_of
from nmt_pbt.run.records import AnyRecord
from nmt_pbt.search.population.diagnostics import ANCESTOR, DIVERSITY, LEARNING_RATE, Diagnosis
from tests.report.fake_run import write_fake_run
from tests.report.journals import search, small_population

Diagnosed = tuple[str, int, Diagnosis]


def diagnosed(
    generation: int, diversity: float, largest: float, *alarms: str, method: str = "pbt", seed: int = 0
) -> Diagnosed:
    return (
        method,
        seed,
        Diagnosis(
            generation=generation,
            spread={"rate": 0.8 * diversity, "kind": 0.0},
            diversity=diversity,
            exploits=0.5 if generation else 0.0,
            donors=1.0 if generation else None,
            founders=2.0,
            largest=largest,
            alarms=alarms,
        ),
    )


def run_of(*more: AnyRecord | Diagnosed) -> Run:
    records = [record for record in more if not isinstance(record, tuple)]
    run = Run(Path("run"), {}, {}, [*small_population(), *records])
    run.__dict__["diagnoses"] = diagnosis_table([found for found in more if isinstance(found, tuple)])
    return run


COLLAPSE = (diagnosed(0, 1.0, 0.25), diagnosed(1, 0.6, 1.0, ANCESTOR), diagnosed(2, 0.3, 1.0, DIVERSITY, LEARNING_RATE))


def test_diagnoses_are_a_table_with_a_column_for_each_hyperparameters_spread() -> None:
    table = run_of(*COLLAPSE).diagnoses
    assert table["diversity"].tolist() == [1.0, 0.6, 0.3]
    assert table["alarms"].tolist() == ["", "one ancestor", "little diversity; low learning rates"]
    assert table["rate_spread"].tolist() == pytest.approx([0.8, 0.48, 0.24])
    assert table["donors"].isna().tolist() == [True, False, False]
    assert run_of().diagnoses.empty


def test_the_answer_says_how_diverse_and_of_how_few_ancestors_the_population_was() -> None:
    assert diagnosis_findings(run_of(*COLLAPSE)) == [
        "The population of PBT kept 30% of its initial diversity of values. At half-time 100% of it descended from one "
        "member of the first generation, at the end 100%. A member adopted another's state in 50% of the decisions."
    ]
    assert diagnosis_findings(run_of()) == []


def test_each_alarm_is_a_caution_that_says_what_would_help() -> None:
    run = run_of(*COLLAPSE)
    cautions = diagnosis_cautions(run)
    assert len(cautions) == 3
    assert cautions[0].startswith("PBT may have been greedy: as early as generation 1, all members descend from one")
    assert "search.pbt.frequencies" in cautions[0]
    assert set(cautions) <= set(answer(results_of(run)).cautions)
    assert set(_MEANING) == {ANCESTOR, DIVERSITY, LEARNING_RATE}


def test_searches_that_collapsed_in_the_same_way_are_told_together() -> None:
    collapsed = [diagnosed(generation, 0.9, 1.0, ANCESTOR, seed=seed) for seed, generation in ((0, 3), (1, 2))]
    run = run_of(search(seed=1), search(seed=2), *collapsed)
    (caution,) = diagnosis_cautions(run)
    assert caution.startswith("PBT (seeds 0 and 1) may have been greedy: as early as generation 2 to 3, all members")


def test_an_ablation_that_leaves_explore_out_is_not_blamed_for_what_that_does() -> None:
    assert (
        diagnosis_cautions(run_of(search("exploit-only"), diagnosed(1, 0.1, 1.0, DIVERSITY, method="exploit-only")))
        == []
    )


def test_spreads_are_drawn_as_shares_of_the_first_ones() -> None:
    table = run_of(*COLLAPSE).diagnoses
    shares = relative_spreads(table)
    assert set(shares["hyperparameter"]) == {"rate"}  # all were of one kind from the beginning
    assert shares["share"].tolist() == pytest.approx([1.0, 0.6, 0.3])
    ax = Figure().add_subplot()
    draw_diversity(ax, table, shares)
    curves = {tuple(line.get_ydata()) for line in ax.lines}
    assert (1.0, 0.6, 0.3) in curves
    assert (0.25, 1.0, 1.0) in curves
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "alarm"


def test_the_page_has_the_figure_and_the_table_of_each_population(tmp_path: Path, quick_figures: None) -> None:
    path = write_fake_run(tmp_path / "run", ("pbt", "exploit-only", "random"), population=4, epochs=6.0)
    report = write_report(path).parent
    assert (report / "figures" / "diversity_pbt_seed0.svg").exists()
    assert (report / "figures" / "diversity_exploit-only_seed0.svg").exists()
    assert len(pd.read_csv(report / "diagnoses.csv")) == 2 * 6
    assert "of its initial diversity of values" in (report / "index.html").read_text(encoding="utf-8")
    assert len(load_run(path).diagnoses) == 12
