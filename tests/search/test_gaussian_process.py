"""PB2's process against scikit-learn's, which does the same by general rules."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from nmt_pbt.search.population.gaussian_process import Likelihood, fitted, kernel_of


class OnColumns(Matern):
    """A Matérn kernel that looks at some columns only."""

    def __init__(
        self,
        columns: Sequence[int] = (0,),
        length_scale: float | Sequence[float] = 1.0,
        length_scale_bounds: tuple[float, float] = (1e-5, 1e5),
        nu: float = 1.5,
    ) -> None:
        super().__init__(length_scale, length_scale_bounds, nu)
        self.columns = columns

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        columns = list(self.columns)
        return super().__call__(X[:, columns], None if Y is None else Y[:, columns], eval_gradient)


def regressor(values: int) -> GaussianProcessRegressor:
    time = OnColumns((0,), 1.0, (0.1, 100.0), nu=0.5)
    rest = OnColumns(tuple(range(1, 2 + values)), [1.0] * (1 + values), (0.05, 20.0), nu=2.5)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * time * rest + WhiteKernel(0.1, (1e-4, 1.0))
    return GaussianProcessRegressor(kernel, random_state=0)


def observations(values: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(values)
    points = random.random((count, 2 + values))
    points[1] = points[0]  # seen twice
    return points, np.clip(np.sin(6 * points[:, -1]) + points[:, 0] + random.normal(0, 0.2, count) - 0.5, -2, 2)


@pytest.mark.parametrize("values", [1, 4])
def test_likelihood_and_gradient_are_scikit_learns(values: int) -> None:
    points, observed = observations(values)
    theirs = regressor(values)
    theirs.optimizer = None
    theirs.fit(points, observed)
    ours = Likelihood(points, observed)
    random = np.random.default_rng(0)
    bounds = theirs.kernel_.bounds
    for _ in range(5):
        logarithms = random.uniform(bounds[:, 0], bounds[:, 1])
        value, gradient = theirs.log_marginal_likelihood(logarithms, eval_gradient=True)
        mine = ours.negative(logarithms)
        assert mine[0] == pytest.approx(-value, rel=1e-9)
        np.testing.assert_allclose(mine[1], -gradient, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("values", [1, 4])
def test_what_is_fitted_and_predicted_is_scikit_learns(values: int) -> None:
    points, observed = observations(values)
    theirs = regressor(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(points, observed)
    ours = fitted(points, observed)
    random = np.random.default_rng(1)
    moment, units = np.array([1.0, 0.3]), random.random((300, values))
    rows = np.concatenate([np.tile(moment, (len(units), 1)), units], axis=1)
    mean, deviation = theirs.predict(rows, return_std=True)
    np.testing.assert_allclose(ours.predict(moment, units), (mean, deviation), rtol=1e-5, atol=1e-6)

    more = random.random((5, 2 + values))
    surer = GaussianProcessRegressor(theirs.kernel_, optimizer=None)
    surer.fit(np.concatenate([points, more]), np.zeros(len(points) + 5))
    expected = mean, surer.predict(rows, return_std=True)[1]
    np.testing.assert_allclose(ours.also_observed(more).predict(moment, units), expected, rtol=1e-5, atol=1e-6)


def test_with_categories_the_gradient_is_that_of_the_likelihood() -> None:
    points, observed = observations(2)
    kinds = np.random.default_rng(5).integers(3, size=len(points))
    likelihood = Likelihood(points, observed, (kinds[:, None] == kinds).astype(float))
    logarithms = np.log([1.3, 0.7, 0.5, 0.4, 2.0, 0.2, 0.3])
    _, gradient = likelihood.negative(logarithms)
    for place, step in enumerate(1e-6 * np.eye(len(logarithms))):
        ends = [likelihood.negative(logarithms + sign * step)[0] for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-5)


def test_with_categories_predictions_are_those_of_the_whole_covariance() -> None:
    points, observed = observations(1, count=30)
    random = np.random.default_rng(2)
    units, moment = random.random((40, 1)), np.array([0.9, 0.4])
    rows = np.concatenate([np.tile(moment, (40, 1)), units], axis=1)
    kinds = np.concatenate([random.integers(2, size=30), np.ones(40)])
    alike = (kinds[:, None] == kinds).astype(float)
    process = fitted(points, observed, alike[:30, :30])
    assert process.kernel.mix is not None
    whole = process.kernel.among(np.concatenate([points, rows]), alike)
    across, inverse = whole[30:, :30], np.linalg.inv(whole[:30, :30])
    means, deviations = process.predict(moment, units, alike[30, :30])
    np.testing.assert_allclose(means, across @ inverse @ observed, rtol=1e-6, atol=1e-8)
    variances = np.diag(whole[30:, 30:] - across @ inverse @ across.T)
    np.testing.assert_allclose(deviations, np.sqrt(variances), rtol=1e-5)


def test_observations_at_one_place_count_as_often_as_they_were_made() -> None:
    points, observed = observations(2, count=30)
    random = np.random.default_rng(3)
    points[10:20] = points[random.integers(10, size=10)]
    kinds = random.integers(2, size=30)
    alike = (kinds[:, None] == kinds).astype(float)
    likelihood = Likelihood(points, observed, alike)
    assert 20 <= len(likelihood.places.counts) < 30  # of another category is another place
    logarithms = np.log([1.3, 0.7, 0.5, 0.4, 2.0, 0.2, 0.3])
    covariance = kernel_of(logarithms, mixed=True).among(points, alike)
    quadratic = observed @ np.linalg.solve(covariance, observed)
    expected = (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2
    value, gradient = likelihood.negative(logarithms)
    assert value == pytest.approx(expected, rel=1e-9)
    for place, step in enumerate(1e-6 * np.eye(len(logarithms))):
        ends = [likelihood.negative(logarithms + sign * step)[0] for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-5)


def test_with_categories_points_that_are_added_make_it_as_sure_as_the_whole_covariance_does() -> None:
    points, observed = observations(1, count=30)
    points[5:10] = points[:5]
    random = np.random.default_rng(4)
    more, units, moment = random.random((4, 3)), random.random((20, 1)), np.array([0.9, 0.4])
    rows = np.concatenate([points, more, np.concatenate([np.tile(moment, (20, 1)), units], axis=1)])
    kinds = np.concatenate([random.integers(2, size=34), np.ones(20)])
    alike = (kinds[:, None] == kinds).astype(float)
    process = fitted(points, observed, alike[:30, :30]).also_observed(more, alike[:34, :34])
    whole = process.kernel.among(rows, alike)
    variances = np.diag(whole[34:, 34:] - whole[34:, :34] @ np.linalg.solve(whole[:34, :34], whole[:34, 34:]))
    _, deviations = process.predict(moment, units, alike[34, :34])
    np.testing.assert_allclose(deviations, np.sqrt(variances), rtol=1e-6)
