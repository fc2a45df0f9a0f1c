"""What the report says in words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from nmt_pbt.report.answer import Answer, answer
from nmt_pbt.report.comparisons import Comparison
from nmt_pbt.report.labels import listed, p_text, score_text, signed, value_text
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.statistics import results_of
from nmt_pbt.report.tables import summary
from nmt_pbt.report.verdicts import comparison_findings, verdict
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, evaluated, run_started, search, search_ended, small_population


def said(run: Run) -> Answer:
    return answer(results_of(run))


def run_of(records: list, space: dict | None = None) -> Run:
    return Run(Path("nowhere"), {"search": {"space": space or {}}}, {}, records)


def test_one_search_each_says_plainly_that_it_proves_nothing_about_methods(one_path):
    words = said(load_run(one_path))
    assert words.headline.startswith(("PBT ", "Grid ", "Bayesian ", "Random "))
    assert "test BLEU, at a budget of 480,000 sentence pairs (48 epochs) a search" in words.headline
    assert words.verdict.startswith(
        "With one search of each method, the comparison is between single models, not between methods"
    )
    text = " ".join([words.verdict, *words.findings])
    assert re.search(
        r"Random [+−]\d\.\d \([+−\d. to]+\), (not told apart|beyond chance) \(adjusted p = [\d.]+\);", text
    )
    assert "significant " not in text
    assert "over searches" not in text
    assert words.details == []


def test_scores_are_told_best_first(one_path):
    run = load_run(one_path)
    best = run.tests.sort_values("test_bleu", ascending=False)["method"].iloc[0]
    label = {"pbt": "PBT", "random": "Random", "grid": "Grid", "bayes": "Bayesian"}[best]
    assert said(run).headline.startswith(f"{label} {run.tests['test_bleu'].max():.1f}, ")


def test_several_searches_say_whether_the_evidence_is_enough_and_how_many_would_be(three_path):
    words = said(load_run(three_path))
    assert "mean test BLEU over 3 searches each, with 95% intervals" in words.headline
    assert re.match(r"\w[\w ]* \d+\.\d ± \d+\.\d, ", words.headline)  # Student's t is as long on either side
    assert words.verdict == (
        "No difference between PBT and any of Random, Grid and Bayesian is significant: "
        "3 searches each do not show one."
    )
    others, ablations, *more = words.findings
    assert re.match(
        r"PBT against other methods, test BLEU: Random [+−]\d\.\d \([+−\d. to]+; [\d,]+ needed\); Grid ", others
    )
    assert re.match(r"PBT against its ablations, test BLEU: Exploit only [+−]\d", ablations)
    assert "adjusted for 3 comparisons with rivals, and separately for 2 with ablations" in ablations
    assert len(more) == 3  # speed, schedules and greed, of all searches together
    assert sum("Schedule of the winner of PBT with seed" in text for text in words.details) == 3
    assert "single models" not in " ".join([words.verdict, *words.findings])


def test_ablations_are_left_out_of_the_headline_where_there_are_rivals(three_path):
    headline = said(load_run(three_path)).headline
    assert "Grid" in headline
    assert "only" not in headline


def test_an_interval_that_is_longer_on_one_side_is_told_by_its_ends(three_path):
    found = results_of(load_run(three_path))
    (pbt,) = (row for row in found.summaries if row.method == "pbt")
    bleu = replace(pbt.test["bleu"], high=pbt.test["bleu"].mean + 0.5)
    longer = replace(pbt, test={**pbt.test, "bleu": bleu})
    summaries = [longer if row is pbt else row for row in found.summaries]
    ends = f"{bleu.mean:.1f} ({bleu.low:.1f} to {bleu.high:.1f})"
    assert f"PBT {ends}" in answer(replace(found, summaries=summaries)).headline


def test_a_method_that_is_far_better_is_said_to_be(tmp_path):
    path = write_fake_run(tmp_path / "far", ("pbt", "random"), seeds=3, sentences=80)
    found = results_of(load_run(path))
    told = {"verdict": "b", "difference": -3.0, "low": -3.5, "high": -2.5, "p_searches": 0.0004, "wins": 0, "losses": 3}
    row = replace(found.comparisons["bleu"][0], **told)
    words = answer(replace(found, comparisons={"bleu": [row]}))
    assert words.verdict == "PBT is significantly worse than Random."
    assert words.findings[0].startswith(
        "PBT against Random, test BLEU: −3.0 (−3.5 to −2.5), significant (adjusted p < 0.001). Means of 3 searches each"
    )


def compared(difference: float, p_searches: float = 1.0, p_sentences: float = 1.0, **more: object) -> Comparison:
    """A comparison of PBT with another method over three searches each."""
    row = {"method_a": "pbt", "method_b": "random", "metric": "bleu", "searches": 3, "difference": difference}
    row.update(low=difference - 1, high=difference + 1, p_searches=p_searches, wins=2, losses=1, needed=12)
    row.update(sentences_low=difference - 0.5, sentences_high=difference + 0.5, p_sentences=p_sentences)
    family = "ablations" if more.get("method_b") == "replay" else "rivals"
    row.update(verdict="open", family=family, compared=4, probability=0.5)
    return Comparison(**{**row, **more})


def test_what_is_significant_is_told_from_what_is_not():
    rows = [
        compared(2.0, 0.01, 0.01, verdict="a"),
        compared(0.4, method_b="grid"),
        compared(0.0, method_b="bayes", wins=0, losses=0),
        compared(0.9, 0.01, 0.4, method_b="hyperband"),
        compared(0.1, method_b="replay", needed=0),
    ]
    assert verdict(rows) == (
        "PBT is significantly better than Random and not significantly different from Grid, Bayesian and Hyperband."
    )
    others, ablations = comparison_findings(rows)
    assert others == (
        "PBT against other methods, test BLEU: Random +2.0 (+1.0 to +3.0), significant (adjusted p = 0.010); "
        "Grid +0.4 (−0.6 to +1.4; 12 needed); Bayesian 0.0, the same in every search; Hyperband +0.9 (−0.1 to +1.9), "
        "beyond chance over searches but not over test sentences (adjusted p = 0.40)."
    )
    assert ablations.startswith("PBT against Replay, test BLEU: +0.1 (−0.9 to +1.1; more than 1,000 needed). Means of")


def test_an_ablation_that_differs_does_not_stand_against_the_verdict_on_the_rivals():
    rows = [compared(0.4), compared(0.3, method_b="grid"), compared(2.0, 0.01, 0.01, verdict="a", method_b="replay")]
    assert verdict(rows) == (
        "No difference between PBT and any of Random and Grid is significant: 3 searches each do not show one."
    )
    assert verdict(rows[:2]).startswith("No difference between PBT and any other method is significant:")


def test_a_method_of_one_search_among_methods_of_several_is_told_apart():
    one = compared(0.3, p_searches=float("nan"), method_b="manual", searches=1)
    assert verdict([compared(0.4), one]).endswith("significant: the searches so far do not show one.")
    (told,) = comparison_findings([compared(0.4), compared(0.2, method_b="grid"), one])
    assert "Manual +0.3 of one search each (−0.2 to +0.8 over test sentences), not told apart" in told
    assert "Means of 3 searches each, with the 95% interval of each difference by itself" in told
    assert "adjusted for 2 comparisons" in told


def test_a_p_value_just_below_a_twentieth_does_not_look_like_one():
    assert [p_text(p) for p in (0.0004, 0.0496, 0.0312, 0.3)] == [
        *("adjusted p < 0.001", "adjusted p = 0.0496", "adjusted p = 0.031", "adjusted p = 0.30")
    ]


def test_means_are_said_to_be_over_the_searches_that_were_tested():
    records = [run_started(), search(budget=200)]
    for seed in (0, 1):
        records += [search("random", seed=seed, budget=200), search("grid", seed=seed, budget=200)]
        records += [assigned("0", method="random", seed=seed), assigned("0", method="grid", seed=seed)]
        records.append(evaluated("0", 9.0 + seed, trained_pairs=200, spent_pairs=200, method="random", seed=seed))
    records.append(evaluated("0", 8.0, trained_pairs=200, spent_pairs=200, method="grid"))
    assert "over up to 2 searches each" in said(run_of(records)).headline
    table = summary(results_of(run_of(records)))
    column = table.headings.index("searches")
    assert {row[0].text: row[column].text for row in table.rows} == {"PBT": "0", "Random": "2", "Grid": "1"}
    assert table.caption.startswith("Means over the searches of each, with 95% intervals")


def test_models_of_one_search_each_are_told_with_their_interval_over_sentences():
    one = {"searches": 1, "p_searches": float("nan")}
    rows = [
        compared(-1.3, p_sentences=0.02, verdict="models", **one),
        compared(0.2, p_sentences=0.7, method_b="grid", **one),
        compared(0.5, p_sentences=float("nan"), method_b="bayes", **one),
    ]
    (told,) = comparison_findings(rows)
    assert told == (
        "PBT against other methods, test BLEU: Random −1.3 (−1.8 to −0.8), beyond chance (adjusted p = 0.020); "
        "Grid +0.2 (−0.3 to +0.7), not told apart (adjusted p = 0.70); Bayesian +0.5, not tested for "
        "significance. These are models, one of each method, with 95% intervals over test sentences; significance is "
        "adjusted for 3 comparisons."
    )


def test_a_run_not_yet_tested_is_told_by_its_dev_scores():
    words = said(run_of(small_population()[:-1]))
    assert words.headline == (
        "PBT 15.0: best dev BLEU so far, not yet tested, at a budget of 400 sentence pairs (2 epochs) a search."
    )
    assert "PBT is not finished: 100% of its budget is spent." in words.cautions


def test_the_schedule_is_told_along_the_winners_lineage():
    assert said(run_of(small_population())).findings == [
        "Schedule of the winner of PBT: rate 0.1 → 0.08, dropout 0 → 0.2; its weights were adopted once."
    ]


def test_a_whole_number_that_stays_is_told_as_it_is():
    records = [
        run_started(),
        search(),
        assigned("a", member=0, batch=32),
        evaluated("a", 10.0, trained_pairs=100, spent_pairs=100),
    ]
    assert said(run_of(records)).findings == [
        "Schedule of the winner of PBT: batch 32; its weights were never adopted."
    ]
    records += [
        assigned("b", member=0, parent="a", generation=1, batch=64),
        evaluated("b", 11.0, trained_pairs=200, spent_pairs=200),
    ]
    assert "batch 32 → 64;" in said(run_of(records)).findings[0]
    records += [
        assigned("c", member=0, parent="b", generation=2, batch=32),
        evaluated("c", 12.0, trained_pairs=300, spent_pairs=300),
    ]
    assert "batch 32 at the start and at the end, with other values between;" in said(run_of(records)).findings[0]


def test_failures_unspent_budgets_and_values_at_an_end_are_cautioned_about():
    records = [*small_population(), search("grid"), assigned("0", method="grid", rate=0.5, dropout=0.1)]
    records += [
        evaluated("0", 11.0, trained_pairs=100, spent_pairs=100, method="grid"),
        search_ended(100, "grid", reason="the oracle has no more trials"),
    ]
    space = {"rate": {"min": 0.08, "max": 0.5, "scale": "log"}, "dropout": {"min": 0.0, "max": 0.6}}
    words = said(run_of(records, space))
    assert words.cautions == [
        "Grid spent only 25% of its budget: the oracle has no more trials.",
        "1 of 4 trials of PBT failed; see the table of trials for why.",
        "The winning rate is at the lower end of its range, 0.08, in PBT: a better value may lie outside it.",
        "The winning rate is at the upper end of its range, 0.5, in Grid: a better value may lie outside it.",
    ]
    assert words.headline.endswith("a search, which not every search has spent.")


def test_searches_that_a_rule_stopped_are_told_together_with_the_rule():
    records = [run_started()]
    for seed, spent in ((0, 100), (1, 300)):
        search_of = {"method": "random", "seed": seed}
        records += [search(**search_of), assigned("0", **search_of, rate=0.5)]
        records.append(evaluated("0", 11.0, trained_pairs=spent, spent_pairs=spent, **search_of))
        records.append(search_ended(spent, **search_of, reason="val_bleu reached the target 10", rule="target"))
    run = run_of(records)
    assert said(run).cautions[0] == "Random spent only 25% to 75% of their budgets: val_bleu reached the target 10."
    assert list(run.trials["status"]) == ["stopped", "stopped"]


def test_how_soon_the_best_baseline_was_caught_up_with_is_told():
    records = [*small_population(), search("grid"), assigned("0", method="grid", rate=0.5, dropout=0.1)]
    records.append(evaluated("0", 11.0, trained_pairs=400, spent_pairs=400, method="grid"))
    assert (
        "On dev, PBT reached the final score of the best baseline, Grid, after 75% of the budget."
        in said(run_of(records)).findings
    )
    records[-1] = evaluated("0", 99.0, trained_pairs=400, spent_pairs=400, method="grid")
    assert "On dev, PBT never reached the final score of the best baseline, Grid." in said(run_of(records)).findings


def test_a_loss_is_better_when_lower():
    records = [run_started()]
    for method, loss in (("pbt", 2.5), ("grid", 2.25)):
        records += [search(method, direction="min"), assigned("0", method=method, rate=0.1)]
        records.append(evaluated("0", loss, trained_pairs=100, spent_pairs=100, method=method, metric="val_loss"))
    assert said(run_of(records)).headline.startswith("Grid 2.250, PBT 2.500: best dev loss")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.00123456, "0.00123"), (16, "16"), ("dot", "dot"), (0.5, "0.5"), (None, "–"), (pd.NA, "–"), (True, "True")],
)
def test_values_are_short(given, expected):
    assert value_text(given) == expected


def test_scores_are_short():
    assert score_text(34.06, "bleu") == "34.1"
    assert score_text(2.34567, "val_loss") == "2.346"
    assert score_text(float("nan"), "bleu") == "–"
    assert (signed(1.04), signed(-0.26), signed(-0.04)) == ("+1.0", "−0.3", "0.0")


def test_names_are_listed():
    assert [listed(names) for names in ([], ["A"], ["A", "B"], ["A", "B", "C"])] == ["", "A", "A and B", "A, B and C"]


def test_winners_that_are_the_same_model_are_said_to_be():
    def found(*states: str) -> list[str]:
        records = [run_started()]
        for method, state in zip(("random", "explore-only"), states, strict=True):
            point = evaluated("0", 9.0, 100, 100, method=method).model_copy(update={"state": state})
            records += [search(method), assigned("0", method=method, rate=0.1), point]
        run = Run(Path("run"), {}, {}, records)
        return [text for text in answer(results_of(run)).cautions if "same model" in text]

    assert found("aa", "bb") == []
    assert found("aa", "aa") == [
        "With seed 0 the winners of Random and Explore only are the same model, bit for bit: there these methods do "
        "not differ."
    ]
