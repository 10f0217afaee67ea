"""What a training loop prints instead of its raw loss: the bound that a critic's values prove, batch by batch."""

import math
import sys
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError
from otbench.inputs import as_reals
from otbench.types import Array

#: Differences of points held at once while distances are formed, and products of points in a block of the screen.
DIFFERENCES_AT_ONCE = 2**20
PRODUCTS_AT_ONCE = 2**20

#: Sizes whose squares, and the squares of whose ratios, stay in float64's range; other data are rescaled.
ORDINARY = 2.0**300

#: Below this a quotient may have lost digits to underflow, and proves nothing.
TINY = 1e-290

EPS = float(np.finfo(np.float64).eps)

SIX_DIGITS_DOWN = Context(prec=6, rounding=ROUND_FLOOR)


@dataclass(frozen=True)
class BatchBound:
    """What a critic's values prove about W1 of two batches of points x and y, in the unit of the points.

    ``bound`` = |raw| / slope is never above W1 of the two batches, and 0 where nothing is proved. ``raw`` = mean f(x) -
    mean f(y). ``sign`` is 1, or -1 where raw < 0: f is then low on x, and read as -f. ``slope`` = the largest
    sign (f(x_i) - f(y_j)) / |x_i - y_j|: the scale that the raw loss does not tell.

    It prints as one line that begins with the bound; ``float`` gives the bound.
    """

    bound: float
    raw: float
    slope: float
    sign: int

    def __float__(self) -> float:
        return self.bound

    def __str__(self) -> str:
        turned = ", read as -f because the critic is low on x" if self.sign < 0 else ""
        made_of = f"raw {self.raw:.3g}, slope {self.slope:.3g}{turned}"
        shown = float(SIX_DIGITS_DOWN.create_decimal(self.bound))  # rounded up it would be no bound
        return f"{shown:.6g}, a lower bound of W1 of the two batches: {made_of}"


def monitor(critic_x: Any, critic_y: Any, x: Any, y: Any) -> BatchBound:
    """The lower bound of W1 of two batches that a critic's values on them prove, whatever its clip value and its sign.

    It is a bound of W1 between the *two batches* x and y, each of its points with equal weight: not of the laws
    they were drawn from, whose W1 is often far smaller. No Lipschitz constant is taken on trust, only the values handed
    in. A point in both batches has one value: where two were handed in, as float32 may round them, their midpoint.

    Args:
        critic_x: the critic's values at x, (n,) or (n, 1): a tensor of any float type on any device, with or without
            a graph, which is not kept; a numpy array or a list.
        critic_y: its values at y, (m,) or (m, 1).
        x: a batch of points (n, d), or of images (n, c, h, w), which are flattened.
        y: another, (m, d) or (m, c, h, w).

    Returns:
        ``bound`` with the ``raw``, ``slope`` and ``sign`` it is made of; rounding is paid for.

    Raises:
        InputError: shapes that do not fit; NaN or infinite values; what are no real numbers.

    Source: weak duality, Villani 2009, Thm 5.10: f / slope and -f / slope are feasible potentials of the two batches.
    """
    x, y, length_unit = _in_range(*_batches(x, y))
    fx, fy, value_unit = _in_range(_values("critic_x", critic_x, len(x)), _values("critic_y", critic_y, len(y)))
    fx, fy = _one_value_a_point(x, y, fx, fy)
    raw = _difference_of_means(fx, fy)
    sign = -1 if raw < 0 else 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        slope = largest_slope(sign * fx, sign * fy, x, y)
    proved = abs(raw) / slope if abs(raw) > TINY and slope > TINY else 0.0
    proved *= 1 - (x.shape[1] + 16) * EPS  # the rounding of a distance and of two quotients
    return BatchBound(
        bound=min(_times_power(proved, length_unit), sys.float_info.max),
        raw=_times_power(raw, value_unit),
        slope=_times_power(slope, value_unit - length_unit),
        sign=sign,
    )


