"""All pairs of two samples, looked through in blocks: which are near-tight for given potentials, and c-transforms.

A pair (i, j) is within t of tight where M_ij <= w with w = u_i + v_j + t. For w >= 0 this is M_ij^2 - w^2 <= 0, and

    |x - y|^2 - (p + q)^2 = (|x|^2 - p^2) + (|y|^2 - q^2) - 2 (<x, y> + p q)

is one product of matrices with d + 3 columns, where p + q = w. It is computed in float32 (``products``) with a bound of
its rounding taken off, so that it can only err by keeping a pair. What is kept is judged in float64, differences formed
first.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from otbench.transport.costs import ULP
from otbench.transport.products import Factor, Multiply, on_host
from otbench.types import Array, Indices

#: Rows of a block.
BLOCK_ROWS = 256

#: Pairs a row that are kept at most in a block of rows: where there are more, the tightest of each row and column.
MOST_A_ROW = 64

#: The smallest share of a step of float32 that a product below its normal numbers may be wrong by, for unit-size data.
UNDERFLOW = 2.0**-110

T = TypeVar("T")


class Arcs(NamedTuple):
    """Pairs of points: x[rows[k]] and y[cols[k]] at distance costs[k]."""

    rows: Indices
    cols: Indices
    costs: Array


NO_ARCS = Arcs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))


def joined(parts: Iterable[Arcs]) -> Arcs:
    """Several lists of pairs as one."""
    parts = list(parts)
    return Arcs(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else NO_ARCS


def threads() -> int:
    """How many threads look through blocks: OMP_NUM_THREADS where it is set, else the cores that this process has."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of this process that have threads of their own; to look for them takes longer than a block."""
    return ThreadpoolController()


