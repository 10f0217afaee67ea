"""Critics that look at points along a few directions: means of functions of one variable each."""

from dataclasses import dataclass

import numpy as np

from otbench.transport.line_potential import LinePotential
from otbench.types import Array

#: By how much, relatively, the rounding of a singular value may make it too small.
NORM_ROUNDING = 1e-12

#: Sums that are taken together: 256 KiB, which stay in a core's own cache.
SUMS_AT_ONCE = 2**15


@dataclass(frozen=True, eq=False)
class Ridges:
    """f(z) = mean_k phi_k(<theta_k, z - origin>), with unit ``directions`` theta (k, d) and 1-Lipschitz ``parts`` phi.

    It is Lipschitz with |Theta|_2 / sqrt(k), Theta being the matrix whose rows are the directions. For any z, z' the
    numbers t_k = |<theta_k, z - z'>| bound the parts' differences, and by the inequality of Cauchy and Schwarz

        |f(z) - f(z')| <= (1/k) sum_k t_k <= (1/k) sqrt(k) |t|_2 = |Theta (z - z')|_2 / sqrt(k).

    That is 1 where all directions are one, and about 1/sqrt(d) where they are many and look everywhere.
    """

    directions: Array
    origin: Array
    parts: tuple[LinePotential, ...]

    def values(self, z: Array) -> Array:
        return self._values(along(self.directions, z - self.origin))

    def gradients(self, z: Array) -> Array:
        """mean_k phi_k'(<theta_k, z - origin>) theta_k; at a knot phi_k' is the mean of the slopes beside it."""
        return self._gradients(along(self.directions, z - self.origin))

    def values_and_gradients(self, z: Array) -> tuple[Array, Array]:
        """Both of one projection of the points, which takes the time."""
        places = along(self.directions, z - self.origin)
        return self._values(places), self._gradients(places)

    def _values(self, places: Array) -> Array:
        total = np.zeros(places.shape[1])
        for part, row in zip(self.parts, places, strict=True):
            total += part.at(row)
        return total / len(self.parts)

    def _gradients(self, places: Array) -> Array:
        slopes = np.array([part.derivative(row) for part, row in zip(self.parts, places, strict=True)])
        gradients: Array = slopes.T @ self.directions / len(self.parts)
        return gradients

    def constants(self) -> tuple[None, float]:
        norm = float(np.linalg.norm(self.directions, 2)) / len(self.parts) ** 0.5
        return None, min(norm * (1 + NORM_ROUNDING), 1.0)  # |Theta|_2 is at most the root of the sum of squares


def along(directions: Array, z: Array) -> Array:
    """<theta_k, z_n> (k, n) of directions (k, d) and points z (n, d), summed coordinate by coordinate.

    Unlike a product of matrices it gives a point one number wherever it stands, so that a sample's points lie on the
    knots that were made of them.
    """
    found = np.zeros((len(directions), len(z)))
    points = max(1, SUMS_AT_ONCE // len(directions))
    for start in range(0, len(z), points):
        columns = np.ascontiguousarray(z[start : start + points].T)
        total = np.zeros((len(directions), columns.shape[1]))
        product = np.empty_like(total)
        for entries, column in zip(directions.T, columns, strict=True):
            total += np.multiply(entries[:, None], column, out=product)
        found[:, start : start + points] = total
    return found


def middle(x: Array, y: Array) -> Array:
    """The median (d,) of all points in every coordinate: sums along directions round least if taken from there."""
    centre: Array = np.median(np.concatenate([x, y]), axis=0)
    return centre
