from __future__ import annotations

import math
from typing import Any

import keras_tuner
import numpy as np
import pytest
from keras_tuner import oracles
from scipy.optimize import minimize

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.budget import Budget
from nmt_pbt.search.oracles.baselines import BayesOracle, GridOracle, HyperbandOracle, RandomOracle
from nmt_pbt.search.oracles.grid_points import points_within
from nmt_pbt.search.oracles.keras_tuner_space import to_hyperparameters
from nmt_pbt.search.oracles.manual import ManualOracle
from nmt_pbt.search.population.pb2 import minimise
from nmt_pbt.space.domains import Choice, Integer, Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import Session

BLEU = keras_tuner.Objective("val_bleu", "max")
LOSS = keras_tuner.Objective("val_loss", "min")
SPACE = Space((Real("rate", 1e-4, 1e-2, "log"), Real("dropout", 0.0, 0.6), Choice("batch", (16, 32, 64))))


def session(kind: Any, space: Space = SPACE, budget: float = 48.0, interval: float = 1.0, **changes: Any) -> Session:
    """Return a session with a budget of so many epochs, of 1,000 pairs each."""
    arguments: dict[str, Any] = {
        "space": space,
        "objective": BLEU,
        "seed": 0,
        "budget": Budget(1000, interval, round(1000 * budget)),
        "epochs": 8.0,
        "max_initial_failures": 6,
    }
    arguments.update(changes)
    if kind is GridOracle:
        levels = arguments.pop("levels")
        arguments["points"] = points_within(space, arguments["budget"], arguments["epochs"], levels, arguments["seed"])
    oracle = kind(**arguments)
    return Session(oracle, 1.0, metric=oracle.objective.name)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (RandomOracle, {}),
        (GridOracle, {"levels": {}}),
        (BayesOracle, {"initial_points": 3, "exploration": 2.6}),
        (HyperbandOracle, {"factor": 3, "kept": 6}),
        (ManualOracle, {"guesses": [{"rate": 1e-3, "dropout": 0.1, "batch": 16}]}),
    ],
)
def test_several_objectives_are_added_up_to_be_minimised(kind: Any, changes: dict[str, Any]) -> None:
    """KerasTuner's rule: what is to be maximised counts negatively."""
    objectives = [keras_tuner.Objective("score", "max"), keras_tuner.Objective("cost", "min")]
    oracle = session(kind, objective=objectives, **changes).oracle
    trial = oracle.create_trial("worker0")
    oracle.update_trial(trial.trial_id, {"score": 3.0, "cost": 1.0}, step=1)
    oracle.update_trial(trial.trial_id, {"score": 2.0, "cost": 1.0}, step=2)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.get_trial(trial.trial_id).score == -2.0


# Random


def test_random_search_does_not_stop_early_in_a_small_space() -> None:
    tiny = Space((Choice("batch", (16, 32)),))
    driven = session(RandomOracle, tiny, budget=400.0).run()
    assert len(driven.assignments) == 50
    assert {assignment.values["batch"] for assignment in driven.assignments[:3]} == {16, 32}


def test_random_search_repeats_nothing_while_there_are_new_values() -> None:
    small = Space((Integer("units", 1, 30),))
    driven = session(RandomOracle, small, budget=8.0 * 10).run()
    assert len({assignment.values["units"] for assignment in driven.assignments}) == 10


def test_a_log_integer_stays_within_its_bounds() -> None:
    space = Space((Integer("units", 1, 4, "log"),))
    driven = session(RandomOracle, space, budget=8.0 * 200).run()
    assert {assignment.values["units"] for assignment in driven.assignments} == {1, 2, 3, 4}


# Searched epochs


@pytest.mark.parametrize("kind", [RandomOracle, GridOracle, BayesOracle])
def test_searched_epochs_use_up_the_budget_and_the_last_trial_is_cut(kind: Any) -> None:
    space = Space((*SPACE.domains, Real("epochs", 3.0, 7.0)))
    extra = {GridOracle: {"levels": {}}, BayesOracle: {"initial_points": 3, "exploration": 2.6}}.get(kind, {})
    driven = session(kind, space, **extra).run(workers=2)
    *whole, last = driven.assignments
    assert all(abs(assignment.epochs - float(assignment.values["epochs"])) <= 0.0005 for assignment in whole)
    assert all(3.0 <= assignment.epochs <= 7.0 for assignment in whole)
    assert 0 < last.epochs <= 7.0
    assert driven.epochs == 48.0
    asked = driven.oracle.get_trial(last.trial).hyperparameters.values["epochs"]
    assert 3.0 <= asked <= 7.0


