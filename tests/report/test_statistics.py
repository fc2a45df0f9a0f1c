"""What may be concluded: intervals and tests against known answers, and no claims where there are none to make."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.report import inference, statistics
from nmt_pbt.report.comparisons import comparisons
from nmt_pbt.report.inference import paired_t_test
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.space.settings import NumberDomain
from tests.report.journals import assigned, evaluated, run_started, search


@pytest.fixture(scope="module")
def one(one_path) -> Run:
    return load_run(one_path)


@pytest.fixture(scope="module")
def three(three_path) -> Run:
    return load_run(three_path)


def run_of(scores: dict[str, list[float]]) -> Run:
    """A run of which only test scores are known."""
    rows = [
        {"method": method, "seed": seed, "test_bleu": score}
        for method, values in scores.items()
        for seed, score in enumerate(values)
    ]
    tests = pd.DataFrame(rows)
    known = {"tests": tests, "searches": tests, "counts": {}, "objective": "val_bleu", "direction": "max"}
    return SimpleNamespace(**known)  # type: ignore[return-value]


def compared(run: Run, metric: str) -> pd.DataFrame:
    return statistics.frame_of(comparisons(run, metric))


@pytest.mark.parametrize(
    ("differences", "claim"), [([1.0, 1.0], False), ([24.1 - 23.1, 25.1 - 24.1], False), ([1.0, 1.0, 1.0], True)]
)
def test_two_equal_differences_claim_nothing(differences: list[float], claim: bool) -> None:
    assert (paired_t_test(np.array(differences)) < 0.05) == claim


def test_a_lower_loss_is_the_better_one() -> None:
    scores = {"pbt": [0.10, 0.11, 0.12, 0.10, 0.11], "random": [0.30, 0.32, 0.31, 0.33, 0.30]}
    rows = [
        {"method": method, "seed": seed, "test_loss": score}
        for method, found in scores.items()
        for seed, score in enumerate(found)
    ]
    tests = pd.DataFrame(rows)
    run = SimpleNamespace(tests=tests, searches=tests, counts={}, objective="val_loss", direction="min")
    (row,) = comparisons(run, "loss")  # type: ignore[arg-type]
    assert row.difference < 0
    assert (row.wins, row.losses, row.probability, row.verdict) == (5, 0, 1.0, "a")


def coverage(draw: Callable[[np.random.Generator, int], np.ndarray], truth: float, searches: int) -> int:
    random = np.random.default_rng(searches)
    intervals = [inference.mean_interval(draw(random, searches)) for _ in range(1000)]
    return sum(low <= truth <= high for low, high in intervals)


@pytest.mark.parametrize("searches", [2, 3, 5, 6, 10, 20])
def test_intervals_over_searches_hold_the_true_mean_93_to_97_times_in_100(searches):
    assert 930 <= coverage(lambda random, count: random.normal(34.0, 0.6, count), 34.0, searches) <= 970


@pytest.mark.parametrize("searches", [3, 5, 10])
def test_intervals_of_a_difference_between_methods_hold_it_93_to_97_times_in_100(searches):
    def difference(random: np.random.Generator, count: int) -> np.ndarray:
        seeds = random.normal(0, 0.5, count)  # what both methods share with a seed
        return (34.5 + seeds + random.normal(0, 0.4, count)) - (34.0 + seeds + random.normal(0, 0.3, count))

    assert 930 <= coverage(difference, 0.5, searches) <= 970


def test_one_search_and_failed_searches_have_no_interval():
    assert all(map(math.isnan, inference.mean_interval([34.0])))
    assert all(map(math.isnan, inference.mean_interval([34.0, math.nan])))
    assert inference.mean_interval([34.0, 34.0, 34.0]) == (34.0, 34.0)


def test_methods_that_do_not_differ_are_called_different_at_most_6_times_in_100():
    random = np.random.default_rng(5)
    claims = 0
    for _ in range(1000):
        run = run_of({method: list(random.normal(34, 0.5, 3)) for method in ("pbt", "random", "grid", "bayes")})
        claims += compared(run, "bleu")["verdict"].isin(["a", "b"]).any()
    assert claims <= 60


def test_methods_that_differ_by_far_are_told_apart():
    run = run_of({"pbt": [36.0, 36.1, 35.9, 36.0], "random": [34.0, 34.1, 34.0, 33.9]})
    row = compared(run, "bleu").to_dict("records")[0]
    assert row["verdict"] == "a"
    assert row["difference"] == pytest.approx(2.0)
    assert row["low"] > 0
    assert (row["wins"], row["losses"], row["probability"]) == (4, 0, 1.0)
    assert row["needed"] <= 4


def test_methods_with_the_same_scores_are_not_told_apart():
    row = compared(run_of({"pbt": [34.0, 35.0], "grid": [34.0, 35.0]}), "bleu").to_dict("records")[0]
    assert (row["difference"], row["p_searches"], row["verdict"]) == (0.0, 1.0, "open")


def test_the_reference_comes_first_and_is_adjusted_for_its_own_comparisons_alone():
    scores = {
        "random": [34.0, 34.2, 33.9],
        "grid": [33.0, 34.0, 35.0],
        "pbt": [35.0, 35.1, 34.9],
        "bayes": [34, 35, 33],
    }
    table = compared(run_of(scores), "bleu")
    assert list(zip(table["method_a"], table["method_b"], strict=True))[:3] == [
        ("pbt", "random"),
        ("pbt", "grid"),
        ("pbt", "bayes"),
    ]
    assert table["compared"].tolist() == [3, 3, 3, 6, 6, 6]
    asked = table[table["method_a"] == "pbt"].reset_index(drop=True)
    assert asked["method_b"].tolist() == ["random", "grid", "bayes"]
    alone = compared(run_of({name: scores[name] for name in ("pbt", "random")}), "bleu")
    assert asked["p_searches"].iloc[0] == pytest.approx(3 * alone["p_searches"].iloc[0])  # the smallest of three
    assert asked["needed"].iloc[0] >= alone["needed"].iloc[0]


def test_ablations_are_adjusted_for_apart_from_rivals():
    scores = {
        "pbt": [35.0, 35.1, 34.9],
        "random": [34.0, 34.2, 33.9],
        "replay": [35.0, 35.2, 34.7],
        "grid": [33.0, 34.0, 35.0],
        "exploit-only": [34, 35, 33],
        "final-values": [34.5, 35.4, 33.1],
    }
    table = compared(run_of(scores), "bleu")
    asked = table[table["method_a"] == "pbt"].reset_index(drop=True)
    assert asked["method_b"].tolist() == ["random", "grid", "replay", "exploit-only", "final-values"]
    assert asked["family"].tolist() == ["rivals"] * 2 + ["ablations"] * 3
    assert asked["compared"].tolist() == [2, 2, 3, 3, 3]
    assert set(table["family"][5:]) == {"others"}
    assert set(table["compared"][5:]) == {15}
    for family in (["random", "grid"], ["replay", "exploit-only", "final-values"]):
        alone = compared(run_of({name: scores[name] for name in ("pbt", *family)}), "bleu")
        mine = asked[asked["method_b"].isin(family)]
        for column in ("p_searches", "needed", "verdict"):
            assert mine[column].tolist() == alone[alone["method_a"] == "pbt"][column].tolist()


def test_without_pbt_every_other_method_is_a_rival():
    table = compared(run_of({"random": [34.0, 34.2], "replay": [34.1, 34.4]}), "bleu")
    assert table["family"].tolist() == ["rivals"]


def test_what_nobody_asked_beforehand_is_a_hint_at_most():
    far = {"pbt": [36.0, 36.1, 35.9], "random": [30.0, 30.1, 29.91], "grid": [20.0, 20.11, 19.9]}
    table = compared(run_of(far), "bleu")
    assert table["verdict"].tolist() == ["a", "a", "hint"]


def test_one_search_each_is_never_evidence_about_methods(one):
    table = compared(one, "bleu")
    assert len(table) == 6
    assert set(table["verdict"]) <= {"models", "open"}
    for column in ("low", "high", "p_searches", "probability"):
        assert table[column].isna().all()
    assert table["p_sentences"].between(0, 1).all()


def test_a_difference_that_one_lucky_model_made_is_no_difference_of_methods():
    run = run_of({"pbt": [40.0, 34.0, 34.1], "random": [34.0, 34.1, 34.0]})
    counts = np.ones((3, 10), dtype=np.int64)
    clear = {"bleu": counts * [5, 5, 5, 4, 3, 2, 5, 4, 3, 2]}, {"bleu": counts * [5, 5, 1, 0, 0, 0, 5, 4, 3, 2]}
    run.counts.update({("pbt", seed): clear[0] for seed in range(3)})
    run.counts.update({("random", seed): clear[1] for seed in range(3)})
    row = compared(run, "bleu").to_dict("records")[0]
    assert row["p_searches"] > 0.05
    assert row["verdict"] in {"models", "open"}


def test_holm_is_holms():
    assert inference.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    adjusted = inference.holm([0.5, math.nan, 0.6])
    assert adjusted[0] == 1.0
    assert math.isnan(adjusted[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    adjusted = inference.holm(p_values)
    assert all(p <= after <= 1 for p, after in zip(p_values, adjusted, strict=True))
    ranked = [adjusted[place] for place in sorted(range(len(p_values)), key=p_values.__getitem__)]
    assert ranked == sorted(ranked)


def test_probability_counts_pairs_with_ties_half():
    assert inference.probability_of_superiority([3, 1], [2, 1]) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert math.isnan(inference.probability_of_superiority([], [1]))


def test_searches_needed_are_those_of_the_tables_of_power():
    # A paired t-test at 5% has 80% power for an effect of 0.5 with 34 pairs, of 0.8 with 15 (Cohen 1988, G*Power).
    for effect, expected in ((0.5, 34), (0.8, 15)):
        differences = np.array([-1.0, 1.0]) * math.sqrt(0.5) + effect
        assert inference.seeds_needed(differences) == expected
    assert inference.seeds_needed([0.0001, -0.0001, 0.00001]) is None
    assert inference.seeds_needed([1.0]) is None
    assert inference.seeds_needed([50.0, 50.1]) == 2
    # At 5% divided by 8, as the smallest of 8 p-values is tested (by the noncentral t distribution).
    eight = np.array([-1.0, 1.0]) * math.sqrt(0.5) + 0.5
    assert inference.seeds_needed(eight, 8) == 55


def two_searches() -> Run:
    records = [
        run_started(),
        search("random"),
        assigned("0", method="random", rate=0.1),
        evaluated("0", 4.0, trained_pairs=100, spent_pairs=100, method="random"),
        evaluated("0", 8.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="random"),
        evaluated("0", 8.0, trained_pairs=400, spent_pairs=400, interval_index=2, method="random"),
        search("pbt"),
        assigned("0", member=0, rate=0.1),
        evaluated("0", None, trained_pairs=100, spent_pairs=100),
        evaluated("0", 6.0, trained_pairs=200, spent_pairs=200, interval_index=1),
        evaluated("0", 9.0, trained_pairs=300, spent_pairs=300, interval_index=2),
    ]
    return Run(path=None, settings={}, environment={}, records=records)  # type: ignore[arg-type]


def test_area_is_the_mean_of_best_so_far_from_where_all_have_a_score():
    areas = statistics.area_under_best(two_searches())
    # From 200 to 400 pairs: random has 8 throughout; pbt 6 for the first half and 9 for the second.
    assert areas.to_dict("records") == [
        {"method": "random", "seed": 0, "area": 8.0},
        {"method": "pbt", "seed": 0, "area": 7.5},
    ]


def test_budget_to_target_is_where_the_best_baselines_final_score_was_reached():
    run = two_searches()
    assert statistics.best_baseline(run) == "random"
    assert statistics.budget_to_target(run).to_dict("records") == [
        {"method": "random", "seed": 0, "target": 8.0, "spent_pairs": 200.0},
        {"method": "pbt", "seed": 0, "target": 8.0, "spent_pairs": 300.0},
    ]
    slow = dataclasses.replace(run, records=run.records[:-1])
    assert math.isnan(statistics.budget_to_target(slow)["spent_pairs"].iloc[1])


def test_summary_adds_up_what_the_journal_says(three):
    table = statistics.frame_of(statistics.summaries(three)).set_index("method")
    assert list(table.index) == ["pbt", "random", "grid", "bayes", "exploit-only", "explore-only"]
    scores = three.tests[three.tests["method"] == "pbt"]
    row = table.loc["pbt"]
    assert row["searches"] == 3
    assert row["trials"] == 48
    assert row["failed"] == 1
    assert row["wall"] == pytest.approx(three.time_spent.query("method == 'pbt'").eval("total - test - idle").mean())
    assert row["test_bleu"] == pytest.approx(scores["test_bleu"].mean())
    assert row["test_bleu_low"] < row["test_bleu"] < row["test_bleu_high"]
    assert row["gap_bleu"] == pytest.approx((scores["dev_bleu"] - scores["test_bleu"]).mean())
    assert row["dev"] == pytest.approx(three.winners.loc[three.winners["method"] == "pbt", "score"].mean())
    assert table.loc["random", "spent_pairs"] < 480_000 == table.loc["grid", "spent_pairs"]


def test_a_run_reads_its_space_back(one):
    assert one.space["learning_rate"] == NumberDomain(min=3e-4, max=1e-2, scale="log")
    assert one.space["batch_size"].choices == [16, 32, 64, 128]
