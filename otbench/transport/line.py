"""W1 on the line: sorted, exact and with potentials, in O(n log n)."""

import numpy as np
from numpy.typing import NDArray

from otbench.transport.costs import ULP
from otbench.transport.pot import pot
from otbench.types import Array, Indices, Plan


class LineCosts:
    """The distances |x_i - y_j| of points x (n,) and y (m,) on the line; see ``Costs``."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        self.shape = (len(x), len(y))

    def at(self, rows: Indices, cols: Indices) -> Array:
        found: Array = np.abs(self.x[rows] - self.y[cols])
        return found

    def excess(self, u: Array, v: Array) -> tuple[Array, float]:
        """Of the points to the left of y_j, that with the largest u_i + x_i exceeds most, and to the right likewise.

        The largest is found up to the rounding of those sums, by which the excess may be too small.
        """
        order = np.argsort(self.x, kind="stable")
        x = self.x[order]
        left = np.searchsorted(x, self.y, side="right")  # the points up to y_j
        excess = np.zeros(self.shape[1])
        for sums, best, places in (
            (u + self.x, np.maximum.accumulate, left - 1),
            (u - self.x, lambda s: np.maximum.accumulate(s[::-1])[::-1], left),
        ):
            found = best(sums[order])
            there = (places >= 0) & (places < len(x))
            turned = self.y if places is left else -self.y
            excess[there] = np.maximum(excess[there], found[places[there]] + turned[there] + v[there])
        sizes = max(np.abs(self.x).max(), np.abs(self.y).max()) + np.abs(u).max() + np.abs(v).max()
        rounding = 4 * ULP * sizes
        return np.where(excess > -rounding, np.maximum(excess, 0) + rounding, 0.0), self._reach(self.x, self.y)

    def dearest(self, rows: NDArray[np.bool_], cols: NDArray[np.bool_]) -> float:
        return self._reach(self.x[rows], self.y[cols]) if rows.any() and cols.any() else 0.0

    @staticmethod
    def _reach(x: Array, y: Array) -> float:
        return float(max(x.max() - y.min(), y.max() - x.min(), 0.0))


def solve_line(x: Array, y: Array, a: Array, b: Array) -> tuple[Plan, Array, Array]:
    """An optimal plan and optimal potentials u (n,), v (m,) of points x (n,), y (m,) on the line.

    Where the distribution function of x is above that of y, mass moves to the right, and an optimal potential falls at
    rate 1; where it is below, it rises. The plan couples quantiles.

    Source: Santambrogio 2015, Prop. 2.17.
    """
    where = np.concatenate([x, y])
    order, ahead = mass_ahead(where, np.concatenate([a, -b]))
    steps = -np.sign(ahead) * np.diff(where[order])
    potential = np.empty(len(where))
    potential[order] = np.concatenate([[0.0], np.cumsum(steps)])
    found = pot().emd_1d(x, y, a, b, metric="minkowski", p=1.0, dense=False)
    some = found.data > 0
    plan = Plan(found.row[some].astype(np.intp), found.col[some].astype(np.intp), found.data[some])
    return plan, potential[: len(x)], -potential[len(x) :]


def mass_ahead(where: Array, mass: Array) -> tuple[Indices, Array]:
    """The order (k,) of the places ``where`` (k,) of points of both laws, and by how much the distribution function of
    x is above that of y after each of them but the last (k - 1,); the ``mass`` (k,) of points of y is negative."""
    order = np.argsort(where, kind="stable")
    ahead = np.cumsum(mass[order])[:-1]
    ahead[np.abs(ahead) < 2 * ULP] = 0.0
    return order, ahead