# Grid


def test_a_grid_smaller_than_the_budget_is_gone_through_again() -> None:
    driven = session(GridOracle, Space((Choice("batch", (16, 32)),)), levels={}).run()
    assert [assignment.values["batch"] for assignment in driven.assignments[:4]] in ([16, 32] * 2, [32, 16] * 2)
    assert len(driven.assignments) == 6


def test_grid_workers_do_not_wait_for_each_other() -> None:
    """KerasTuner's grid gives out the third trial only when one of the first two has ended."""
    ours = session(GridOracle, levels={}).oracle
    assert [ours.create_trial(worker).status for worker in "abcd"] == ["RUNNING"] * 4


def test_grid_levels_that_are_not_of_the_space_are_refused() -> None:
    settings = load_settings(None, ["search.methods=[grid]", "search.grid.levels={dropout: [0.9]}"])
    with pytest.raises(UsageError, match=r"levels\.dropout: 0\.9"):
        settings.check_searches()


# Bayes


def bowl(values: dict[str, Any]) -> float:
    """A score with its best place at rate 1e-3, dropout 0.2."""
    return 30.0 - 4 * abs(math.log10(values["rate"]) + 3) - 20 * abs(values["dropout"] - 0.2)


def bayes(**changes: Any) -> Session:
    return session(BayesOracle, **{"initial_points": 4, "exploration": 2.6, "budget": 8.0 * 20, **changes})


def test_bayes_comes_closer_than_random() -> None:
    reached = {}
    for kind in (RandomOracle, BayesOracle):
        best = []
        for seed in range(5):
            driven = bayes(seed=seed) if kind is BayesOracle else session(kind, budget=8.0 * 20, seed=seed)
            driven.score = lambda assignment, step: bowl(dict(assignment.values))
            driven.run()
            best.append(driven.oracle.get_best_trials(1)[0].score)
        reached[kind] = float(np.mean(best))
    assert reached[BayesOracle] > reached[RandomOracle] + 0.5
    assert reached[BayesOracle] > 29.0


def test_bayes_suggests_nothing_twice_while_there_is_something_new() -> None:
    space = Space((Choice("batch", (16, 32, 64)), Choice("layers", (1, 2, 3)), Choice("kind", ("a", "b"))))
    driven = bayes(space=space, budget=8.0 * 18).run(workers=3)
    assert len({tuple(assignment.values.values()) for assignment in driven.assignments}) == 18


def test_bayes_keeps_away_from_what_failed() -> None:
    driven = bayes(budget=8.0 * 20)
    driven.fails = lambda assignment: "nan" if float(assignment.values["rate"]) > 2e-3 else None
    driven.score = lambda assignment, step: 30 + 5 * math.log10(float(assignment.values["rate"]))
    driven.run()
    late = driven.assignments[10:]
    assert sum(float(assignment.values["rate"]) > 2e-3 for assignment in late) <= len(late) // 2


@pytest.mark.parametrize("objective", [BLEU, LOSS])
def test_bayes_workers_get_different_points(objective: Any) -> None:
    driven = bayes(objective=objective)
    driven.run(workers=1, trials=6)
    while driven.busy:
        driven.finish(next(iter(driven.busy)))
    for worker in "abc":
        driven.give(worker)
    points = [[math.log10(float(a.values["rate"])) / 2, float(a.values["dropout"]) / 0.6] for a in driven.busy.values()]
    distances = [math.dist(points[i], points[j]) for i in range(3) for j in range(i)]
    assert min(distances) > 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_acquisition_is_minimised_as_well_as_by_keras_tuners_fifty_gradient_searches() -> None:
    theirs = oracles.BayesianOptimizationOracle(
        objective=BLEU, max_trials=99, num_initial_points=3, seed=1, hyperparameters=to_hyperparameters(SPACE)
    )
    random = np.random.default_rng(0)
    for _ in range(4):
        points, losses = random.random((12, 3)), random.normal(size=12)
        theirs.gpr.fit(points, losses)

        def bound(units: np.ndarray) -> np.ndarray:
            mean, deviation = theirs.gpr.predict(units, return_std=True)
            return np.asarray(mean - 2.6 * deviation)

        found = next(minimise(bound, 3, np.random.default_rng(1), points))
        searches = [
            minimize(lambda x: float(bound(x.reshape(1, -1))[0]), x0, bounds=[(0, 1)] * 3, method="L-BFGS-B")
            for x0 in random.random((50, 3))
        ]
        assert float(bound(found[None])[0]) <= min(search.fun for search in searches) + 1e-3


