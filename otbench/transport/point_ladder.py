"""The ladder of two samples of points whose distances are too many to be stored, O(n) in memory."""

import numpy as np

from otbench.transport.best_scale import best_scale
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix
from otbench.transport.device_ladder import DeviceLadder
from otbench.transport.lines import Lines
from otbench.transport.pricing import PointCosts
from otbench.types import Array, Indices

#: Pairs from which distances are not stored. One critic is then read in about the same time either way, as measured for
#: n = m = 1500 to 5000 at d = 16 and for 3000 at d = 2 and 128, and the matrix and its copy would take 256 MiB.
STREAMED_FROM = 2**24


def ladder_of(x: Array, y: Array, a: Array, b: Array, device: str = "cpu") -> Ladder:
    """The ladder of points x (n, d), y (m, d) with weights a (n,), b (m,), by the quicker way: where distances are
    stored, those of a device are, which reads many critics at once."""
    if len(x) * len(y) >= STREAMED_FROM:
        return PointLadder(x, y, a, b)
    cost = cost_matrix(x, y)
    return Ladder(cost, a, b) if device == "cpu" else DeviceLadder(cost, a, b, device)


class PointLadder(Ladder):
    """The same bounds as those of ``Ladder``, from points x (n, d) and y (m, d) in place of their distances."""

    def __init__(self, x: Array, y: Array, a: Array, b: Array) -> None:
        self.rows, self.cols = np.flatnonzero(a), np.flatnonzero(b)
        x, y = x[self.rows], y[self.cols]
        self.a, self.b = a[self.rows], b[self.cols]
        self._exponent = _exponent(x, y)
        costs = PointCosts(np.ldexp(x, -self._exponent), np.ldexp(y, -self._exponent))
        self._of_x, self._of_y = Lines(costs), Lines(costs.turned)
        self._next_y, self._next_x = _nearest(self._of_x), _nearest(self._of_y)
        self.nearest = self._scaled(
            max(float(self.b @ _to(self._of_y, self._next_x)), float(self.a @ _to(self._of_x, self._next_y)))
        )

    @property
    def largest(self) -> float:
        return self._scaled(self._of_x.costs.largest)

    def slope_constant(self, fx: Array, fy: Array) -> float:
        fx, fy, exponent = _small(fx[self.rows], fy[self.cols])
        pairs = (
            np.concatenate([np.arange(len(fx)), self._next_x]),
            np.concatenate([self._next_y, np.arange(len(fy))]),
        )
        return _ldexp(self._of_x.steepest(fx, fy, pairs), exponent - self._exponent)

    def c_transform(self, fx: Array, fy: Array, guess: float) -> tuple[float, float]:
        fx, fy, exponent = _small(fx[self.rows], fy[self.cols])
        start = _ldexp(guess, exponent - self._exponent)
        start = start if 0 < start < np.inf else 1.0
        found = (
            best_scale(self._of_y, fx, self.a, self.b, self._next_x, start),
            best_scale(self._of_x, -fy, self.b, self.a, self._next_y, start),
        )
        s, value = max(found, key=lambda one: one[1])
        value = self._scaled(value)
        return (_ldexp(s, self._exponent - exponent), value) if value > self.nearest else (0.0, self.nearest)

    def _scaled(self, distance: float) -> float:
        return _ldexp(distance, self._exponent)


def _nearest(lines: Lines) -> Indices:
    """The nearest column of every row."""
    level = np.zeros(lines.costs.shape[1])
    about = lines.lowest(level[None])[0]
    _, nearer = lines.lower(level, _to(lines, about))
    return np.where(nearer < 0, about, nearer)


def _to(lines: Lines, columns: Indices) -> Array:
    """The distance of every row to its own column."""
    return lines.costs.at(np.arange(len(columns)), columns)


def _small(fx: Array, fy: Array) -> tuple[Array, Array, int]:
    """The values divided by a power of two so that all are below 1 in size, and its exponent."""
    exponent = _exponent(fx, fy)
    return np.ldexp(fx, -exponent), np.ldexp(fy, -exponent), exponent


def _exponent(first: Array, second: Array) -> int:
    """The power of two by which all numbers are below 1 in size when they are divided by it."""
    return int(np.frexp(max(np.abs(first).max(), np.abs(second).max()))[1])


def _ldexp(number: float, exponent: int) -> float:
    with np.errstate(over="ignore"):
        return float(np.ldexp(number, exponent))
