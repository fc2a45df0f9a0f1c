"""The Gaussian process of PB2: how much a score rises, by time, score and values.

scikit-learn's regressor would do the same, and is what the tests hold this one to. But it evaluates kernel and
gradient by general rules, and a search of many short intervals spends minutes in it: here the derivatives of the one
kernel there is are written down, and what is the same for all points of a prediction is computed once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.spatial.distance

_ROOT = math.sqrt(5)
"""What the Matérn correlation of order 5/2 multiplies distances by."""
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

    def between(self, points: np.ndarray, others: np.ndarray, alike: np.ndarray | None) -> np.ndarray:
        """Return the covariances of points with other points, without noise.

        Args:
            points: `(points, columns)`.
            others: `(others, columns)`.
            alike: For each point and each other one the share of categories in which they agree, `(points, others)`.

        Returns:
            `(points, others)`.
        """
        time = self.amplitude * np.exp(-np.abs(points[:, None, 0] - others[None, :, 0]) / self.time_scale)
        scaled = scipy.spatial.distance.cdist(
            points[:, 1:] * (_ROOT / self.scales), others[:, 1:] * (_ROOT / self.scales)
        )
        rest = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
        if alike is not None and self.mix is not None:
            rest = (1 - self.mix) * (alike + rest) + self.mix * alike * rest
        return np.asarray(time * rest)

    def among(self, points: np.ndarray, alike: np.ndarray | None) -> np.ndarray:
        """Return the covariances of points with each other, noise included; see `between`."""
        return self.between(points, points, alike) + (self.noise + _JITTER) * np.eye(len(points))

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
        scales = self.scales / _ROOT
        placed = others[:, 1:] / scales
        result = scipy.spatial.distance.cdist(units / scales[1:], placed[:, 1:], "sqeuclidean")
        result += (moment[1] / scales[0] - placed[:, 0]) ** 2
        # In place: an array for each term would not stay in the processor's cache.
        scaled = np.sqrt(result)
        result *= 1.0 / 3.0
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
        points: Where it was observed, each place once, `(places, columns)`: time, score, values.
        numbers: Of each of these places, the number of the first observation there, `(places,)`.
        inverse_factor: Inverse of the lower Cholesky factor of the places' covariance, in Fortran's order.
        weights: That covariance's inverse times the mean of what was observed at each place; of the places that were
            added by `also_observed` there is none.
    """

    kernel: Kernel
    points: np.ndarray
    numbers: np.ndarray
    inverse_factor: np.ndarray
    weights: np.ndarray

    def also_observed(self, points: np.ndarray, alike: np.ndarray | None = None) -> Process:
        """Return the process as sure as if it had been observed at more points; what was seen there is not said.

        The factor of a covariance that grows keeps its rows, and gets one more for each new point.

        Args:
            points: These points, `(more, columns)`.
            alike: For each two of old and new points, in this order, the share of categories in which they agree.
        """
        old, total = len(self.points), len(self.points) + len(points)
        numbers, across, among = self.numbers, None, None
        if alike is not None:
            first = len(alike) - len(points)
            across, among = alike[first:, self.numbers], alike[first:, first:]
            numbers = np.concatenate([numbers, np.arange(first, len(alike))])
        below = self.inverse_factor @ self.kernel.between(points, self.points, across).T
        inverse = np.zeros((total, total), order="F")
        inverse[:old, :old] = self.inverse_factor
        inverse[old:, old:] = _inverse_factor(self.kernel.among(points, among) - below.T @ below)
        inverse[old:, :old] = -inverse[old:, old:] @ (below.T @ self.inverse_factor)
        points = np.concatenate([self.points, points])
        return replace(self, points=points, numbers=numbers, inverse_factor=inverse)

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
        alike = alike[self.numbers] if alike is not None else None
        for start in range(0, len(units), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            covariance = self.kernel.at_one_moment(moment, units[part], self.points, alike)
            means[part] = covariance[:, : len(self.weights)] @ self.weights
            # The factor's inverse times each covariance: faster than to solve for thousands of points by substitution.
            solved = scipy.linalg.blas.dtrmm(1.0, self.inverse_factor, covariance.T, lower=1, overwrite_b=1)
            variances = self.kernel.variance - np.einsum("ij,ij->j", solved, solved)
            deviations[part] = np.sqrt(np.maximum(variances, 0.0))
        return means, deviations


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
    places = likelihood.places
    points, numbers = points[places.numbers], places.numbers
    covariance = kernel.between(points, points, alike[np.ix_(numbers, numbers)] if alike is not None else None)
    covariance += np.diag((kernel.noise + _JITTER) / places.counts)
    inverse = _inverse_factor(covariance)
    return Process(kernel, points, numbers, inverse, inverse.T @ (inverse @ places.means))


def kernel_of(logarithms: np.ndarray, mixed: bool) -> Kernel:
    """Return a kernel by the logarithms of its parameters: amplitude, time scale, scales, noise, and mix if mixed."""
    parameters = np.exp(logarithms)
    mix = float(parameters[-1]) if mixed else None
    amplitude, time_scale, *scales, noise = parameters[:-1] if mixed else parameters
    return Kernel(float(amplitude), float(time_scale), np.array(scales), float(noise), mix)


@dataclass(frozen=True)
class Places:
    """Observations of which several may have been made at one place, as by members that went the same way.

    Many observations at one place say as much as their mean does, whose noise has a variance that is so many times
    smaller. A fit takes time by the cube of the number of places.

    Attributes:
        numbers: The first observation of each place, `(places,)`.
        counts: Observations at each place.
        means: Mean of what was observed there.
        spread: Sum of the squared differences of all observations from the means of their places.
    """

    numbers: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    spread: float

    @classmethod
    def of(cls, points: np.ndarray, observed: np.ndarray, alike: np.ndarray | None) -> Places:
        """Return the places of observations; of arguments see `fitted`."""
        # Those that agree with all others to the same extent agree with each other.
        rows = np.concatenate([points, alike], axis=1) if alike is not None else points
        _, numbers, place_of, counts = np.unique(
            rows, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        place_of = place_of.ravel()
        means = np.bincount(place_of, weights=observed) / counts
        return cls(numbers, counts, means, float(np.square(observed - means[place_of]).sum()))


class Likelihood:
    """How likely observations are under a kernel.

    Args:
        points: `(observed, columns)`.
        observed: `(observed,)`.
        alike: As for `fitted`.
    """

    def __init__(self, points: np.ndarray, observed: np.ndarray, alike: np.ndarray | None = None) -> None:
        self.places = Places.of(points, observed, alike)
        points = points[self.places.numbers]
        alike = alike[np.ix_(self.places.numbers, self.places.numbers)] if alike is not None else None
        # Of what is symmetric, the part below the diagonal is computed, as one row: `(pairs,)` of points.
        self._first, self._second = np.tril_indices(len(points), -1)
        self._below = self._first * len(points) + self._second
        self._alike = alike[self._first, self._second] if alike is not None else None
        self._apart_in_time = np.abs(points[self._first, 0] - points[self._second, 0])
        # (columns - 1, pairs)
        self._apart = np.ascontiguousarray(((points[self._first, 1:] - points[self._second, 1:]) ** 2).T)

    def negative(self, logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        """Return minus the logarithm of the likelihood, and its gradient by the logarithms of the parameters.

        Rasmussen & Williams 2006, equations 2.30 and 5.9.
        """
        kernel = kernel_of(logarithms, self._alike is not None)
        places, count = self.places, len(self.places.counts)
        repeated = int(places.counts.sum()) - count
        inverse_squares = kernel.scales**-2.0
        scaled = np.sqrt((5.0 * inverse_squares) @ self._apart)
        time = self._apart_in_time / -kernel.time_scale
        decay = kernel.amplitude * np.exp(time - scaled)
        slope = 5.0 / 3.0 * (1.0 + scaled) * decay
        noiseless = (1.0 + scaled + scaled**2 / 3.0) * decay
        by_mix = None
        if self._alike is not None and kernel.mix is not None:
            faded = kernel.amplitude * np.exp(time) * self._alike
            by_mix = kernel.mix * (self._alike * noiseless - faded - noiseless)
            weight = 1 - kernel.mix + kernel.mix * self._alike
            slope, noiseless = slope * weight, noiseless * weight + (1 - kernel.mix) * faded
        variance, noise = kernel.variance - kernel.noise, kernel.noise + _JITTER
        covariance = np.zeros((count, count))
        covariance.ravel()[self._below] = noiseless
        np.fill_diagonal(covariance, variance + noise / places.counts)
        # To LAPACK, which counts columns first, what is below the diagonal is above it.
        factor, failed = scipy.linalg.lapack.dpotrf(covariance.T, lower=0, clean=0, overwrite_a=1)
        if failed:
            return math.inf, np.zeros_like(logarithms)
        weights = scipy.linalg.lapack.dpotrs(factor, places.means, lower=0)[0]
        value = 0.5 * float(places.means @ weights) + float(np.log(factor.diagonal()).sum())
        value += 0.5 * (places.spread / noise + repeated * math.log(noise) + float(np.log(places.counts).sum()))
        value += (count + repeated) / 2 * math.log(2 * math.pi)

        inverse = scipy.linalg.lapack.dpotri(factor, lower=0, overwrite_c=1)[0].T
        diagonal = weights**2 - inverse.diagonal()
        # Twice, as each pair stands for itself and for what is above the diagonal.
        inner = 2.0 * (weights[self._first] * weights[self._second] - inverse.ravel()[self._below])
        by_amplitude = inner * noiseless
        gradient = [
            by_amplitude.sum() + variance * diagonal.sum(),
            by_amplitude @ self._apart_in_time / kernel.time_scale,
            *(self._apart @ (inner * slope) * inverse_squares),
            kernel.noise * (diagonal @ (1 / places.counts) + (places.spread / noise - repeated) / noise),
        ]
        if by_mix is not None and kernel.mix is not None:
            gradient.append(inner @ by_mix - kernel.mix * kernel.amplitude * diagonal.sum())
        return value, -0.5 * np.array(gradient)


def _inverse_factor(covariance: np.ndarray) -> np.ndarray:
    """Return the inverse of a covariance's lower Cholesky factor, in Fortran's order."""
    factor = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
    return np.asarray(scipy.linalg.lapack.dtrtri(factor, lower=1)[0])
