"""How greedy a population is, in numbers that mean the same for any population."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.population.diagnostics import (
    ANCESTOR,
    DIVERSITY,
    LEARNING_RATE,
    Diagnosis,
    Diagnostics,
    effective_number,
    spread,
)
from nmt_pbt.space.domains import Choice, Integer, Real
from nmt_pbt.space.space import Space

RATE = Real("learning_rate", 1e-4, 1e-1, "log")
DROPOUT = Real("dropout", 0.0, 0.6)
SPACE = Space((RATE, DROPOUT))
SIZE = 4
EVEN = [1e-4, 1e-3, 1e-2, 1e-1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_effective_number_is_between_one_and_the_number_of_kinds(items: list[int]) -> None:
    found = effective_number(items)
    assert 1 - 1e-9 <= found <= len(set(items)) + 1e-9
    assert found == pytest.approx(effective_number(sorted(items, reverse=True)))
    assert effective_number(items * 3) == pytest.approx(found)


@given(st.integers(1, 20), st.integers(1, 5))
def test_equally_frequent_kinds_count_as_they_are(kinds: int, each: int) -> None:
    assert effective_number(list(range(kinds)) * each) == pytest.approx(kinds)


DOMAINS = [RATE, DROPOUT, Integer("layers", 1, 6), Choice("batch", (16, 32, 64)), Choice("kind", ("a", "b", "c"))]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
@given(st.data())
def test_spread_is_zero_for_equal_values_and_bounded_for_any(domain: Real, data: st.DataObject) -> None:
    units = data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    values = [domain.from_unit(unit) for unit in units]
    assert 0 <= spread(domain, values) <= math.sqrt(3) + 1e-9
    assert spread(domain, [values[0]] * 5) == pytest.approx(0, abs=1e-6)
    assert spread(domain, values[::-1]) == pytest.approx(spread(domain, values))


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_values_spread_evenly_over_the_range_have_a_spread_of_about_one(domain: Real) -> None:
    values = [domain.from_unit((place + 0.5) / 600) for place in range(600)]
    assert spread(domain, values) == pytest.approx(1, abs=0.06)


def test_a_log_scale_is_measured_in_its_logarithm() -> None:
    low, high = [1e-4, 2e-4], [5e-2, 1e-1]
    assert spread(RATE, low) == pytest.approx(spread(RATE, high))


class Run:
    """A population whose decisions a test makes."""

    def __init__(self, epochs: float = 8.0, size: int = SIZE, space: Space = SPACE) -> None:
        self.diagnostics = Diagnostics(space, size, epochs)
        self.size = size
        self.held: list[str] = []
        self.generation = 0

    def go_on(self, adopt: dict[int, int] | None = None, rates: list[float] | None = None) -> Diagnosis:
        """Give out the next generation: `adopt` says which member takes over whose state."""
        before, found = self.held, None
        self.held = [f"{self.generation}-{member}" for member in range(self.size)]
        for member in range(self.size):
            donor = (adopt or {}).get(member, member)
            values = {"learning_rate": (rates or EVEN)[member % len(rates or EVEN)], "dropout": 0.2 * (member % 4)}
            found = self.diagnostics.take(
                Assignment(
                    self.held[member],
                    values,
                    1.0,
                    parent=before[donor] if before else None,
                    inherited=donor != member,
                    member=member,
                    generation=self.generation,
                    start=float(self.generation),
                )
            )
            assert (found is not None) == (member == self.size - 1)
        self.generation += 1
        assert found is not None
        return found


def test_a_population_that_never_adopts_keeps_its_diversity_and_its_ancestors() -> None:
    run = Run()
    for generation in range(8):
        found = run.go_on()
        assert (found.generation, found.diversity, found.exploits, found.donors) == (generation, 1.0, 0.0, None)
        assert (found.founders, found.largest, found.alarms) == (4.0, 0.25, ())


def test_adoptions_are_counted_with_their_donors_and_what_they_do_to_ancestry() -> None:
    run = Run()
    run.go_on()
    found = run.go_on({0: 3, 1: 3})
    assert (found.exploits, found.donors, found.largest) == (0.5, 1.0, 0.75)
    assert found.founders == pytest.approx(16 / 10)
    assert run.go_on({0: 2, 1: 3}).donors == 2.0
    assert run.go_on({2: 3}).largest == 0.75


def test_one_ancestor_is_an_alarm_before_half_of_the_training_once() -> None:
    run = Run(epochs=8.0)
    run.go_on()
    assert run.go_on({0: 3, 1: 3}).alarms == ()
    assert run.go_on({2: 3}).alarms == (ANCESTOR,)
    assert run.go_on().alarms == ()


def test_one_ancestor_late_in_the_training_is_convergence_and_no_alarm() -> None:
    run = Run(epochs=8.0)
    for _ in range(4):
        run.go_on()
    found = run.go_on({0: 3, 1: 3, 2: 3})
    assert (found.generation, found.largest, found.alarms) == (4, 1.0, ())


def test_values_that_draw_together_are_an_alarm() -> None:
    space = Space((RATE,))
    run = Run(space=space)
    run.go_on()
    assert run.go_on(rates=[1e-3, 2e-3, 5e-3, 2e-2]).alarms == ()
    assert run.go_on(rates=[1e-3, 1e-3, 2e-3, 2e-3]).alarms == (DIVERSITY,)


def test_learning_rates_that_all_fall_to_the_bottom_of_their_range_are_an_alarm() -> None:
    run = Run()
    run.go_on()
    assert run.go_on(rates=[1e-4, 2e-4, 3e-4, 1e-3]).alarms == ()
    assert LEARNING_RATE in run.go_on(rates=[1e-4, 2e-4, 3e-4, 3.9e-4]).alarms


def test_what_the_draws_of_the_beginning_were_is_no_alarm() -> None:
    run = Run()
    low = [1e-4, 2e-4, 3e-4, 3.9e-4]
    assert run.go_on(rates=low).alarms == ()
    assert run.go_on(rates=low).alarms == ()


def test_a_tiny_population_raises_no_alarm() -> None:
    run = Run(size=2)
    run.go_on()
    assert run.go_on({0: 1}).alarms == ()


def test_members_that_are_ahead_do_not_mix_the_generations() -> None:
    diagnostics = Diagnostics(SPACE, 2, 4.0)

    def give(trial: str, member: int, generation: int, parent: str | None) -> Diagnosis | None:
        values = {"learning_rate": 1e-3, "dropout": 0.1 * member}
        place = {"member": member, "generation": generation, "start": float(generation)}
        return diagnostics.take(Assignment(trial, values, 1.0, parent, False, **place))

    assert give("a", 0, 0, None) is None
    assert give("b", 0, 1, "a") is None
    first = give("c", 1, 0, None)
    assert first is not None
    assert (first.generation, first.founders) == (0, 2.0)
    second = give("d", 1, 1, "c")
    assert second is not None
    assert second.generation == 1
