"""The Gaussian process of PB2: how much a score rises, by time, score and values.

scikit-learn's regressor would do the same, and is what the tests hold this one to. But it evaluates kernel and
gradient by general rules, and a search of many short intervals spends minutes in it: here the derivatives of the one
kernel there is are written down, and what is the same for all points of a prediction is computed once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.spatial.distance

_JITTER = 1e-10
"""Added to the diagonal, as scikit-learn does, lest rounding make a matrix indefinite."""
_AT_ONCE = 128
"""Points predicted together: what a processor's cache holds."""
_AMPLITUDE, _TIME_SCALE, _SCALE, _NOISE = (
    (1.0, (0.05, 20.0)),
    (1.0, (0.1, 100.0)),
    (1.0, (0.05, 20.0)),
    (0.1, (1e-4, 1.0)),
)
"""Of each parameter the value to start from, and its bounds."""
_MIX = (0.5, (0.01, 0.99))


@dataclass(frozen=True)
class Kernel:
    """Covariance of two points: amplitude x Matérn of order 1/2 in time x Matérn of order 5/2 in the rest, and noise.

    The former is the paper's (1 - epsilon)^(|t - t'| / 2): what was seen long ago counts less. With categories, the
    latter, r, is mixed with the share h of categories in which two points agree: (1 - mix) (h + r) + mix h r, as in
    CoCaBO (Ru et al. 2020) and PB2-Mix.

    Attributes:
        amplitude: Variance without noise.
        time_scale: Length scale of the first column.
        scales: Length scales of the other columns.
        noise: Variance of the noise.
        mix: How much the categories change what the other columns tell, between 0 and 1; None: there are none.
    """

    amplitude: float
    time_scale: float
    scales: np.ndarray
    noise: float
    mix: float | None = None

    @property
    def variance(self) -> float:
        """Variance of any point, noise included."""
        return self.amplitude * (2 - self.mix if self.mix is not None else 1) + self.noise

    def among(self, points: np.ndarray, alike: np.ndarray | None) -> np.ndarray:
        """Return the covariances of points with each other, noise included.

        Args:
            points: `(points, columns)`.
            alike: For each two points the share of categories in which they agree, `(points, points)`.
        """
        time = self.amplitude * np.exp(-np.abs(points[:, None, 0] - points[None, :, 0]) / self.time_scale)
        rest = _matern(_distances(points[:, 1:] / self.scales))[0]
        if alike is not None and self.mix is not None:
            rest = (1 - self.mix) * (alike + rest) + self.mix * alike * rest
        return np.asarray(time * rest + (self.noise + _JITTER) * np.eye(len(points)))

    def at_one_moment(
        self, moment: np.ndarray, units: np.ndarray, others: np.ndarray, alike: np.ndarray | None
    ) -> np.ndarray:
        """Return the covariances of points that have time, score and categories in common with other points.

        Args:
            moment: Time and score, `(2,)`.
            units: All other columns, `(points, columns)`.
            others: Other points, `(others, 2 + columns)`.
            alike: The share of categories in which each other point agrees with the points, `(others,)`.

        Returns:
            `(points, others)`, without noise.
        """
        placed = others[:, 1:] / self.scales
        result = scipy.spatial.distance.cdist(units / self.scales[1:], placed[:, 1:], "sqeuclidean")
        result += (moment[1] / self.scales[0] - placed[:, 0]) ** 2
        # In place: an array for each term would not stay in the processor's cache.
        result *= 5.0
        scaled = np.sqrt(result)
        result /= 3.0
        result += scaled
        result += 1.0
        fade = math.log(self.amplitude) - np.abs(moment[0] - others[:, 0]) / self.time_scale
        result *= np.exp(np.subtract(fade, scaled, out=scaled), out=scaled)
        if alike is not None and self.mix is not None:
            result *= 1 - self.mix + self.mix * alike
            result += np.exp(fade) * (1 - self.mix) * alike
        return np.asarray(result)