def largest_slope(fx: Array, fy: Array, x: Array, y: Array) -> float:
    """max over i, j of (f(x_i) - f(y_j)) / |x_i - y_j|, at least 0; infinite where f falls between coincident points.

    A quadratic expansion with its rounding paid for tells which pairs cannot be the steepest. The distances of the
    others are formed from differences, so the result does not depend on blocks or on the order of points.
    """
    near_x, near_y = x - (origin := _middle(x)), y - origin
    squares_x, squares_y = np.vecdot(near_x, near_x), np.vecdot(near_y, near_y)
    doubt = 4 * (x.shape[1] + 8) * EPS
    rows = max(1, PRODUCTS_AT_ONCE // len(y))
    steepest = 0.0
    for k in range(0, len(x), rows):
        block = slice(k, k + rows)
        rises = fx[block, None] - fy
        sums = squares_x[block, None] + squares_y
        # squares below float64's normal range have lost digits, which no multiple of them pays for
        squares, doubts = sums - 2 * (near_x[block] @ near_y.T), doubt * sums + TINY
        likely = rises / np.sqrt(np.maximum(squares, 0) + doubts)
        one = np.unravel_index([int(likely.argmax())], likely.shape)
        steepest = _steepest_of(one, rises, x[block], y, steepest)
        shortest = np.sqrt(np.maximum(squares - doubts, 0))
        steepest = _steepest_of(np.nonzero(rises > steepest * shortest), rises, x[block], y, steepest)
        if steepest == np.inf:
            break
    return steepest


def _middle(x: Array) -> Array:
    """In every coordinate the middle one of three points, so that a far point does not move it."""
    one, two, three = x[0], x[len(x) // 3], x[2 * len(x) // 3]
    middle: Array = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return middle


def _steepest_of(pairs: tuple[NDArray[np.intp], ...], rises: Array, x: Array, y: Array, steepest: float) -> float:
    """The largest slope of some pairs of points, if it is above ``steepest``."""
    rows, cols = pairs
    size = max(1, DIFFERENCES_AT_ONCE // x.shape[1])
    for k in range(0, len(rows), size):
        i, j = rows[k : k + size], cols[k : k + size]
        steepest = max(steepest, float((rises[i, j] / _distances(x[i], y[j])).max()))
    return steepest


def _distances(x: Array, y: Array) -> Array:
    """|x_i - y_i| from differences, each divided by its largest entry so that no square leaves float64's range."""
    differences = x - y
    largest = np.abs(differences).max(axis=1)
    differences /= np.where(largest > 0, largest, 1.0)[:, None]
    distances: Array = largest * np.sqrt((differences**2).sum(axis=1))
    return distances


def _one_value_a_point(x: Array, y: Array, fx: Array, fy: Array) -> tuple[Array, Array]:
    """The values with those at a point of both batches replaced by the midpoint of the smallest and the largest there.

    Any values whose largest slope is taken afterwards give a bound; these are such as a function has.
    """
    middle, some = x.shape[1] // 2, slice(None, None, x.shape[1] // 32 + 1)
    if set(x[:, middle].tolist()).isdisjoint(y[:, middle].tolist()):  # one coordinate tells a density's draws apart
        return fx, fy
    if not _shared(x[:, some], y[:, some])[1].any():
        return fx, fy
    where, shared = _shared(x, y)
    values = np.concatenate([fx, fy])
    low, high = np.full(len(shared), np.inf), np.full(len(shared), -np.inf)
    np.minimum.at(low, where, values)
    np.maximum.at(high, where, values)
    values = np.where(shared[where], low[where] / 2 + high[where] / 2, values)
    return values[: len(x)], values[len(x) :]


def _shared(x: Array, y: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The number (n + m,) of every point's place among the distinct ones, and which of those both batches hold."""
    keys = np.concatenate([_keys(x), _keys(y)])
    _, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
    in_x = np.bincount(where[: len(x)], minlength=len(counts))
    return where, (in_x > 0) & (in_x < counts)


def _keys(points: Array) -> NDArray[np.int64]:
    """A 64-bit number (n,) for each of the points (n, d), equal where they are: integer arithmetic rounds nothing."""
    bits = (points + 0.0).view(np.int64)  # -0.0 is 0.0
    bits ^= bits >> 29
    keys: NDArray[np.int64] = bits @ _multipliers(points.shape[1])
    return keys


@lru_cache(maxsize=8)
def _multipliers(dim: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(-(2**63), 2**63 - 1, size=dim) | 1


def _difference_of_means(fx: Array, fy: Array) -> float:
    """mean f(x) - mean f(y), rounded once: 0 where it is 0, in whatever order the values come."""
    common = math.gcd(len(fx), len(fy))
    terms = []
    for values, factor in ((fx, len(fy) // common), (fy, -len(fx) // common)):
        high = values * (2.0**27 + 1)
        high -= high - values  # 26 bits, so that its product with a factor below 2^26 is exact; the rest has as few
        terms += [high * factor, (values - high) * factor]
    return math.fsum(np.concatenate(terms)) / (len(fx) * len(fy) // common)


def _in_range(first: Array, second: Array) -> tuple[Array, Array, int]:
    """Both arrays divided by one power of two, and its exponent: 0 for data of an ordinary size."""
    size = max(float(end) for array in (first, second) for end in (array.max(), -array.min()))
    if size == 0 or 1 / ORDINARY < size < ORDINARY:
        return first, second, 0
    exponent = math.frexp(size)[1]
    return np.ldexp(first, -exponent), np.ldexp(second, -exponent), exponent


def _times_power(value: float, exponent: int) -> float:
    """value 2^exponent, infinite where float64 ends."""
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, exponent))


def _batches(x: Any, y: Any) -> tuple[Array, Array]:
    """Both batches as finite rows (n, d) and (m, d); images are flattened."""
    points, shapes = [], []
    for name, value in (("x", x), ("y", y)):
        batch = as_reals(name, value)
        if batch.ndim < 2 or batch.size == 0:
            raise InputError(
                f"{name} must be a batch of points (n, d) or of images (n, c, h, w), not empty; got shape {batch.shape}"
            )
        _check_finite(name, batch, "it holds")
        shapes.append(batch.shape[1:])
        points.append(batch.reshape(len(batch), -1))
    if shapes[0] != shapes[1]:
        raise InputError(f"points of x and y must have one shape; got {shapes[0]} and {shapes[1]}")
    return points[0], points[1]


def _values(name: str, value: Any, count: int) -> Array:
    """A critic's values (count,) at a batch, handed in with any number of trailing axes of length 1."""
    values = as_reals(name, value)
    if values.shape[:1] != (count,) or values.size != count:
        raise InputError(
            f"{name} must hold one value a point of its batch, shape ({count},) or ({count}, 1); got {values.shape}"
        )
    _check_finite(name, values, "the critic has diverged: it is")
    return values.reshape(count)


def _check_finite(name: str, array: Array, said: str) -> None:
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        raise InputError(f"{name} must be finite; {said} NaN or infinite in row {row}")
