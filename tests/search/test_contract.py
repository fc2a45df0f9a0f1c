"""What holds for every oracle, in every mode."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from functools import partial

import keras_tuner
import numpy as np
import pytest

from nmt_pbt.base.errors import SearchError
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.methods.registry import METHODS, build_method
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from nmt_pbt.testing import Begin, check_budget, check_repeats, check_resumes, check_state, check_values
from tests.search.driving import SMALL, Session

START = {
    **{"learning_rate": 1e-3, "recurrent_dropout": 0.25, "label_smoothing": 0.1},
    **{"units": 96, "attention": "dot"},
}
GUESSES = [
    {"dropout": dropout, "batch_size": batch_size, "units": 96, "attention": "dot"}
    for dropout, batch_size in [(0.0, 16), (0.1, 32), (0.2, 64), (0.3, 16), (0.4, 32), (0.5, 64)]
]
SEGMENTS = [
    {"epochs": epochs, "values": {**START, "dropout": dropout, "batch_size": batch_size}}
    for epochs, dropout, batch_size in [(1.0, 0.1, 16), (1.0, 0.4, 64), (2.5, 0.0, 64), (0.5, 0.6, 16)]
]
SCHEDULE = f"search.replay.schedule={json.dumps(SEGMENTS)}"
ASYNCHRONOUS = "search.pbt.synchronous=false"
STRATEGIES = {
    "truncation": [],
    "tournament": ["search.pbt.exploit=tournament"],
    "t-test": ["search.pbt.exploit=ttest", "search.pbt.significance=0.4", "search.pbt.evaluations=2"],
    "bootstrap": ["search.pbt.exploit=bootstrap", "search.pbt.significance=0.4"],
    "backtracking": ["search.pbt.exploit=backtrack"],
    "two frequencies": ["search.population=8", "training.epochs=6.0", "search.pbt.frequencies=[1, 2]"],
    "truncation and PB2": ["search.pbt.explore=pb2"],
    "truncation and PB2-Mix": ["search.pbt.explore=pb2-mix", "search.pbt.sobol_start=true"],
}
WITH_SETTINGS = ("pbt", "manual", "replay", "final-values")
MODES = {
    **{name: (name, [SCHEDULE]) for name in ("replay", "final-values")},
    "replay of a schedule longer than a member": ("replay", [SCHEDULE, "training.epochs=3.0", "search.population=16"]),
    **{name: (name, []) for name in METHODS.names if name not in WITH_SETTINGS and not METHODS.get(name).overrides},
    **{f"pbt by {name}": ("pbt", changes) for name, changes in STRATEGIES.items()},
    **{f"pbt by {name}, asynchronous": ("pbt", [*changes, ASYNCHRONOUS]) for name, changes in STRATEGIES.items()},
    "manual": ("manual", [f"search.manual.guesses={json.dumps(GUESSES)}"]),
    "pbt with burn-in": ("pbt", ["search.pbt.burn_in=3.0"]),
    "pbt minimising": ("pbt", ["search.objective=val_loss"]),
    "fire-pbt": ("fire-pbt", []),
    "ipbt restarting often": ("ipbt", ["search.ipbt.patience=1"]),
    "pbt with an interval that does not divide": ("pbt", ["search.interval=1.5"]),
    "exploit-only, asynchronous": ("exploit-only", [ASYNCHRONOUS]),
    "explore-only, asynchronous": ("explore-only", [ASYNCHRONOUS]),
    "explore-only triggered by bootstrap": ("explore-only", STRATEGIES["bootstrap"]),
    "hyperband minimising": ("hyperband", ["search.objective=val_loss", "search.hyperband.factor=2"]),
    "random over epochs": ("random", ["search.space.epochs={min: 2.0, max: 9.0}"]),
    "grid over epochs": ("grid", ["search.space.epochs={choices: [3.0, 5.0]}"]),
    "grid with levels": ("grid", ["search.grid.levels={dropout: [0.0, 0.1, 0.2, 0.3], batch_size: [16, 64]}"]),
    "bayes over epochs": ("bayes", ["search.space.epochs={min: 2.0, max: 9.0}"]),
    "bayes minimising": ("bayes", ["search.objective=val_loss"]),
}
EPOCH = 1000
SPACE = [
    *SMALL,
    "search.space.label_smoothing={min: 0.0, max: 0.2, step: 0.05}",
    "search.space.units={min: 64, max: 128, step: 32, integer: true}",
    "search.space.attention={choices: [additive, dot]}",
]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> tuple[str, TranslationSettings]:
    name, changes = MODES[request.param]
    return name, load_settings(assignments=[*SPACE, *changes])


def session(mode: tuple[str, TranslationSettings], seed: int = 0, **changes: object) -> Session:
    name, settings = mode
    objective = settings.search.objective
    return Session(
        build_method(name, settings.search_plan(), seed, EPOCH), settings.search.interval, metric=objective, **changes
    )


def begin(mode: tuple[str, TranslationSettings]) -> Begin:
    return partial(session, mode)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(mode: tuple[str, TranslationSettings]) -> None:
    check_repeats(begin(mode))
    if mode[0] not in ("manual", "replay", "final-values"):
        assert session(mode).run(workers=2).assignments != session(mode, seed=1).run(workers=2).assignments


def test_a_later_seed_does_not_depend_on_the_process(mode: tuple[str, TranslationSettings]) -> None:
    """Seed 0 is a seed: KerasTuner takes a random one instead."""
    assert session(mode).oracle.seed == 0


def test_values_are_within_bounds_and_on_the_grid(mode: tuple[str, TranslationSettings]) -> None:
    check_values(begin(mode))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_budget_is_met_exactly(mode: tuple[str, TranslationSettings], workers: int) -> None:
    random = np.random.default_rng(0)
    check_budget(begin(mode), workers, pick=lambda count: int(random.integers(count)))
    assert session(mode).oracle.budget.total == 48 * EPOCH


@pytest.mark.parametrize(
    ("fails", "score"),
    [
        (lambda assignment: "out of memory" if assignment.values["batch_size"] >= 64 else None, None),
        (lambda assignment: "nan" if assignment.trial.endswith(("1", "4")) else None, None),
        (lambda assignment: None, lambda assignment, step: math.nan if assignment.trial.endswith("1") else 5.0 + step),
        (lambda assignment: None, lambda assignment, step: math.inf if assignment.trial.endswith("1") else 5.0 + step),
    ],
    ids=["out of memory", "failure", "nan score", "infinite score"],
)
def test_a_search_goes_on_after_failures(
    mode: tuple[str, TranslationSettings],
    fails: Callable[[Assignment], str | None],
    score: Callable[[Assignment, int], float] | None,
) -> None:
    driven = session(mode, fails=fails, **({"score": score} if score is not None else {})).run(workers=2)
    if mode[0] == "manual":
        assert len(driven.assignments) == len(mode[1].search.manual.guesses)  # nobody guessed what else to try
    else:
        assert driven.pairs == driven.oracle.budget.total
    best = driven.oracle.get_best_trials(1)[0]
    assert math.isfinite(best.score)
    assert best.status == "COMPLETED"


def test_a_search_whose_trials_all_fail_ends_with_the_reason(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode, fails=lambda assignment: "out of memory")
    with pytest.raises(SearchError, match=r"all.*failed, the last one with: out of memory"):
        driven.run(workers=2)
    assert len(driven.assignments) >= mode[1].search.population


def test_a_fresh_oracle_that_is_told_the_same_decides_the_same(mode: tuple[str, TranslationSettings]) -> None:
    for part in (3, 2):
        check_resumes(begin(mode), part)


def test_a_fresh_oracle_with_the_state_of_another_goes_on_as_that_one_does(
    mode: tuple[str, TranslationSettings],
) -> None:
    check_state(begin(mode))


def test_the_same_worker_gets_the_same_trial_until_it_has_ended(mode: tuple[str, TranslationSettings]) -> None:
    oracle = session(mode).oracle
    first = oracle.create_trial("worker0")
    again = oracle.create_trial("worker0")
    other = oracle.create_trial("worker1")
    assert again.trial_id == first.trial_id != other.trial_id
    assert again.hyperparameters.values == first.hyperparameters.values


def test_results_of_a_trial_that_is_given_out_again_start_afresh(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode)
    oracle, metric = driven.oracle, driven.metric
    trial = oracle.create_trial("worker0")
    oracle.update_trial(trial.trial_id, {metric: 99.0}, step=1)
    again = oracle.create_trial("worker0")
    oracle.update_trial(trial.trial_id, {metric: 5.0}, step=1)
    again.status = "COMPLETED"
    oracle.end_trial(again)
    assert oracle.get_trial(trial.trial_id).score == 5.0


def test_a_failed_trial_is_not_given_out_again_and_an_invalid_one_as_often_as_allowed(
    mode: tuple[str, TranslationSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = session(mode).oracle
    oracle.max_retries_per_trial = 1
    issued = []
    for status in ("FAILED", "INVALID", "INVALID"):
        trial = oracle.create_trial("worker0")
        issued.append(trial.trial_id)
        trial.status = status
        oracle.end_trial(trial)
    assert issued[0] != issued[1] == issued[2]
    assert oracle.get_trial(issued[1]).status == "FAILED"
    assert oracle.create_trial("worker0").trial_id not in issued


def test_the_old_way_to_end_a_trial_still_works(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode)
    driven.give("worker0")
    trial = driven.busy["worker0"].trial
    driven.oracle.update_trial(trial, {driven.metric: 5.0}, step=1)
    values = dict(driven.oracle.get_trial(trial).hyperparameters.values)
    driven.oracle.end_trial(trial, "COMPLETED")
    ended = driven.oracle.get_trial(trial)
    assert ended.status == "COMPLETED"
    assert ended.hyperparameters.values == values
    assert driven.give("worker0") == "RUNNING"


def test_a_missing_objective_is_an_error_and_holds_no_lock(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode)
    driven.give("worker0")
    with pytest.raises(ValueError, match="Objective value missing"):
        driven.oracle.update_trial(driven.busy["worker0"].trial, {"train_loss": 1.0}, step=1)
    finished = threading.Thread(target=driven.finish, args=("worker0",), daemon=True)
    finished.start()
    finished.join(timeout=30)
    assert not finished.is_alive()


def test_an_oracle_is_one_of_keras_tuners_and_writes_and_prints_nothing(
    mode: tuple[str, TranslationSettings],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    driven = session(mode).run(workers=2, trials=6)
    assert isinstance(driven.oracle, keras_tuner.Oracle)
    assert list(tmp_path.iterdir()) == []  # type: ignore[attr-defined]
    assert capsys.readouterr().out == ""


def test_trials_that_ended_can_be_looked_up(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode).run()
    oracle = driven.oracle
    best = oracle.get_best_trials(1)[0]
    scores = [oracle.get_trial(assignment.trial).score for assignment in driven.assignments]
    assert best.score == (max(scores) if oracle.objective.direction == "max" else min(scores))
    assert len(oracle.trials) == len(driven.assignments) == len(oracle.end_order)
    json.dumps(best.get_state())


def test_few_states_are_needed(mode: tuple[str, TranslationSettings]) -> None:
    driven = session(mode).run(workers=3)
    population = mode[1].search.population
    if mode[0] != "hyperband":
        assert max(map(len, driven.needed)) <= 2 * population
    parents = {assignment.parent for assignment in driven.assignments if assignment.parent is not None}
    spec = METHODS.get(mode[0])
    trains_in_one_go = spec.kind == "constant" and not spec.chooses_length
    if trains_in_one_go or mode[0] == "final-values":  # which has one segment
        assert not parents
        assert not any(driven.needed)
    else:
        assert parents
