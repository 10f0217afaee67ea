"""Lines over all pairs of two samples, looked through in blocks: the lowest of each row, and the steepest pair.

Row i has a line M_ij - p_j for every column j. Blocks are computed in float32. A pair matters for a question of the
form M_ij <= p_i + q_j, which is judged with a bound of the rounding taken off, so that it can only err by keeping a
pair: |x - y|^2 as a product of matrices against w |w| with w = p_i + q_j, which is negative where w is. What is kept
is judged in float64, differences formed first.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from otbench.transport.pricing import BLOCK_ROWS, UNDERFLOW, PointCosts
from otbench.transport.products import BLOCK_COLS
from otbench.types import Array, Indices

#: The share of a block's pairs from which all of them are measured at once, which is then quicker than one by one.
CROWDED = 1 / 8

#: Pairs drawn to find a slope that few pairs exceed: of N pairs about N / 2^18 do.
PAIRS_DRAWN = 2**18

#: What the rounding of |x - y|^2 in float32 costs either side, relative to d + 8 times its own |x|^2: see ``pricing``.
PRODUCT_ROUNDING = 2.0**-23

#: What the rounding of w |w| costs either side, relative to its own part of w: of the part, the sum and the square.
SUM_PAID = 2.0**-22

Block32 = NDArray[np.float32]


class Lines:
    """The lines of the points x (n, d) of ``costs`` over the points y (m, d)."""

    def __init__(self, costs: PointCosts) -> None:
        self.costs = costs
        (x, xx), (y, yy) = costs.centred
        paid = (costs.dim + 8) * PRODUCT_ROUNDING
        self._x = np.column_stack([-2 * x, np.ones(len(x)), xx]).astype(np.float32)
        self._y = _turned(y, yy)
        self._least_x = np.column_stack([-2 * x, np.ones(len(x)), xx * (1 - paid) - UNDERFLOW]).astype(np.float32)
        self._least_y = _turned(y, yy * (1 - paid) - UNDERFLOW)

    def lowest(self, p: Array) -> Indices:
        """About the column of least M_ij - p_j of every row, (k, n), for each of k rows of p (k, m), in float32."""
        n, m = self.costs.shape
        found = np.zeros((len(p), n), np.intp)
        slopes = p.astype(np.float32)

        def one(start: int) -> None:
            rows = slice(start, start + BLOCK_ROWS)
            left = self._x[rows]
            least, each = np.full((len(p), len(left)), np.inf, np.float32), np.arange(len(left))
            room = np.empty((len(left), BLOCK_COLS), np.float32)
            for c in range(0, m, BLOCK_COLS):
                block = left @ self._y[:, c : c + BLOCK_COLS]
                np.abs(block, out=block)  # where rounding has made it negative
                np.sqrt(block, out=block)
                values = room[:, : block.shape[1]]
                for k in range(len(p)):
                    np.subtract(block, slopes[k, c : c + BLOCK_COLS], out=values)
                    where = values.argmin(axis=1)
                    lowest = values[each, where]
                    lower = lowest < least[k]
                    least[k, lower] = lowest[lower]
                    found[k, start + np.flatnonzero(lower)] = where[lower] + c

        self.costs.over_rows(one)
        return found

    def lower(self, p: Array, bound: Array) -> tuple[Array, Indices]:
        """min(bound_i, min_j M_ij - p_j) (n,) in float64, and the column of each minimum, -1 where it is ``bound``."""
        least, where = bound.copy(), np.full(len(bound), -1)
        # a line this far below the highest is above that one in every row
        reach, more = _balanced(bound, np.maximum(p, p.max() - 2 * self.costs.largest))

        def one(start: int) -> None:
            for rows, cols, lengths in self._within(start, reach, more):
                values = lengths - p[cols]
                firsts = np.flatnonzero(np.diff(rows, prepend=-1))
                lowest = np.minimum.reduceat(values, firsts)
                of_rows = rows[firsts]
                better = lowest < least[of_rows]
                if better.any():
                    at = np.flatnonzero(values == np.repeat(lowest, np.diff(firsts, append=len(rows))))
                    _, first_at = np.unique(rows[at], return_index=True)
                    least[of_rows[better]] = lowest[better]
                    where[of_rows[better]] = cols[at[first_at[better]]]

        self.costs.over_rows(one)
        return least, where

    def steepest(self, fx: Array, fy: Array, pairs: tuple[Indices, Indices]) -> float:
        """max over i, j of (fx_i - fy_j) / M_ij, at least 0, without the pairs 0 / 0.

        ``pairs`` are some that are likely to be steep: the steeper the best of them, the fewer of the others are
        measured.
        """
        high, low = int(fx.argmax()), int(fy.argmin())
        if fx[high] <= fy[low]:
            return 0.0
        n, m = self.costs.shape
        rng = np.random.default_rng(0)
        drawn = [rng.integers(size, size=min(PAIRS_DRAWN, n * m)) for size in (n, m)]
        tried = [np.concatenate([pairs[k], drawn[k], [(high, low)[k]]]) for k in (0, 1)]
        floor = _steepest(fx[tried[0]] - fy[tried[1]], self.costs.at(tried[0], tried[1]))
        if floor == np.inf:
            return floor
        # points beyond these are in no pair of positive slope
        over, under = np.maximum(fx, fy[low]) - fy[low], fy[low] - np.minimum(fy, fx[high])
        reach, more = _balanced(over / floor, under / floor)

        def one(start: int) -> float:
            found = self._within(start, reach, more)
            return max((_steepest(fx[rows] - fy[cols], lengths) for rows, cols, lengths in found), default=0.0)

        return max(floor, *(found for found in self.costs.over_rows(one) if found is not None))

    def _within(self, start: int, p: Array, q: Array) -> Iterator[tuple[Indices, Indices, Array]]:
        """Rows, columns and distances of the pairs of a block of rows that may have M_ij <= p_i + q_j, and of others;
        rows rise within each part."""
        left, reach = self._least_x[start : start + BLOCK_ROWS], _paid(p[start : start + BLOCK_ROWS])[:, None]
        more = _paid(q)
        room = np.empty((2, len(left), BLOCK_COLS), np.float32)
        for c in range(0, len(q), BLOCK_COLS):
            block = left @ self._least_y[:, c : c + BLOCK_COLS]
            sums, sizes = room[..., : block.shape[1]]
            np.add(reach, more[c : c + BLOCK_COLS], out=sums)
            sums *= np.abs(sums, out=sizes)
            near = sums >= block
            count = np.count_nonzero(near)
            if count > CROWDED * near.size:
                lengths = self._rectangle(start, start + len(left), c, c + near.shape[1])
                rows, cols = np.arange(len(left)) + start, np.arange(near.shape[1]) + c
                yield np.repeat(rows, len(cols)), np.tile(cols, len(rows)), lengths.ravel()
            elif count:
                row, col = np.divmod(np.flatnonzero(near), near.shape[1])
                row += start
                col += c
                yield row, col, self.costs.at(row, col)

    def _rectangle(self, row: int, last_row: int, col: int, last_col: int) -> Array:
        lengths: Array = cdist(self.costs.x[row:last_row], self.costs.y[col:last_col])
        rows, cols = np.nonzero(lengths < 2.0**-400)  # squares may have left float64
        lengths[rows, cols] = self.costs.at(rows + row, cols + col)
        return lengths


def _balanced(p: Array, q: Array) -> tuple[Array, Array]:
    """p + o and q - o with o such that most are small, and small next to them their rounding, which is added."""
    origin = np.median(q)
    rounding = 2.0**-50 * (np.abs(p).max() + np.abs(q).max())
    return p + origin + rounding, q - origin + rounding


def _turned(points: Array, squares: Array) -> Block32:
    return np.column_stack([points, squares, np.ones(len(points))]).astype(np.float32).T.copy()


def _paid(p: Array) -> Block32:
    """p in float32, with its share of the rounding of w |w| added."""
    return (p + SUM_PAID * np.abs(p)).astype(np.float32)


def _steepest(rises: Array, lengths: Array) -> float:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float(np.fmax.reduce(rises / lengths, initial=0.0))
