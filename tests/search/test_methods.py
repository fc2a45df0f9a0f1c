from __future__ import annotations

import subprocess
import sys

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.registry import METHODS, build_method
from nmt_pbt.search.population.exploit import Backtrack, Tournament, Truncation, TTest
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.search.population.pb2 import PB2
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.search.driving import SMALL, Session

WITHOUT_DRAWS = ("manual", "grid", "hyperband", "replay", "final-values", "mf-pbt", "pbt-sobol")


def test_names_and_budgets_are_checked_without_importing_keras_tuner() -> None:
    program = (
        "import sys\n"
        "from nmt_pbt.tasks.translation.settings.tree import load_settings\n"
        "load_settings().check_searches()\n"
        "heavy = {'keras_tuner', 'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (["search.methods=[pbt, randon]"], "no such method 'randon'; did you mean 'random'"),
        (["search.methods=[pbt, pbt]"], "listed twice"),
        (["training.early_stopping=3"], "training.early_stopping 3: is for `nmt-pbt train`"),
        (
            ["search.space.average_decay={min: 0.9, max: 0.99}"],
            "average_decay: nothing reads it unless training.averaging is exponential",
        ),
        (["search.space.epochs={min: 1.0, max: 5.0}"], "pbt decides by itself how long to train"),
        (
            ["search.methods=[random]", "search.space.epochs={min: 1.0, max: 500.0}"],
            "a trial of 500 epochs does not fit the budget of 48 epochs",
        ),
        (["search.methods=[random]", "search.space.epochs={choices: [1.0, 64.0]}"], "a trial of 64 epochs"),
        (["search.methods=[hyperband]", "training.epochs=2.0"], "no trial could be stopped early"),
        (["search.methods=[manual]"], "manual: no guesses"),
        (["search.methods=[manual]", "search.manual.guesses=[{dropuot: 0.1}]"], "did you mean 'dropout'"),
        (["search.methods=[manual]", "search.manual.guesses=[{dropout: 0.7}]"], "number 1: dropout = 0.7"),
        (
            ["search.methods=[manual]", "search.population=2", "search.manual.guesses=[{}, {dropout: 0.1}, {}]"],
            "3 guesses, but the budget is 2 trials",
        ),
        (
            ["search.methods=[manual]", "search.manual.guesses=[{learning_rate_decay: 1.5}]"],
            "number 1: learning_rate_decay: 1.5 is out of place",
        ),
        (["search.methods=[grid]", "search.grid.levels={dropout: [0.7]}"], "levels.dropout: 0.7"),
        (["search.pbt.frequencies=[1, 4]"], "a population of 6 has no 2 equal parts of at least 4 members"),
        (["search.pbt.frequencies=[4, 1]", "search.population=8"], "give at least two, rising"),
        (
            ["search.population=4", "search.pbt.evaluators=0.25"],
            "a population of 4 has less than 2 children",
        ),
        (["search.pbt.evaluators=0.25", "search.pbt.synchronous=false"], "search.pbt.evaluators: needs exploit trunc"),
        (
            ["search.pbt.frequencies=[1, 4]", "search.population=8", "search.pbt.exploit=tournament"],
            r"exploit tournament: sub-populations .* select by truncation",
        ),
        (["search.pbt.initial=[{}, {dropuot: 0.1}]"], "initial values of member 1: .*; did you mean 'dropout'"),
        (["search.pbt.initial=[{dropout: 0.7}]"], "initial values of member 0: dropout = 0.7; it has to be a number"),
        (["search.pbt.initial=[{}, {}, {}, {}, {}, {}, {}]"], "initial values for 7 members, but the population has 6"),
        (["search.pbt.burn_in=8.0"], "burn_in 8: the last decision comes after 7 of 8 epochs"),
        (["search.pbt.burn_in=7.5", "search.interval=2.0"], "the last decision comes after 6 of 8 epochs"),
        (["search.grid.levels={dropuot: [0.1]}"], "levels.dropuot: not in the search space; did you mean 'dropout'"),
        (["search.pbt.frozen=[dropuot]"], "frozen dropuot: not in the search space; did you mean 'dropout'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(changes: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        load_settings(assignments=[*SMALL, *changes]).check_searches()
    assert "\n" not in str(caught.value)


def test_an_unknown_method_cannot_be_built() -> None:
    with pytest.raises(UsageError, match="did you mean 'hyperband'"):
        build_method("hyperbandd", load_settings(assignments=SMALL).search_plan(), 0, 1000)


@pytest.mark.parametrize("name", [name for name in METHODS.names if name not in ("manual", "mf-pbt")])
def test_an_interval_of_less_than_a_sentence_pair_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"search.interval 0.5: less than one sentence pair of an epoch of 1;"):
        build_method(name, load_settings(assignments=[*SMALL, "search.interval=0.5"]).search_plan(), 0, 1)


def test_a_last_interval_of_less_than_a_sentence_pair_is_refused() -> None:
    settings = load_settings(assignments=[*SMALL, "training.epochs=8.001"])
    with pytest.raises(UsageError, match=r"training.epochs 8.001: the last interval .* train for 8 epochs"):
        build_method("pbt", settings.search_plan(), 0, 400)
    assert build_method("random", settings.search_plan(), 0, 400).budget.total == 6 * 8 * 400


def test_settings_choose_exploit_and_explore() -> None:
    def population(*changes: str, name: str = "pbt") -> object:
        return build_method(name, load_settings(assignments=[*SMALL, *changes]).search_plan(), 0, 1000).population

    assert population().strategy == Truncation(0.25)  # type: ignore[attr-defined]
    assert population("search.pbt.exploit=tournament").strategy == Tournament()  # type: ignore[attr-defined]
    backtrack = population("search.pbt.exploit=backtrack", "search.pbt.fraction=0.5")
    assert backtrack.strategy == Backtrack(0.5)  # type: ignore[attr-defined]
    ttest = population("search.pbt.exploit=ttest", "search.pbt.significance=0.1", "search.pbt.evaluations=3")
    assert ttest.strategy == TTest(0.1, 3)  # type: ignore[attr-defined]
    parts = population("search.pbt.frequencies=[1, 3]", "search.population=8")
    assert parts.strategy == MultiFrequency(8, (1, 3))  # type: ignore[attr-defined]
    assert isinstance(population("search.pbt.explore=pb2").explore, PB2)  # type: ignore[attr-defined]
    assert population(name="exploit-only").explore is None  # type: ignore[attr-defined]
    assert population(name="explore-only").exploit is None  # type: ignore[attr-defined]


def test_values_to_start_with_can_be_set() -> None:
    settings = load_settings(assignments=[*SMALL, "search.pbt.initial=[{dropout: 0.5, batch_size: 64}]"])
    method = build_method("pbt", settings.search_plan(), 0, 1000)
    first = method.assignment(method.create_trial("worker0"))
    assert (first.values["dropout"], first.values["batch_size"]) == (0.5, 64)


@pytest.mark.parametrize("name", [name for name in METHODS.names if name not in WITHOUT_DRAWS])
def test_methods_share_their_first_draws_under_one_seed(name: str) -> None:
    """Common random numbers: what differs between methods is then less the luck of the start."""
    settings = load_settings(assignments=[*SMALL, "search.bayes.initial_points=4"])
    method = build_method(name, settings.search_plan(), 7, 1000)
    reference = build_method("random", settings.search_plan(), 7, 1000)
    for worker in ("a", "b", "c", "d"):
        drawn, expected = (one.assignment(one.create_trial(worker)) for one in (method, reference))
        assert drawn.values == expected.values


FALLING = ["search.space.learning_rate_decay={min: 0.5, max: 1.0}", "search.population=8"]
"""A constant that is a schedule: what the learning rate is multiplied with each epoch."""


@pytest.mark.parametrize("name", [name for name in METHODS.names if name not in ("manual", "replay", "final-values")])
def test_every_method_can_search_how_the_learning_rate_falls(name: str) -> None:
    oracle = build_method(name, load_settings(assignments=[*SMALL, *FALLING]).search_plan(), 0, 1000)
    driven = Session(oracle, 1.0).run(workers=2)
    decays = {assignment.values["learning_rate_decay"] for assignment in driven.assignments}
    assert len(decays) > 1
    assert all(0.5 <= float(decay) <= 1.0 for decay in decays)


def test_a_schedule_by_hand_is_trained_as_often_as_the_budget_allows() -> None:
    guess = "{learning_rate: 4.0e-3, learning_rate_decay: 0.8}"
    changes = [*SMALL, "search.methods=[manual]", f"search.manual.guesses=[{guess}]", "search.manual.repeat=true"]
    settings = load_settings(assignments=changes)
    settings.check_searches()
    oracle = build_method("manual", settings.search_plan(), 0, 1000)
    driven = Session(oracle, 1.0).run(workers=2)
    assert len(driven.assignments) == 6
    assert all(assignment.values["learning_rate_decay"] == 0.8 for assignment in driven.assignments)
    assert driven.pairs == oracle.budget.total == build_method("pbt", settings.search_plan(), 0, 1000).budget.total


def test_several_guesses_are_repeated_in_turn_to_the_end_of_the_budget() -> None:
    guesses = "[{epochs: 8.0}, {epochs: 20.0}]"
    space = "search.space.epochs={min: 1.0, max: 40.0}"
    changes = [
        *SMALL,
        "search.methods=[manual]",
        space,
        f"search.manual.guesses={guesses}",
        "search.manual.repeat=true",
    ]
    oracle = build_method("manual", load_settings(assignments=changes).search_plan(), 0, 1000)
    driven = Session(oracle, 1.0).run()
    assert [assignment.epochs for assignment in driven.assignments] == [8.0, 20.0, 8.0, 12.0]
