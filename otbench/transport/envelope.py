"""The best scale of a critic: the maximum of a concave, piecewise linear function, found by cutting planes."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from otbench.types import Array, Indices

#: Rows of the cost matrix handled at once, so that a block of 1024 columns stays in the second-level cache.
ROWS_AT_ONCE = 64

Evaluation = tuple[float, float, float]  # value, left and right derivative


def maximise_concave(evaluate: Callable[[float], Evaluation], guess: float) -> tuple[float, float]:
    """(s*, value) of the maximum over s >= 0 of a concave, piecewise linear function; ``guess`` > 0 is tried first.

    The next s is where the tangents at the two ends of a bracket meet. At a kink that is the maximum the left
    derivative is >= 0 and the right one <= 0, and the search stops exactly there.

    Source: Kelley 1960.
    """
    value, _, right = evaluate(0.0)
    best = (0.0, value)
    if right <= 0:
        return best
    low, high = (0.0, value, right), None
    s = guess
    for _ in range(200):
        value, left, right = evaluate(s)
        best = max(best, (s, value), key=lambda found: found[1])
        if left >= 0 >= right:
            break
        if right > 0:
            low = (s, value, right)
        else:
            high = (s, value, left)
        if high is None:
            s *= 8
            continue
        # tangents v_l + g_l (s - l) and v_h + g_h (s - h) meet between l and h, as g_l > 0 > g_h
        s = (high[1] - low[1] + low[2] * low[0] - high[2] * high[0]) / (low[2] - high[2])
        roof = low[1] + low[2] * (s - low[0])
        if not low[0] < s < high[0] or roof - best[1] <= 1e-13 * abs(best[1]):
            break
    return best


def maximise_each(
    evaluate: Callable[[Array, Indices], tuple[Array, Array, Array]], guesses: Array
) -> tuple[Array, Array]:
    """(s* (K,), values (K,)) of the maxima over s >= 0 of K such functions, as ``maximise_concave`` finds each of them.

    ``evaluate`` gives the values and the left and right derivatives at scales (k,) of the functions of given numbers
    (k,); a function is asked for until its own search stops.
    """
    count = len(guesses)
    best_s, s = np.zeros(count), guesses.astype(np.float64)
    best, _, right = evaluate(best_s, np.arange(count))
    low, high = np.stack([best_s, best, right]), np.full((3, count), np.nan)
    going = np.flatnonzero(right > 0)
    for _ in range(200):
        if not len(going):
            break
        value, left, right = evaluate(s[going], going)
        better = going[value > best[going]]
        best_s[better], best[better] = s[better], value[value > best[going]]
        moving = ~((left >= 0) & (right <= 0))
        going, value, left, right = going[moving], value[moving], left[moving], right[moving]
        up = right > 0
        low[:, going[up]] = s[going[up]], value[up], right[up]
        high[:, going[~up]] = s[going[~up]], value[~up], left[~up]
        bracketed = ~np.isnan(high[0, going])
        s[going[~bracketed]] *= 8
        inside = going[bracketed]
        (s_low, v_low, g_low), (s_high, v_high, g_high) = low[:, inside], high[:, inside]
        with np.errstate(over="ignore", invalid="ignore"):
            meeting = (v_high - v_low + g_low * s_low - g_high * s_high) / (g_low - g_high)
            roof = v_low + g_low * (meeting - s_low)
            done = roof - best[inside] <= 1e-13 * np.abs(best[inside])
        closed = ~((s_low < meeting) & (meeting < s_high)) | done
        s[inside] = meeting
        going = np.sort(np.concatenate([going[~bracketed], inside[~closed]]))
    return best_s, best


class ShrinkingEnvelope:
    """D(s) = s a.f + sum_j b_j min_i (M_ij - s f_i) for a search that closes in on the maximum, as cutting planes do.

    Column j's minimum is the lower envelope of n lines in s. A line that lies above another for every s >= 0 (M larger
    and f smaller) is dropped at the start, which leaves about ln n of n lines where f and M are unrelated. Every
    evaluation tells on which side of s the maximum is, and drops the lines that cannot be lowest there: it gives D only
    at s = 0 and at points of the brackets that it has left, so that the order of evaluations matters.
    """

    def __init__(self, f: Array, a: Array, b: Array, cost: Array) -> None:
        f = from_heaviest(f, a)
        self.mean, self.b = float(a @ f), b
        self.intercepts, self.slopes, self.counts = _undominated(f, cost)

    @classmethod
    def of_lines(cls, mean: float, b: Array, intercepts: Array, slopes: Array) -> Self:
        """The envelope of k lines in each column, intercepts (k, m) and slopes (k, m); ``mean`` is a.f."""
        envelope = cls.__new__(cls)
        order = np.lexsort((-slopes.T.ravel(), np.repeat(np.arange(len(b)), len(slopes))))
        envelope.mean, envelope.b = mean, b
        envelope.intercepts, envelope.slopes = intercepts.T.ravel()[order], slopes.T.ravel()[order]
        envelope.counts = np.full(len(b), len(slopes), np.intp)
        return envelope

    def value_and_shrink(self, s: float) -> Evaluation:
        """D(s) with its left and right derivative; lines that are lowest on the other side of s alone are dropped."""
        counts, starts = self.counts, np.cumsum(self.counts) - self.counts
        values = self.intercepts - s * self.slopes
        lowest = np.minimum.reduceat(values, starts)
        active = np.flatnonzero(values == np.repeat(lowest, counts))
        columns = np.searchsorted(starts, active, side="right")
        last = np.flatnonzero(np.diff(columns, append=-1))  # of each column's active lines
        first = np.concatenate([[0], last[:-1] + 1])
        steepest, flattest = self.slopes[active[first]], self.slopes[active[last]]  # slopes fall within a column
        left, right = float(self.mean - self.b @ flattest), float(self.mean - self.b @ steepest)
        if s > 0 and right > 0:
            self._keep(self.slopes >= np.repeat(steepest, counts), starts)
        elif left < 0:
            self._keep(self.slopes <= np.repeat(flattest, counts), starts)
        return float(s * self.mean + self.b @ lowest), left, right

    def _keep(self, lines: NDArray[np.bool_], starts: NDArray[np.intp]) -> None:
        self.intercepts, self.slopes = self.intercepts[lines], self.slopes[lines]
        self.counts = np.add.reduceat(lines, starts, dtype=np.intp)


def from_heaviest(f: Array, a: Array) -> Array:
    """f less its value at the heaviest point, which changes D by nothing but rounding.

    s f stays small where f varies little around a large constant. And D is seen to fall, or to stay, as s grows without
    end, however light some points are: where the heaviest point has the largest f the mean is at most 0 = max f, and
    elsewhere it is below max f by more than its rounding.
    """
    difference: Array = f - f[np.argmax(a)]
    return difference


def _undominated(f: Array, cost: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """The intercepts M_ij and slopes f_i of the lines that matter, column after column with falling slopes, and the
    number of lines in each column."""
    order = np.argsort(-f, kind="stable")
    running = np.full((ROWS_AT_ONCE + 1, cost.shape[1]), np.inf)
    found = []
    for k in range(0, len(order), ROWS_AT_ONCE):
        rows = order[k : k + ROWS_AT_ONCE]
        # row by row: an accumulated minimum walks down the columns, which takes ten times as long
        for before, row, after in zip(running, rows, running[1:], strict=False):
            np.minimum(before, cost[row], out=after)
        lowest = running[1 : len(rows) + 1]
        row, col = np.nonzero(lowest < running[: len(rows)])
        found.append((lowest[row, col], f[rows[row]], col))
        running[0] = lowest[-1]
    intercepts, slopes, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    narrow = np.min_scalar_type(cost.shape[1])  # numpy sorts 16-bit integers in linear time
    by_column = np.argsort(columns.astype(narrow), kind="stable")
    return intercepts[by_column], slopes[by_column], np.bincount(columns, minlength=cost.shape[1])
