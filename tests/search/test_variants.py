"""Methods under names of their own: those that are built in, and those that settings name."""

from __future__ import annotations

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.search.population.exploit import Backtrack, Tournament, TTest
from nmt_pbt.search.population.multi_frequency import MultiFrequency
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.tasks.translation.scoring.bootstrap import Bootstrap
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from tests.search.driving import SMALL, Session

SLOW = "search.variants={pbt-slow: {method: pbt, label: 'PBT, slow', fraction: 0.5}}"


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("pbt-backtrack", Backtrack),
        ("pbt-tournament", Tournament),
        ("pbt-ttest", TTest),
        ("pbt-bootstrap", Bootstrap),
        ("mf-pbt", MultiFrequency),
    ],
)
def test_a_built_in_variant_has_its_strategy_and_the_other_settings_of_pbt(name: str, strategy: type) -> None:
    settings = load_settings(None, [*SMALL, "search.population=8", "search.pbt.burn_in=2.0"])
    population = build_method(name, settings.search_plan(), 0, 1000).population  # type: ignore[attr-defined]
    assert isinstance(population.strategy, strategy)
    assert population.burn_in == 2.0


def test_settings_name_variants_of_their_own() -> None:
    plan = load_settings(None, [*SMALL, SLOW, "search.methods=[pbt, pbt-slow]"]).search_plan()
    usual, slow = (build_method(name, plan, 0, 1000).population for name in ("pbt", "pbt-slow"))  # type: ignore[attr-defined]
    assert (usual.strategy.fraction, slow.strategy.fraction) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("pbt-slow: {method: pbd}", "search.variants.pbt-slow.method: no such method 'pbd'; did you mean 'pbt'"),
        ("pbt-slow: {method: pbt, fracton: 0.5}", "pbt-slow: no such setting 'fracton'; did you mean 'fraction'"),
        ("pbt-slow: {method: pbt, fraction: 0.7}", "search.variants.pbt-slow.fraction: input should be less"),
        ("pbt-slow: {method: pbt, exploit: truncated}", "no such exploit strategy 'truncated'; did you mean"),
        ("random: {method: pbt}", "search.variants.random: is the name of a method"),
    ],
)
def test_a_variant_that_cannot_be_made_is_refused_in_one_line(variant: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        load_settings(None, [f"search.variants={{{variant}}}"])
    assert "\n" not in str(caught.value)


def test_an_unknown_strategy_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"search.pbt.explore: no such explore strategy 'pertub'; did you mean"):
        load_settings(None, ["search.pbt.explore=pertub"])


def test_settings_without_variants_have_the_fingerprint_they_had_before_there_were_any() -> None:
    tree = load_settings(None, ["corpus.normalization=nmt_nfkc"]).model_dump(mode="json")
    older = {**tree, "search": {key: value for key, value in tree["search"].items() if key != "variants"}}
    newer = {"population", "sobol_start", "evaluators", "longest_evaluation"}
    older["search"]["pbt"] = {key: value for key, value in tree["search"]["pbt"].items() if key not in newer}
    assert settings_hash(tree, TranslationSettings) == settings_hash(older, TranslationSettings)
    other = load_settings(None, [SLOW]).model_dump(mode="json")
    assert settings_hash(other, TranslationSettings) != settings_hash(older, TranslationSettings)


def test_a_larger_population_trains_each_member_for_less_at_the_same_budget() -> None:
    plan = load_settings(None, [*SMALL, "search.pbt.population=12"]).search_plan()
    driven = Session(build_method("pbt", plan, 0, 1000), 1.0).run(workers=3)
    assert {assignment.member for assignment in driven.assignments} == set(range(12))
    assert driven.pairs == build_method("random", plan, 0, 1000).budget.total == 6 * 8 * 1000


def test_a_population_too_large_for_one_interval_each_is_refused() -> None:
    with pytest.raises(UsageError, match=r"search.pbt.population 60: leaves 0.8 epochs of the budget to each member"):
        load_settings(None, [*SMALL, "search.pbt.population=60"]).check_searches()