@dataclass(frozen=True)
class Process:
    """A Gaussian process, conditioned on observations.

    Attributes:
        kernel: Its covariances.
        points: Where it was observed, `(observed, columns)`: time, score, values.
        factor: Lower Cholesky factor of the observations' covariance.
        weights: That covariance's inverse times what was observed, `(observed,)`.
    """

    kernel: Kernel
    points: np.ndarray
    factor: np.ndarray
    weights: np.ndarray

    def also_observed(self, points: np.ndarray, alike: np.ndarray | None = None) -> Process:
        """Return the process as sure as if it had been observed at more points; what was seen there is not said.

        Args:
            points: These points, `(more, columns)`.
            alike: For each two of old and new points, in this order, the share of categories in which they agree.
        """
        both = np.concatenate([self.points, points])
        return replace(self, points=both, factor=_factor(self.kernel, both, alike))

    def predict(
        self, moment: np.ndarray, units: np.ndarray, alike: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations, noise among them, of points that have time and score in common.

        Args:
            moment: Time and score, `(2,)`.
            units: All other columns, `(points, columns)`.
            alike: The share of categories in which these points agree with each one observed, `(observed,)`.
        """
        means, deviations = np.empty(len(units)), np.empty(len(units))
        for start in range(0, len(units), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            covariance = self.kernel.at_one_moment(moment, units[part], self.points, alike)
            means[part] = covariance[:, : len(self.weights)] @ self.weights
            # The factor's inverse times each covariance: faster than to solve for thousands of points by substitution.
            solved = scipy.linalg.blas.dtrmm(1.0, self._inverse_factor, covariance.T, lower=1, overwrite_b=1)
            variances = self.kernel.variance - np.einsum("ij,ij->j", solved, solved)
            deviations[part] = np.sqrt(np.maximum(variances, 0.0))
        return means, deviations

    @cached_property
    def _inverse_factor(self) -> np.ndarray:
        return np.asarray(scipy.linalg.lapack.dtrtri(self.factor, lower=1)[0])


def fitted(points: np.ndarray, observed: np.ndarray, alike: np.ndarray | None = None) -> Process:
    """Return the process under which observations are likeliest, by a search from the usual start (L-BFGS-B).

    Args:
        points: `(observed, columns)`: time, score, values.
        observed: `(observed,)`, about 0 and 1 in mean and deviation.
        alike: For each two points the share of categories in which they agree, `(observed, observed)`; None: there are
            no categories.
    """
    starts = [_AMPLITUDE, _TIME_SCALE, *[_SCALE] * (points.shape[1] - 1), _NOISE]
    if alike is not None:
        starts.append(_MIX)
    likelihood = Likelihood(points, observed, alike)
    found = scipy.optimize.minimize(
        likelihood.negative,
        np.log([start for start, _ in starts]),
        method="L-BFGS-B",
        jac=True,
        bounds=np.log([bounds for _, bounds in starts]),
    )
    kernel = kernel_of(found.x, alike is not None)
    factor = _factor(kernel, points, alike)
    return Process(kernel, points, factor, scipy.linalg.cho_solve((factor, True), observed, check_finite=False))


def kernel_of(logarithms: np.ndarray, mixed: bool) -> Kernel:
    """Return a kernel by the logarithms of its parameters: amplitude, time scale, scales, noise, and mix if mixed."""
    parameters = np.exp(logarithms)
    mix = float(parameters[-1]) if mixed else None
    amplitude, time_scale, *scales, noise = parameters[:-1] if mixed else parameters
    return Kernel(float(amplitude), float(time_scale), np.array(scales), float(noise), mix)


class Likelihood:
    """How likely observations are under a kernel.

    Args:
        points: `(observed, columns)`.
        observed: `(observed,)`.
        alike: As for `fitted`.
    """

    def __init__(self, points: np.ndarray, observed: np.ndarray, alike: np.ndarray | None = None) -> None:
        self._alike = alike
        self._observed = observed
        self._apart_in_time = np.abs(points[:, None, 0] - points[None, :, 0])
        # [columns - 1, observed, observed]
        self._apart = (points.T[1:, :, None] - points.T[1:, None, :]) ** 2

    def negative(self, logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        """Return minus the logarithm of the likelihood, and its gradient by the logarithms of the parameters.

        Rasmussen & Williams 2006, equations 2.30 and 5.9.
        """
        kernel = kernel_of(logarithms, self._alike is not None)
        count = len(self._observed)
        inverse_squares = kernel.scales**-2.0
        distances = np.sqrt(np.tensordot(inverse_squares, self._apart, axes=1))
        time = kernel.amplitude * np.exp(self._apart_in_time / -kernel.time_scale)
        rest, slope = _matern(distances)
        by_mix = None
        if self._alike is not None and kernel.mix is not None:
            by_mix = kernel.mix * time * (self._alike * rest - self._alike - rest)
            slope = slope * (1 - kernel.mix + kernel.mix * self._alike)
            rest = (1 - kernel.mix) * (self._alike + rest) + kernel.mix * self._alike * rest
        noiseless = time * rest
        covariance = noiseless + (kernel.noise + _JITTER) * np.eye(count)
        try:
            factor = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(logarithms)
        weights = scipy.linalg.cho_solve((factor, True), self._observed, check_finite=False)
        value = 0.5 * float(self._observed @ weights) + float(np.log(np.diag(factor)).sum())
        value += count / 2 * math.log(2 * math.pi)

        below = scipy.linalg.lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(below) + np.tril(below, -1).T
        inner = np.outer(weights, weights) - inverse
        by_amplitude = inner * noiseless
        by_distance = inner * time * slope
        gradient = [
            by_amplitude.sum(),
            np.vdot(by_amplitude, self._apart_in_time) / kernel.time_scale,
            *(np.tensordot(self._apart, by_distance, axes=2) * inverse_squares),
            kernel.noise * np.trace(inner),
            *([] if by_mix is None else [np.vdot(inner, by_mix)]),
        ]
        return value, -0.5 * np.array(gradient)


def _factor(kernel: Kernel, points: np.ndarray, alike: np.ndarray | None) -> np.ndarray:
    return np.asarray(scipy.linalg.cholesky(kernel.among(points, alike), lower=True, check_finite=False))


def _distances(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2)))


def _matern(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Matérn correlation of order 5/2, and the factor of squared differences in its derivatives."""
    scaled = math.sqrt(5) * distances
    decay = np.exp(-scaled)
    return (1.0 + scaled + scaled**2 / 3.0) * decay, 5.0 / 3.0 * (1.0 + scaled) * decay
