"""Confidence bounds of W1 of two laws: from below by a critic read on fresh points, from above by exact values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from scipy.special import stdtrit

from otbench.errors import InputError
from otbench.types import Array, Column

#: The level at which tables give one-sided confidence bounds.
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a critic f says on points that were drawn after it was fixed, in the unit of f.

    ``raw`` = sum_i a_i f(x_i) - sum_j b_j f(y_j) is an unbiased estimate of E_P f - E_Q f where the weights are uniform
    and the points are independent. For every constant K >= Lip(f) that is known everywhere, raw/K estimates a lower
    bound of W1(P, Q) without bias. ``stderr`` is its standard error and ``dof`` its degrees of freedom (Welch); its
    square is ``stderr_x``^2 + ``stderr_y``^2, of the means over x and over y. ``raw_error`` allows for the rounding of
    raw.

    Source: Welch 1947 (degrees of freedom); Villani 2009, Remark 6.5 (Kantorovich-Rubinstein duality).
    """

    raw: Annotated[float, Column("fresh_raw")]
    raw_error: Annotated[float, Column("fresh_raw_error")]
    stderr: Annotated[float, Column("fresh_stderr")]
    dof: Annotated[float, Column("fresh_dof")]
    stderr_x: float
    stderr_y: float

    def lower_bound(self, constant: float, level: float = LEVEL) -> float:
        """A lower confidence bound of W1(P, Q), in the data's unit, for a Lipschitz constant K of f on all of R^d.

        It is (raw - raw_error - t stderr)/K, with Student's t at ``level``: asymptotic in the number of points, by the
        central limit theorem. It may be negative; 0 is a bound too. A critic with K = 0 is constant and proves 0.
        """
        return float(lower_confidence(self.raw - self.raw_error, self.stderr, self.dof, constant, level))


def held_out(fx: Array, fy: Array, a: Array, b: Array, rounding: float) -> HeldOut:
    """What the values fx (n,) and fy (m,) of a critic on fresh points with weights a and b say of the laws.

    Weights that are not uniform are taken as part of an estimator that normalises itself: its variance is
    sum_i a_i^2 (f_i - mean)^2, corrected for the effective number of points, 1/sum_i a_i^2. ``rounding`` is the
    relative error of a value.

    Raises:
        InputError: an effective number of points below 2 on a side, as of one point: no spread can be told.
    """
    fewest = 1.0 / max(a @ a, b @ b)
    if fewest < 2 - 1e-9:
        raise InputError(
            f"a bound of two laws needs points that weigh as 2 equal ones at least, on each side; got {fewest:.3g}"
        )
    origin = fx[0]  # values from a common origin: the rounding of an almost constant critic is no signal
    mean_x, var_x, size_x = _weighted_mean(fx - origin, a)
    mean_y, var_y, size_y = _weighted_mean(fy - origin, b)
    error = rounding * max(np.abs(fx).max(), np.abs(fy).max())
    return from_means(float(mean_x - mean_y), float(error), (var_x, size_x), (var_y, size_y))


def from_means(raw: float, raw_error: float, of_x: tuple[float, float], of_y: tuple[float, float]) -> HeldOut:
    """What a difference of means over x and y says, each side being the variance of its mean and the number of values,
    above 1."""
    (var_x, size_x), (var_y, size_y) = of_x, of_y
    spread = var_x**2 / (size_x - 1) + var_y**2 / (size_y - 1)
    dof = (var_x + var_y) ** 2 / spread if spread > 0 else size_x + size_y - 2
    total, error_x, error_y = (float(np.sqrt(variance)) for variance in (var_x + var_y, var_x, var_y))
    return HeldOut(raw=raw, raw_error=raw_error, stderr=total, dof=float(dof), stderr_x=error_x, stderr_y=error_y)


def _weighted_mean(values: Array, weights: Array) -> tuple[float, float, float]:
    """The weighted mean of values, the variance of that mean, and the effective number of values."""
    mean = float(weights @ values)
    size = 1.0 / float(weights @ weights)
    variance = float((weights**2) @ (values - mean) ** 2)
    return mean, variance * size / (size - 1), size


def lower_confidence(raw: Any, stderr: Any, dof: Any, constant: Any, level: float = LEVEL) -> Any:
    """(raw - t stderr)/constant with Student's one-sided t; numbers or arrays; 0 where the constant is 0."""
    margin = raw - stdtrit(dof, level) * stderr
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(constant) == 0, 0.0, margin / constant)


def upper_confidence(values: Sequence[float] | Array, level: float = LEVEL) -> float:
    """An upper confidence bound of W1(P, Q) from exact W1s of k >= 2 independent pairs of samples of P and Q.

    W1 is jointly convex, so that the mean of W1(P_n, Q_m) is at least W1(P, Q) for all sizes n and m. The bound is the
    mean of the values plus Student's t with k - 1 degrees of freedom at ``level`` times their standard error; it
    assumes that a value is distributed about normally. It lies above W1(P, Q) by O(n^(-1/d)) besides.

    Raises:
        InputError: fewer than two values.

    Source: Villani 2009, Thm 4.8 (convexity); Fournier, Guillin 2015, Thm 1 (the bias).
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or len(found) < 2:
        raise InputError(f"an upper confidence bound needs at least 2 independent values of W1; got {found.size}")
    stderr = found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean() + stdtrit(len(found) - 1, level) * stderr)


def upper_confidence_of(mean: float, variance_of_mean: float, count: float, level: float = LEVEL) -> float:
    """``upper_confidence`` of ``count`` values that came one after the other; infinite of fewer than two."""
    if count < 2:
        return math.inf
    return mean + float(stdtrit(count - 1, level)) * math.sqrt(variance_of_mean)
