from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.training.optimizer import Plateau

LOSSES = st.lists(st.floats(0.1, 10), max_size=30)


def course(losses: list[float], factor: float, patience: int) -> list[float]:
    plateau, scales = Plateau(), []
    for age, loss in enumerate(losses, start=1):
        plateau = plateau.after(loss, age, factor, patience)
        scales.append(plateau.scale)
    return scales


def test_the_rate_is_cut_after_so_many_evaluations_without_a_lower_loss() -> None:
    assert course([3, 2, 2.5, 2, 1.9, 2, 2, 2], 0.5, 2) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert course([3, 3, 3], 0.5, 1) == [1, 0.5, 0.25]


@given(losses=LOSSES, patience=st.integers(1, 5))
def test_factor_1_leaves_the_rate(losses: list[float], patience: int) -> None:
    assert course(losses, 1.0, patience) == [1.0] * len(losses)


@given(losses=LOSSES, patience=st.integers(1, 5))
def test_what_is_read_back_goes_on_as_what_was_written(losses: list[float], patience: int) -> None:
    plain = kept = Plateau()
    for age, loss in enumerate(losses, start=1):
        plain = plain.after(loss, age, 0.5, patience)
        kept = Plateau.from_arrays(kept.arrays()).after(loss, age, 0.5, patience)
        assert kept == plain
        assert kept.after(loss, age, 0.5, patience) == kept  # the same evaluation does not count twice
