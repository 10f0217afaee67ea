"""What a certificate asks of the distances M of two samples, whether they are a matrix or too many to be one."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from otbench.types import Array, Indices

#: One unit in the last place of 1.
ULP = 2.0**-52


class Costs(Protocol):
    """The distances M_ij = |x_i - y_j| of n and m points, asked for piece by piece."""

    shape: tuple[int, int]

    def at(self, rows: Indices, cols: Indices) -> Array:
        """M at the pairs (rows[k], cols[k]), differences formed before they are squared."""
        ...

    def excess(self, u: Array, v: Array) -> tuple[Array, float]:
        """max(0, max_i u_i + v_j - M_ij) (m,) with two units in its last place taken off M_ij, and a bound from above
        of max_ij M_ij."""
        ...

    def dearest(self, rows: NDArray[np.bool_], cols: NDArray[np.bool_]) -> float:
        """A bound from above of M_ij over the marked rows and columns; 0 where none are marked."""
        ...


class MatrixCosts:
    """The distances as a matrix (n, m)."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix
        self.shape = (matrix.shape[0], matrix.shape[1])

    def at(self, rows: Indices, cols: Indices) -> Array:
        return self.matrix[rows, cols]

    def excess(self, u: Array, v: Array) -> tuple[Array, float]:
        """Rows are taken in blocks that stay in the cache."""
        excess, largest = np.zeros(self.shape[1]), 0.0
        step = max(1, 65536 // self.shape[1])
        for k in range(0, self.shape[0], step):
            block = self.matrix[k : k + step]
            largest = max(largest, float(block.max()))
            sums = u[k : k + step, None] + v
            sums -= block * (1 - 2 * ULP)
            np.maximum(excess, sums.max(axis=0), out=excess)
        return excess, largest

    def dearest(self, rows: NDArray[np.bool_], cols: NDArray[np.bool_]) -> float:
        return float(self.matrix[np.ix_(rows, cols)].max(initial=0.0))