class PointCosts:
    """The distances of points x (n, d) and y (m, d), none of which is stored; see ``Costs``.

    Coordinates must be at most about 1 in size, which a power of two achieves without changing a digit. ``multiply``
    says who computes the products of a look.
    """

    def __init__(self, x: Array, y: Array, multiply: Multiply = on_host) -> None:
        self.x, self.y, self.multiply = x, y, multiply
        self.shape = (len(x), len(y))
        self.dim = x.shape[1]
        centre = np.median(np.concatenate([x[:: max(1, len(x) // 4096)], y[:: max(1, len(y) // 4096)]]), axis=0)
        self._x, self._y = (x - centre), (y - centre)
        self._xx, self._yy = (np.einsum("nd,nd->n", z, z) for z in (self._x, self._y))

    def at(self, rows: Indices, cols: Indices) -> Array:
        step = max(1, 2**21 // self.dim)
        return np.concatenate([self._at(rows[k : k + step], cols[k : k + step]) for k in range(0, len(rows), step)] or [
            np.empty(0)
        ])

    def _at(self, rows: Indices, cols: Indices) -> Array:
        differences = self.x[rows]
        differences -= self.y[cols]
        lengths: Array = np.sqrt(np.einsum("nd,nd->n", differences, differences))
        tiny = np.flatnonzero(lengths < 2.0**-400)  # squares may have left float64
        if len(tiny):
            far = np.abs(differences[tiny])
            scale = far.max(axis=1)
            scale[scale == 0] = 1.0
            lengths[tiny] = scale * np.linalg.norm(far / scale[:, None], axis=1)
        return lengths

    @property
    def centred(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """The points of both samples from a common centre, (n, d) and (m, d), each with their squares (n,), (m,)."""
        return (self._x, self._xx), (self._y, self._yy)

    @cached_property
    def radii(self) -> tuple[Array, Array]:
        """Bounds from above of the distances of the points from a common centre, (n,) and (m,)."""
        return np.sqrt(self._xx) * (1 + 1e-9), np.sqrt(self._yy) * (1 + 1e-9)

    @property
    def largest(self) -> float:
        """A bound from above of max_ij M_ij."""
        return float(self.radii[0].max() + self.radii[1].max())

    def dearest(self, rows: NDArray[np.bool_], cols: NDArray[np.bool_]) -> float:
        from_x, from_y = self.radii
        if not rows.any() or not cols.any():
            return 0.0
        return float(from_x[rows].max() + from_y[cols].max())

    def excess(self, u: Array, v: Array) -> tuple[Array, float]:
        excess = np.zeros(self.shape[1])
        margin = 8 * ULP * (np.abs(u).max() + np.abs(v).max() + self.largest)

        def worst(rows: Indices, cols: Indices) -> tuple[Indices, Array]:
            over = np.zeros(self.shape[1])
            np.maximum.at(over, cols, u[rows] + v[cols] - self.at(rows, cols) * (1 - 2 * ULP))
            where = np.flatnonzero(over)
            return where, over[where]

        for cols, over in self._through(u + margin, v, worst):
            excess[cols] = np.maximum(excess[cols], over)
        return excess, self.largest

    def near(self, p: Array, q: Array) -> Arcs:
        """The pairs with M_ij <= p_i + q_j; where they are very many, the tightest of each row and column."""

        def kept(rows: Indices, cols: Indices) -> Arcs:
            costs = self.at(rows, cols)
            room = p[rows] + q[cols] - costs
            chosen = np.flatnonzero(room >= 0)
            if len(chosen) > MOST_A_ROW * BLOCK_ROWS:
                chosen = chosen[_tightest(rows[chosen], cols[chosen], room[chosen])]
            return Arcs(rows[chosen], cols[chosen], costs[chosen])

        return joined(self._through(p, q, kept))

    def _through(self, p: Array, q: Array, judge: Callable[[Indices, Indices], T]) -> list[T]:
        """What ``judge`` says of the pairs, a block of rows at a time, that may have M_ij <= p_i + q_j."""
        left, right = _factor(self._x, self._xx, p, self.dim), _factor(self._y, self._yy, q, self.dim)
        left[:, : self.dim + 1] *= -2
        left = left[:, [*range(self.dim + 1), self.dim + 2, self.dim + 1]]  # its squares meet the other side's ones
        with self.multiply(left, right.T) as product:

            def one(k: int) -> T | None:
                rows, cols = product.near(_block(k))
                return judge(rows, cols) if len(rows) else None

            return [found for found in self.over_rows(one) if found is not None]

    def over_rows(self, one: Callable[[int], T | None]) -> list[T | None]:
        """What ``one`` says of every block of ``BLOCK_ROWS`` rows, told by its first row; several threads ask, and BLAS
        keeps to the one that calls it."""

        def quietly(k: int) -> T | None:
            with np.errstate(over="ignore", invalid="ignore"):  # potentials beyond float32 are looked at in float64
                return one(k)

        starts = range(0, self.shape[0], BLOCK_ROWS)
        with _libraries().limit(limits=1, user_api="blas"):
            if threads() == 1 or len(starts) == 1:
                return [quietly(k) for k in starts]
            with ThreadPoolExecutor(threads()) as pool:
                return list(pool.map(quietly, starts))

    def c_transform(self, v: Array) -> Array:
        """About min_j M_ij - v_j (n,), in float32."""
        potentials = v.astype(np.float32)
        with self.multiply(self._left, self._right(slice(None))) as product:
            found = self.over_rows(lambda k: product.lowest(_block(k), potentials))
        return np.concatenate([part for part in found if part is not None]).astype(np.float64)

    def room(self, u: Array, v: Array, wanted: int, rng: np.random.Generator, most: int = 4096) -> Array:
        """How far from tight about ``wanted`` pairs of each row are at most, (n,), estimated from some columns."""
        m = self.shape[1]
        some = rng.choice(m, min(m, most, max(512, m // 8)), replace=False)
        rank = min(len(some) - 1, max(0, round(wanted * len(some) / m) - 1))
        potentials = v[some].astype(np.float32)
        with self.multiply(self._left, self._right(some)) as product:
            found = self.over_rows(lambda k: product.ranked(_block(k), potentials, rank))
        return np.concatenate([part for part in found if part is not None]) - u

    @property
    def _left(self) -> Factor:
        """The factor (n, d + 2) of |x - y|^2."""
        return np.column_stack([-2 * self._x, self._xx, np.ones(self.shape[0])]).astype(np.float32)

    def _right(self, some: Any) -> Factor:
        """The other factor, (d + 2, k), of some of the columns."""
        y, yy = self._y[some], self._yy[some]
        return np.column_stack([y, np.ones(len(y)), yy]).astype(np.float32).T

    @property
    def turned(self) -> "PointCosts":
        """The same distances with the samples in the other order."""
        other = object.__new__(PointCosts)
        other.x, other.y, other.dim, other.shape = self.y, self.x, self.dim, self.shape[::-1]
        other.multiply = self.multiply
        other._x, other._y, other._xx, other._yy = self._y, self._x, self._yy, self._xx
        return other


def _block(first: int) -> slice:
    return slice(first, first + BLOCK_ROWS)


def _factor(points: Array, squares: Array, p: Array, dim: int) -> NDArray[np.float32]:
    """One side's factor (n, d + 3) of M^2 - (p + q)^2, with the rounding of the whole product taken off.

    The product's rounding is at most t / (1 - t), t = (d + 8) 2^-24, times the sum of its terms' sizes, which is at
    most 2 (|x|^2 + p^2) + 2 (|y|^2 + q^2); either side pays for its own half (Higham 2002, Lemma 3.1).
    """
    with np.errstate(over="ignore", invalid="ignore"):  # potentials beyond float32 keep every pair
        own = squares + p * p
        rounding = (dim + 8) * 2.0**-24
        paid = 2 * rounding / (1 - rounding) * own + UNDERFLOW
        return np.column_stack([points, p, np.ones(len(points)), squares - p * p - paid]).astype(np.float32)


def _tightest(rows: Indices, cols: Indices, room: Array) -> NDArray[np.bool_]:
    """Marks the pairs that are among the ``MOST_A_ROW`` with most room of their row or of their column."""
    return (_rank(rows, room) < MOST_A_ROW) | (_rank(cols, room) < MOST_A_ROW)


def _rank(groups: Indices, room: Array) -> Indices:
    """The place of every pair within its group, the one with most room first."""
    order = np.lexsort((-room, groups))
    sizes = np.bincount(groups)
    starts = np.repeat((np.cumsum(sizes) - sizes)[sizes > 0], sizes[sizes > 0])
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order)) - starts
    return rank
