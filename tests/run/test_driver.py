"""The loop between oracle and engine, on a trainable that costs nothing."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_pbt.base.errors import HandoverError, JournalError, UsageError
from nmt_pbt.run.greediness import Greediness
from nmt_pbt.run.jobs import Engine, Result, TrainingJob, Undone
from nmt_pbt.run.journal import read_journal, without_times
from nmt_pbt.run.records import Assigned, Ended, Evaluated, SearchEnded
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.scoring.significance import corpus_scores, unpack_counts
from tests.run.cheap import CheapTask, PassingOn, TakingTurns, cheap_settings, inline, opened, search

CHEAP = CheapTask()
METHODS = ("pbt", "random", "grid", "bayes", "exploit-only", "explore-only", "replay", "final-values")


def run(folder: Path, method: str, *assignments: str, task: CheapTask = CHEAP, workers: int = 1) -> list[Any]:
    settings = cheap_settings(*assignments)
    with opened(folder) as journal:
        search(method, settings, task, inline(folder, task, workers), journal)
    return read_journal(folder / "journal.jsonl")


def plain(records: list[Any]) -> list[dict[str, Any]]:
    return [without_times(record) for record in records]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_exactly_the_budget(tmp_path: Path, method: str) -> None:
    records = run(tmp_path, method)
    assert records[-1].spent_pairs == 4 * 3 * 200
    assert sum(record.pairs for record in records if isinstance(record, Assigned)) == 4 * 3 * 200


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_journal_but_for_times(tmp_path: Path, method: str) -> None:
    assert plain(run(tmp_path / "first", method)) == plain(run(tmp_path / "second", method))


@pytest.mark.parametrize("method", ["pbt", "random"])
def test_all_methods_are_evaluated_at_the_same_interval(tmp_path: Path, method: str) -> None:
    spent = [record.spent_pairs for record in run(tmp_path, method) if isinstance(record, Evaluated)]
    assert spent == list(range(200, 2401, 200))


def test_a_trial_of_constant_values_goes_on_from_its_own_state(tmp_path: Path) -> None:
    evaluated = [record for record in run(tmp_path, "random") if isinstance(record, Evaluated)]
    trials = {record.trial: [other for other in evaluated if other.trial == record.trial] for record in evaluated}
    assert len(trials) == 4
    for intervals in trials.values():
        assert [record.trained_pairs for record in intervals] == [200, 400, 600]
        assert intervals[0].started is None
        for before, after in itertools.pairwise(intervals):
            assert after.started == before.state


def test_a_member_starts_from_its_parents_state_and_its_hash_is_kept(tmp_path: Path) -> None:
    records = run(tmp_path, "pbt")
    states = {record.trial: record.state for record in records if isinstance(record, Evaluated)}
    parents = {record.trial: record.parent for record in records if isinstance(record, Assigned)}
    started = {record.trial: record.started for record in records if isinstance(record, Evaluated)}
    assert any(record.inherited for record in records if isinstance(record, Assigned))
    for trial, parent in parents.items():
        assert started[trial] == (states[parent] if parent is not None else None)


EARLY = (
    "search.manual.guesses=[{learning_rate: 0.01, dropout: 0.6, batch_size: 16}]",
    "training.epochs=60",
    "training.early_stopping=2",
)


def test_a_trial_stops_after_so_many_evaluations_without_a_better_objective(tmp_path: Path) -> None:
    records = run(tmp_path, "manual", *EARLY)
    scores = [record.metrics["val_bleu"] for record in records if isinstance(record, Evaluated)]
    ends = range(3, len(scores) + 1)
    stops = [end for end in ends if max(scores[: end - 2]) >= max(scores[end - 2 : end])]
    assert 3 < len(scores) < 60
    assert stops == [len(scores)]
    assert records[-1].spent_pairs == 200 * len(scores)
    assert records[-1].reason == "stopped early"
    assert [record.reason for record in records if isinstance(record, Ended)] == ["no better val_bleu 2 times"]


def test_a_search_stopped_early_is_the_same_when_it_was_killed_and_resumed(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "manual", *EARLY)
    jobs = sum(isinstance(record, Evaluated) for record in whole)
    for job in (2, jobs - 1, jobs):
        folder = tmp_path / f"killed{job}"
        settings = cheap_settings(*EARLY)
        with opened(folder) as journal, pytest.raises(Killed):
            search("manual", settings, CHEAP, KillingEngine(inline(folder, CHEAP, 1), job, after=True), journal)
        assert plain(run(folder, "manual", *EARLY)) == plain(whole)


class Killed(BaseException):
    """What a kill is in one process: nothing that comes after it runs."""


class KillingEngine(PassingOn):
    """Stops everything before, or after, the job with a certain number is run."""

    def __init__(self, engine: Engine, job: int, after: bool) -> None:
        super().__init__(engine)
        self._job, self._after = job, after

    def wait(self) -> Result | Undone | None:
        self._job -= 1
        if self._job == 0 and not self._after:
            raise Killed
        result = self.engine.wait()
        if self._job == 0:
            raise Killed
        return result


@pytest.mark.parametrize("after", [False, True], ids=["in mid-training", "between state and journal"])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_resumes_to_the_journal_of_one_that_never_was(
    tmp_path: Path, method: str, after: bool, workers: int
) -> None:
    task, settings = CheapTask(), cheap_settings()
    whole = plain(run(tmp_path / "whole", method, workers=workers))
    folder = tmp_path / "killed"
    for job in (1, 2, 3, 1, 4):
        with opened(folder) as journal, pytest.raises(Killed):
            search(method, settings, task, KillingEngine(inline(folder, task, workers), job, after), journal)
    with opened(folder) as journal:
        search(method, settings, task, inline(folder, task, workers), journal)
    assert plain(read_journal(folder / "journal.jsonl")) == whole


def test_a_finished_search_is_not_run_again(tmp_path: Path) -> None:
    before = plain(run(tmp_path, "pbt"))
    assert plain(run(tmp_path, "pbt")) == before


def test_other_settings_do_not_replay_and_say_so(tmp_path: Path) -> None:
    run(tmp_path, "pbt")
    with pytest.raises(JournalError, match="on replay"):
        run(tmp_path, "pbt", "search.space.dropout.max=0.3")


def test_a_member_whose_loss_is_not_finite_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    records = run(tmp_path, "pbt", task=CheapTask(explodes_above=1e-3))
    failed = [record for record in records if isinstance(record, Ended) and record.status == "failed"]
    assert {record.reason for record in failed} == {"nan"}
    assert isinstance(records[-1], SearchEnded)
    assert all(record.metrics == {"val_bleu": None} for record in records if getattr(record, "failure", None))


def test_a_batch_that_does_not_fit_into_memory_fails_its_trial_only(tmp_path: Path) -> None:
    records = run(tmp_path, "random", task=CheapTask(largest_batch=100))
    reasons = {record.reason for record in records if isinstance(record, Ended) and record.status == "failed"}
    assert reasons <= {"out of memory"}
    assert any(record.status == "completed" for record in records if isinstance(record, Ended))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("method", ["pbt", "random", "hyperband"])
def test_when_every_trial_fails_the_search_ends_without_a_winner_and_says_why(
    tmp_path: Path, method: str, workers: int
) -> None:
    task, settings = CheapTask(explodes_above=0.0), cheap_settings()
    for _ in range(2):  # the second time from the journal
        with opened(tmp_path) as journal:
            assert search(method, settings, task, inline(tmp_path, task, workers), journal) is None
        records = read_journal(tmp_path / "journal.jsonl")
        assert sum(isinstance(record, SearchEnded) for record in records) == 1
        assert records[-1].reason.endswith("narrow the search space, for instance to smaller learning rates or batches")
        assert "all failed, the last one with: nan" in records[-1].reason or "nan" in records[-1].reason


@pytest.mark.parametrize("method", ["random", "grid", "bayes", "hyperband"])
def test_what_a_failed_trial_did_not_train_is_trained_by_others(tmp_path: Path, method: str) -> None:
    records = run(tmp_path, method, "training.epochs=9", task=CheapTask(explodes_above=2e-3))
    assert any(isinstance(record, Ended) and record.status == "failed" for record in records)
    assert records[-1].spent_pairs == 4 * 9 * 200


def test_searches_of_several_seeds_see_the_pairs_in_different_orders(tmp_path: Path) -> None:
    seen = set()

    class Watching(KillingEngine):
        def submit(self, worker: str, job: TrainingJob) -> None:
            seen.add((job.order_seed, job.weights_seed if job.start is None else None))
            super().submit(worker, job)

    for seed in (0, 1):
        with opened(tmp_path) as journal:
            search(
                "random", cheap_settings(), CHEAP, Watching(inline(tmp_path, CHEAP), 10**6, False), journal, seed=seed
            )
    fresh = [pair for pair in seen if pair[1] is not None]
    assert {order for order, _ in seen} == {0, 1}
    assert len({weights for _, weights in fresh}) == len(fresh) == 8


def test_trials_of_one_number_begin_with_the_same_weights_whatever_the_method_and_however_their_ids_are_padded(
    tmp_path: Path,
) -> None:
    given: dict[str, dict[str, tuple[int, int | None]]] = {}

    class Watching(KillingEngine):
        def submit(self, worker: str, job: TrainingJob) -> None:
            if job.start is None:
                given[method][job.trial] = job.weights_seed, job.masks_seed
            super().submit(worker, job)

    for method in ("pbt", "random", "grid", "bayes", "hyperband"):
        given[method] = {}
        with opened(tmp_path / method) as journal:
            engine = Watching(inline(tmp_path / method, CHEAP), 10**6, False)
            search(method, cheap_settings("training.epochs=9"), CHEAP, engine, journal)
    assert {len(trial) for trials in given.values() for trial in trials} == {2, 4}  # digits
    for number in range(4):
        mine = [seeds for trials in given.values() for trial, seeds in trials.items() if int(trial) == number]
        assert len(mine) == len(given)
        assert len(set(mine)) == 1


def test_a_value_that_is_not_in_force_after_the_load_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(HandoverError, match=r"not .* as assigned"):
        run(tmp_path, "pbt", task=CheapTask(forgets_to_apply=True))


def test_the_synchronous_lineage_is_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    def lineage(workers: int) -> list[dict[str, Any]]:
        records = run(tmp_path / str(workers), "pbt", "search.pbt.synchronous=true", workers=workers)
        assigned = [record for record in records if isinstance(record, Assigned)]
        return sorted((without_times(record) for record in assigned), key=lambda record: record["trial"])

    assert lineage(1) == lineage(2) == lineage(4)


def test_the_winner_is_the_best_evaluation_of_all(tmp_path: Path) -> None:
    task = CheapTask()
    with opened(tmp_path) as journal:
        winner = search("random", cheap_settings(), task, inline(tmp_path, task), journal)
        scores = [record.metrics["val_bleu"] for record in journal.records if isinstance(record, Evaluated)]
    assert winner.metrics["val_bleu"] == max(score for score in scores if score is not None)


def test_two_workers_with_one_live_model_do_not_mix_their_members(tmp_path: Path) -> None:
    task = dataclasses.replace(CheapTask(), pairs_per_epoch=100)
    records = run(tmp_path, "random", task=task, workers=2)
    alone = run(tmp_path / "alone", "random", task=task, workers=1)
    scores = {(r.trial, r.interval_index): r.metrics for r in records if isinstance(r, Evaluated)}
    assert scores == {(r.trial, r.interval_index): r.metrics for r in alone if isinstance(r, Evaluated)}


BOOTSTRAP = ("search.pbt.exploit=bootstrap", "search.population=5", "training.epochs=5")


def test_a_bootstrap_exploit_decides_by_the_sentence_counts_in_the_journal(tmp_path: Path) -> None:
    records = run(tmp_path, "pbt", *BOOTSTRAP)
    counts = {record.trial: record.evidence for record in records if isinstance(record, Evaluated)}
    assert None not in counts.values()
    adoptions = [record for record in records if isinstance(record, Assigned) and record.inherited]
    assert adoptions
    held = {(record.member, record.generation): record.trial for record in records if isinstance(record, Assigned)}
    for adoption in adoptions:
        left = held[adoption.member, adoption.generation - 1]
        bleu = [corpus_scores("bleu", unpack_counts("bleu", counts[t]).sum(axis=0)) for t in (adoption.parent, left)]
        assert bleu[0] > bleu[1]


def test_sentence_counts_are_kept_only_where_a_search_decides_by_them(tmp_path: Path) -> None:
    for method, exploit in (("pbt", "truncation"), ("random", "bootstrap")):
        records = run(tmp_path / method, method, f"search.pbt.exploit={exploit}")
        assert {record.evidence for record in records if isinstance(record, Evaluated)} == {None}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_search_with_bootstrap_resumes_to_the_same_journal(tmp_path: Path, workers: int) -> None:
    task, settings = CheapTask(), cheap_settings(*BOOTSTRAP)
    whole = plain(run(tmp_path / "whole", "pbt", *BOOTSTRAP, workers=workers))
    folder = tmp_path / "killed"
    for job in (6, 3, 1, 7):
        with opened(folder) as journal, pytest.raises(Killed):
            search("pbt", settings, task, KillingEngine(inline(folder, task, workers), job, True), journal)
    with opened(folder) as journal:
        search("pbt", settings, task, inline(folder, task, workers), journal)
    assert plain(read_journal(folder / "journal.jsonl")) == whole


def test_a_bootstrap_of_another_score_than_bleu_is_refused() -> None:
    with pytest.raises(UsageError, match=r"bootstrap.*val_chrf"):
        cheap_settings("search.pbt.exploit=bootstrap", "search.objective=val_chrf").check_searches()


def test_each_generation_of_a_population_is_diagnosed_when_all_members_have_been_given_it(tmp_path: Path) -> None:
    records = run(tmp_path, "pbt")
    greediness = Greediness.of(cheap_settings().search_plan())
    found = {number: diagnosis for number, record in enumerate(records) if (diagnosis := greediness.take(record))}
    for number, diagnosis in found.items():
        last = records[number]
        assert isinstance(last, Assigned)
        assert (last.generation, last.member) == (diagnosis.generation, 3)
    assert [diagnosis.generation for diagnosis in found.values()] == [0, 1, 2]
    adopted = [sum(r.inherited and r.generation == g for r in records if isinstance(r, Assigned)) / 4 for g in range(3)]
    assert [diagnosis.exploits for diagnosis in found.values()] == adopted
    replay = run(tmp_path / "replay", "replay")
    assert not any(Greediness.of(cheap_settings().search_plan()).take(record) for record in replay)


@pytest.mark.parametrize("more", [(), ("search.pbt.synchronous=false",)], ids=["synchronous", "asynchronous"])
def test_a_journal_cut_after_any_record_is_gone_on_with_to_the_same(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Kills between two records, of which `KillingEngine` knows nothing; states that are lost are trained again."""
    whole = run(tmp_path / "whole", "pbt", *more)
    lines = (tmp_path / "whole" / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    cuts = [number for number, record in enumerate(whole) if isinstance(record, Assigned)]
    for number in cuts[1::3]:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.jsonl").write_text("".join(lines[:number]), encoding="utf-8")
        assert plain(run(folder, "pbt", *more)) == plain(whole)


@pytest.mark.parametrize("method", [*METHODS, "hyperband", "pb2", "mf-pbt"])
def test_records_are_the_same_for_any_number_of_workers_whoever_is_faster(tmp_path: Path, method: str) -> None:
    size = "search.population=8" if method == "mf-pbt" else "search.population=4"
    alone = plain(run(tmp_path / "alone", method, size))
    for workers, haste in ((2, 1), (3, 2), (4, 3), (9, 4)):
        folder = tmp_path / str(workers)
        states = StateStore(folder / "states")
        engine = TakingTurns(CHEAP, states, workers, np.random.default_rng(haste))
        with opened(folder) as journal:
            search(method, cheap_settings(size), CHEAP, engine, journal)
        assert plain(read_journal(folder / "journal.jsonl")) == alone
