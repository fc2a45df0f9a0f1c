"""What replays say, and the schedules that a report leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_pbt.report.ablations import guess_cautions, replay_findings, replay_scores
from nmt_pbt.report.answer import answer
from nmt_pbt.report.comparisons import reference_method
from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.statistics import best_baseline, population_methods, results_of
from nmt_pbt.run.records import Guessed, Tested
from nmt_pbt.run.schedule import found_schedule, read_schedule
from nmt_pbt.tasks.translation.settings.tree import check_schedule
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, evaluated, run_started, search, search_ended, small_population

METHODS = ("pbt", "random", "replay", "final-values", "exploit-only")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_run(tmp_path_factory.mktemp("ablations") / "run", METHODS, population=4, epochs=5.0)


@pytest.fixture(scope="module")
def run(path: Path) -> Run:
    return load_run(path)


def records(method: str, failing: bool = False) -> list:
    """PBT wins with 12 after 200 pairs; three models replay it for 300."""
    pbt = [
        run_started(),
        search(),
        assigned("a", member=0, dropout=0.1),
        evaluated("a", 10.0, trained_pairs=100, spent_pairs=100),
        assigned("b", member=0, parent="a", generation=1, dropout=0.2),
        evaluated("b", 12.0, trained_pairs=200, spent_pairs=200),
        assigned("c", member=0, parent="b", generation=2, dropout=0.2),
        evaluated("c", 11.0, trained_pairs=300, spent_pairs=300),
    ]
    again = [search(method)]
    for member in range(3):
        again.append(assigned(f"m{member}", member=member, method=method, dropout=0.2))
        for interval, score in enumerate((5.0, 9.0 + member, 20.0)):
            missing = failing and member == 2 and interval == 1
            again.append(
                evaluated(f"m{member}", None if missing else score, 100 * (interval + 1), 100, interval, method)
            )
            if missing:
                break
    return pbt + again


def test_a_replays_score_is_that_of_the_winners_age_and_not_its_best() -> None:
    run = Run(Path("run"), {}, {}, records("replay"))
    assert replay_scores(run)["score"].tolist() == [9.0, 10.0, 11.0]
    (told,) = replay_findings(run)
    assert "dev BLEU 10.0 on average in 3 models" in told
    assert "(9.0 to 11.0)" in told
    assert "The winner of PBT, chosen by that score, had 12.0" in told


def test_a_replay_that_failed_before_the_winners_age_is_told_and_not_averaged() -> None:
    (told,) = replay_findings(Run(Path("run"), {}, {}, records("final-values", failing=True)))
    assert "The final values of PBT, held throughout, gave dev BLEU 9.5 on average in 2 models" in told
    assert "1 of 3 failed" in told


def test_a_replay_that_fails_after_the_winners_age_counts_with_its_score_there() -> None:
    found = [*records("replay"), evaluated("m2", None, 400, 100, 3, "replay")]
    assert replay_scores(Run(Path("run"), {}, {}, found))["score"].tolist() == [9.0, 10.0, 11.0]


def test_a_replay_of_a_schedule_from_elsewhere_has_a_report_too(tmp_path: Path, quick_figures: None) -> None:
    """As `train --schedule` leaves it."""
    whole = load_run(write_fake_run(tmp_path / "run", ("pbt", "replay"), population=3, epochs=2.0))
    records = [record for record in whole.records if getattr(record, "method", "replay") == "replay"]
    text = "".join(record.model_dump_json() + "\n" for record in records)
    (tmp_path / "run" / "journal.jsonl").write_text(text, encoding="utf-8")
    assert "Replay" in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_replays_are_neither_the_baseline_nor_a_population(run: Run) -> None:
    assert best_baseline(run) == "random"
    assert population_methods(run) == ["pbt", "exploit-only"]
    assert reference_method(run) == "pbt"


def test_the_answer_compares_with_replays_and_tells_what_they_know_beforehand(run: Run) -> None:
    said = answer(results_of(run))
    assert any("The schedule of PBT gave dev BLEU" in finding for finding in said.findings)
    assert any("Replay and Final values train by the schedule that PBT found" in text for text in said.cautions)
    assert not any("Replay" in text for text in said.cautions if "its range" in text)


def test_a_report_leaves_the_schedule_of_each_population_to_be_replayed(
    path: Path, run: Run, quick_figures: None
) -> None:
    report = write_report(path).parent
    names = {file.name for file in report.glob("schedule_*.yaml")}
    assert names == {"schedule_pbt_seed0.yaml", "schedule_exploit-only_seed0.yaml"}
    written = read_schedule(report / "schedule_pbt_seed0.yaml", check_schedule)
    assert written == found_schedule(run.records, "pbt", 0, run.name)
    steps = run.ancestry.steps("pbt", 0)
    assert [segment.values["dropout"] for segment in written.segments] == steps["dropout"].tolist()
    assert [segment.trial for segment in written.segments] == steps["trial"].tolist()
    page = (report / "index.html").read_text(encoding="utf-8")
    assert 'href="schedule_pbt_seed0.yaml"' in page
    assert "nmt-pbt train --schedule RUN" in page
    assert (report / "figures" / "learning_curves_replay_seed0.svg").exists()
    assert not (report / "figures" / "family_tree_replay_seed0.svg").exists()


def by_hand(*more: object) -> Run:
    """PBT at a budget of 400 pairs, and two guesses of 200."""
    guess = Guessed(method="manual", seed=0, values={"dropout": 0.3}, pairs=200)
    records = [
        *small_population(),
        *(search("manual", budget=0), guess, assigned("0", method="manual", dropout=0.3, clip_norm=2.0)),
        *(evaluated("0", 11.0, 200, 200, method="manual"), search_ended(200, "manual"), *more),
    ]
    return Run(Path("run"), {}, {}, records)


def test_guesses_by_hand_are_told_with_what_they_took() -> None:
    run = by_hand()
    said = answer(results_of(run))
    assert said.headline.endswith(
        "at an equal budget of 400 sentence pairs (2 epochs) a search, but for Manual, whose guesses took 1 epoch."
    )
    assert not any("clip norm" in finding for finding in said.findings)
    assert not any("Manual spent" in caution for caution in said.cautions)


def test_guesses_made_after_the_test_are_cautioned_about() -> None:
    tested = Tested(
        **{
            "method": "manual",
            "seed": 0,
            "trial": "0",
            "interval_index": 0,
            "trained_pairs": 200,
            "dev": {},
            "test": {},
        },
        **{"signatures": {}, "outputs": "t"},
    )
    late = Guessed(method="manual", seed=0, values={"dropout": 0.4}, pairs=200)
    assert guess_cautions(by_hand(tested)) == []
    assert guess_cautions(by_hand(tested, late)) == [
        "1 guess of Manual came after its winner had been tested, so the test score may have influenced them."
    ]
