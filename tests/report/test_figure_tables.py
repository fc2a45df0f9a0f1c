"""Tables made for one figure each."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from nmt_pbt.report import figure_tables
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from tests.report.journals import assigned, ended, evaluated, run_started, search, small_population


def run_of(records: list, settings: dict | None = None) -> Run:
    return Run(path=Path("nowhere"), settings=settings or {}, environment={}, records=records)


def rows(frame: pd.DataFrame) -> list[list[object]]:
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame.itertuples(index=False)]


def test_curves_are_means_over_searches_from_where_all_have_a_score():
    best = pd.DataFrame(
        [
            ("pbt", 0, 1.0, 10.0, 10.0),
            ("pbt", 0, 2.0, 12.0, 12.0),
            ("pbt", 1, 2.0, 20.0, 20.0),
            ("pbt", 1, 3.0, 18.0, 20.0),
        ],
        columns=["method", "seed", "spent_epochs", "score", "best"],
    )
    frame = figure_tables.progress_curves(best, "spent_epochs", "max")
    assert list(frame.columns) == ["method", "x", "mean", "low", "high", "searches"]
    assert rows(frame) == [["pbt", 2.0, 16.0, 12.0, 20.0, 2], ["pbt", 3.0, 16.0, 12.0, 20.0, 2]]


def test_against_time_the_best_is_taken_in_the_order_of_time():
    best = pd.DataFrame(
        [("pbt", 0, 5.0, 10.0, 10.0), ("pbt", 0, 3.0, 12.0, 12.0), ("pbt", 0, 4.0, math.nan, 12.0)],
        columns=["method", "seed", "seconds", "score", "best"],
    )
    frame = figure_tables.progress_curves(best, "seconds", "max")
    assert rows(frame[["x", "mean"]]) == [[3.0, 12.0], [4.0, 12.0], [5.0, 12.0]]
    falling = figure_tables.progress_curves(best, "seconds", "min")
    assert rows(falling[["x", "mean"]]) == [[3.0, 12.0], [4.0, 12.0], [5.0, 10.0]]


def test_member_curves_begin_where_the_parents_ended():
    frame = figure_tables.member_curves(run_of(small_population()), "pbt", 0)
    assert list(frame.columns) == ["trial", "member", "epochs", "score", "winner", "root"]
    assert rows(frame) == [
        ["a0", 0, 0.5, 10.0, True, False],
        ["b0", 1, 0.5, None, False, False],
        ["a1", 0, 0.5, 10.0, False, True],
        ["a1", 0, 1.0, 12.0, False, False],
        ["b1", 1, 0.5, 10.0, True, True],
        ["b1", 1, 1.0, 15.0, True, False],
    ]


def test_an_exploit_joins_the_state_given_up_to_the_state_adopted():
    frame = figure_tables.exploits(run_of(small_population()), "pbt", 0)
    assert rows(frame) == [["b1", 0.5, None, 0.5, 10.0]]


def test_the_family_tree_ranks_within_a_generation():
    frame = figure_tables.family_tree(run_of(small_population()), "pbt", 0)
    assert rows(frame) == [
        ["a0", 0, 0, None, None, False, 0.0, True],
        ["b0", 0, 1, None, None, False, None, False],
        ["a1", 1, 0, 0.0, 0.0, False, 1.0, False],
        ["b1", 1, 1, 0.0, 0.0, True, 0.0, True],
    ]


def test_member_schedules_follow_every_last_member_and_the_winner():
    frame = figure_tables.member_schedules(run_of(small_population()), "pbt")
    columns = ["seed", "lineage", "winner", "start", "end", "trial", "dropout"]
    assert rows(frame[columns]) == [
        [0, "a1", False, 0.0, 0.5, "a0", 0.0],
        [0, "a1", False, 0.5, 1.0, "a1", 0.0],
        [0, "b1", False, 0.0, 0.5, "a0", 0.0],
        [0, "b1", False, 0.5, 1.0, "b1", 0.2],
        [0, "b1", True, 0.0, 0.5, "a0", 0.0],
        [0, "b1", True, 0.5, 1.0, "b1", 0.2],
    ]
    assert figure_tables.schedules_vary(frame, "dropout")
    assert not figure_tables.schedules_vary(frame.assign(dropout=0.1), "dropout")


def test_value_points_are_models_trained_to_the_end_and_flag_winners_at_an_end():
    space = {"rate": {"min": 0.08, "max": 1.0, "scale": "log"}, "dropout": {"min": 0.0, "max": 0.6}}
    records = [
        *small_population(),
        search("grid"),
        assigned("0", method="grid", rate=0.5, dropout=0.1),
        evaluated("0", 11.0, trained_pairs=100, spent_pairs=100, method="grid"),
        evaluated("0", 9.0, trained_pairs=200, spent_pairs=200, interval_index=1, method="grid"),
    ]
    frame = figure_tables.value_points(run_of(records, {"search": {"space": space}}))
    assert list(frame.columns) == [
        *("method", "seed", "trial", "score", "winner", "rate", "dropout", "rate_bound", "dropout_bound")
    ]
    assert rows(frame) == [
        ["pbt", 0, "a1", 12.0, False, 0.1, 0.0, "", ""],
        ["pbt", 0, "b1", 15.0, True, 0.08, 0.2, "lower", ""],
        ["grid", 0, "0", 11.0, True, 0.5, 0.1, "", ""],
    ]


@pytest.mark.parametrize(
    ("value", "domain", "expected"),
    [
        (0.0, NumberDomain(min=0, max=0.6), ""),
        (0.6, NumberDomain(min=0, max=0.6), "upper"),
        (0.1, NumberDomain(min=0.1, max=0.6), "lower"),
        (0.3, NumberDomain(min=0, max=0.6), ""),
        (3.1e-4, NumberDomain(min=3e-4, max=1e-2, scale="log"), "lower"),
        (1e-3, NumberDomain(min=3e-4, max=1e-2, scale="log"), ""),
        (16, ChoiceDomain(choices=[128, 16, 32]), "lower"),
        (128, ChoiceDomain(choices=[128, 16, 32]), "upper"),
        (32, ChoiceDomain(choices=[128, 16, 32]), ""),
        (0, ChoiceDomain(choices=[0, 1, 2]), ""),
        ("dot", ChoiceDomain(choices=["additive", "dot"]), ""),
        ("dot", ChoiceDomain(choices=["additive", "dot"], ordered=True), "upper"),
        ("additive", ChoiceDomain(choices=["additive", "dot"], ordered=True), "lower"),
        (5.0, NumberDomain(min=5, max=5), ""),
        (None, NumberDomain(min=0, max=1), ""),
        (0.5, None, ""),
    ],
)
def test_a_value_is_at_an_end_only_where_something_lies_beyond(value, domain, expected):
    assert figure_tables.bound(value, domain) == expected


def test_a_run_without_a_finite_score_has_views_without_a_winner():
    run = run_of(
        [
            run_started(),
            search(),
            assigned("0", member=0, rate=0.1),
            evaluated("0", None, trained_pairs=100, spent_pairs=100),
        ]
    )
    assert not figure_tables.member_curves(run, "pbt", 0)["winner"].any()
    assert figure_tables.value_points(run).empty
    assert figure_tables.progress_curves(run.best_so_far, "spent_epochs", "max").empty


def test_tables_of_figures_of_a_whole_run_agree_with_its_other_tables(three_path):
    run = load_run(three_path)
    points = figure_tables.value_points(run)
    assert points["winner"].sum() == len(run.winners) == 18
    only = dataclasses.replace(run, records=[*run.records])
    assert len(figure_tables.family_tree(only, "pbt", 2)) == 48


def test_pbt_is_laid_over_its_ablations_along_the_way_to_each_winner(three_path):
    run = load_run(three_path)
    curves = figure_tables.ablation_curves(run)
    assert list(dict.fromkeys(curves["method"])) == ["pbt", "exploit-only", "explore-only"]
    chains = [run.ancestry.chain("pbt", seed) for seed in range(3)]
    first = curves[(curves["method"] == "pbt") & (curves["epochs"] == 1.0)].iloc[0]
    scores = [chain["score"].iloc[0] for chain in chains]
    assert first["mean"] == pytest.approx(sum(scores) / 3)
    assert (first["low"], first["high"]) == (min(scores), max(scores))
    last = curves[curves["method"] == "pbt"].iloc[-1]
    winners = run.winners[run.winners["method"] == "pbt"]["score"]
    assert last["epochs"] == run.evaluations["trained_epochs"].max()
    assert (last["mean"], last["low"]) == (pytest.approx(winners.mean()), winners.min())


def test_models_of_a_replay_are_averaged_and_not_chosen_from():
    records = [
        run_started(),
        search(),
        assigned("0", member=0, rate=0.1),
        evaluated("0", 5.0, trained_pairs=100, spent_pairs=100),
        search("replay"),
        assigned("0", method="replay", rate=0.1),
        evaluated("0", 3.0, trained_pairs=100, spent_pairs=100, method="replay"),
        assigned("1", method="replay", rate=0.1),
        evaluated("1", 6.0, trained_pairs=100, spent_pairs=200, method="replay"),
    ]
    curves = figure_tables.ablation_curves(Run(None, {}, {}, records))  # type: ignore[arg-type]
    assert curves[["method", "mean", "low", "high"]].to_dict("list") == {
        "method": ["pbt", "replay"],
        "mean": [5.0, 4.5],
        "low": [5.0, 3.0],
        "high": [5.0, 6.0],
    }


@pytest.mark.parametrize("ablation", ["exploit-only", "explore-only", "replay"])
def test_an_ablation_without_a_score_yet_is_not_drawn(ablation: str) -> None:
    started = [*small_population(), search(ablation)]
    given = [*started, assigned("0", member=0, method=ablation, rate=0.1, dropout=0.2)]
    failed = [
        *given,
        evaluated("0", None, trained_pairs=100, spent_pairs=100, method=ablation),
        ended("0", "nan", ablation),
    ]
    for records in (started, given, failed):
        assert set(figure_tables.ablation_curves(run_of(records))["method"]) == {"pbt"}


def test_an_ablation_is_drawn_where_pbt_failed() -> None:
    failed = [
        run_started(),
        search(),
        assigned("0", member=0, rate=0.1),
        evaluated("0", None, trained_pairs=100, spent_pairs=100),
    ]
    assert figure_tables.ablation_curves(run_of([*failed, search("explore-only")])).empty
    ablation = [assigned("0", member=0, method="explore-only", rate=0.1)]
    ablation.append(evaluated("0", 4.0, trained_pairs=100, spent_pairs=100, method="explore-only"))
    curves = figure_tables.ablation_curves(run_of([*failed, search("explore-only"), *ablation]))
    assert curves["method"].tolist() == ["explore-only"]


def test_without_ablations_there_is_nothing_to_lay_over(one_path):
    assert figure_tables.ablation_curves(load_run(one_path)).empty