# Hyperband


def hyperband(**changes: Any) -> Session:
    return session(HyperbandOracle, **{"factor": 3, "kept": 6, "epochs": 9.0, "budget": 90.0, **changes})


def test_hyperband_goes_on_with_the_best_third_from_their_own_states() -> None:
    driven = hyperband().run()
    by_trial = {assignment.trial: assignment for assignment in driven.assignments}
    first = [assignment for assignment in driven.assignments if assignment.parent is None]
    assert [assignment.epochs for assignment in first[:9]] == [1.0] * 9
    scores = {a.trial: driven.oracle.get_trial(a.trial).score for a in first[:9]}
    promoted = [a.parent for a in driven.assignments if a.parent in scores]
    assert set(promoted) == set(sorted(scores, key=lambda trial: scores[trial])[-3:])
    for assignment in driven.assignments:
        if assignment.parent is not None:
            parent = by_trial[assignment.parent]
            assert assignment.values == parent.values
            assert assignment.generation == parent.generation + round(parent.epochs)
            assert assignment.generation + assignment.epochs in (3.0, 9.0)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("budget", [9.0, 40.0, 77.0, 200.0])
def test_hyperband_meets_any_budget(workers: int, budget: float) -> None:
    driven = hyperband(budget=budget).run(workers=workers)
    assert driven.epochs == budget


def test_hyperband_counts_in_intervals_also_when_they_do_not_divide_the_epochs() -> None:
    driven = hyperband(epochs=7.0, interval=0.75, budget=60.0).run()
    ends = {round(a.generation * 0.75 + a.epochs, 9) for a in driven.assignments[:-1]}
    assert ends == {1.5, 3.0, 7.0}


def test_hyperband_passes_over_a_bracket_that_does_not_fit() -> None:
    assert all(assignment.epochs == 9.0 for assignment in hyperband(budget=18.0).run().assignments)


def test_hyperband_needs_the_states_that_may_go_on_and_no_others() -> None:
    driven = hyperband(budget=21.0)
    driven.run(trials=9)
    while driven.busy:
        driven.finish(next(iter(driven.busy)))
    scores = {f"{number:04d}": driven.oracle.get_trial(f"{number:04d}").score for number in range(9)}
    assert driven.needed[-1] == set(sorted(scores, key=lambda trial: scores[trial])[-3:])
    rest = driven.run()
    parents = [assignment.parent for assignment in rest.assignments if assignment.parent is not None]
    assert len(parents) == 4
    assert rest.needed[-1] == set()


def test_hyperband_keeps_no_state_for_a_round_that_failures_have_made_impossible() -> None:
    driven = hyperband(budget=21.0)
    driven.fails = lambda assignment: "nan" if int(assignment.trial) in (0, 2, 4, 6) else None
    driven.run(trials=9)
    while driven.busy:
        driven.finish(next(iter(driven.busy)))
    assert driven.needed[-1] == set()  # five have ended, six would be thrown out


def test_hyperband_passes_over_a_bracket_of_which_more_states_would_wait_than_are_kept() -> None:
    def first_round(kept: int) -> int:
        driven = hyperband(epochs=81.0, budget=810.0, kept=kept).run(trials=200)
        return next(number for number, assignment in enumerate(driven.assignments) if assignment.parent is not None)

    assert first_round(27) > first_round(26) > first_round(9)


# Manual


def test_guesses_are_tried_in_order_and_more_can_be_added() -> None:
    guesses = [{"rate": 1e-3, "dropout": 0.1 * number, "batch": 16} for number in range(3)]
    driven = session(ManualOracle, guesses=guesses).run()
    assert [assignment.values for assignment in driven.assignments] == guesses
    assert driven.epochs == driven.oracle.budget.epochs == 24.0
    driven.oracle.add({"rate": 2e-3, "dropout": 0.5, "batch": 64})
    driven.run()
    assert driven.assignments[-1].values["dropout"] == 0.5
    assert driven.epochs == 32.0


@pytest.mark.parametrize("guess", [{"rate": 1e-3, "dropout": 0.7, "batch": 16}, {"rate": 1e-3}, {"speed": 1}])
def test_a_guess_that_is_not_of_the_space_is_refused(guess: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="guess 1"):
        session(ManualOracle, guesses=[guess])
