"""Potentials of W1 on the line as functions of all of it, and how W1 changes with the places of the points."""

from dataclasses import dataclass

import numpy as np

from otbench.transport.costs import ULP
from otbench.transport.line import mass_ahead
from otbench.types import Array, Indices


@dataclass(frozen=True, eq=False)
class LinePotential:
    """A piecewise linear function on the line, continuous, with slopes -1, 0 and 1, and constant outside its knots.

    It is ``values[k]`` at ``knots[k]`` (k,), which ascend, and its ``slopes`` (k + 1,) are those to the left of the
    first knot, between the knots, and to the right of the last one.
    """

    knots: Array
    values: Array
    slopes: Array

    def at(self, places: Array) -> Array:
        """The values (n,) at places (n,)."""
        after = np.searchsorted(self.knots, places, side="right")
        knot = np.maximum(after - 1, 0)
        found: Array = self.values[knot] + self.slopes[after] * (places - self.knots[knot])
        return found

    def derivative(self, places: Array) -> Array:
        """The slopes (n,) at places (n,), at a knot the mean of those on either side of it."""
        before, after = (np.searchsorted(self.knots, places, side=side) for side in ("left", "right"))
        found: Array = (self.slopes[before] + self.slopes[after]) / 2
        return found


def line_potential(where: Array, mass: Array) -> LinePotential:
    """A 1-Lipschitz function f on the line with the largest sum_k mass_k f(where_k), which is W1 of the two samples.

    Its slope is the sign of F_Q - F_P, 0 where these distribution functions are equal but for the rounding of sums.

    Args:
        where: the places (k,) of the points of P and of Q.
        mass: their weights (k,), negative for points of Q.

    Source: Santambrogio 2015, Prop. 2.17.
    """
    order, ahead = _ahead(where, mass)
    places = where[order]
    apart = np.diff(places) > 0
    distinct = places[np.concatenate([apart, [True]])]
    slopes = np.concatenate([[0.0], -np.sign(ahead[apart]), [0.0]])
    bends = np.flatnonzero(np.diff(slopes))
    if len(bends) == 0:  # equal samples
        return LinePotential(places[:1], np.zeros(1), np.zeros(2))
    knots, between = distinct[bends], slopes[1:][bends]
    values = np.concatenate([[0.0], np.cumsum(between[:-1] * np.diff(knots))])
    return LinePotential(knots, values, np.concatenate([[0.0], between]))


def w1_and_derivative(where: Array, mass: Array) -> tuple[float, Array]:
    """W1 on the line, int |F_P - F_Q|, and its derivative (k,) in the places of the points; see ``line_potential``.

    W1 = sum_k |F_P - F_Q|_k (t_{k+1} - t_k) over the places t_k in order, which is linear while they keep it. Where
    two points change places the derivative is one from one side.
    """
    order, ahead = _ahead(where, mass)
    sizes = np.abs(ahead)
    derivative = np.empty(len(where))
    derivative[order] = -np.diff(sizes, prepend=0.0, append=0.0)
    return float(sizes @ np.diff(where[order])), derivative


def _ahead(where: Array, mass: Array) -> tuple[Indices, Array]:
    """``mass_ahead``, with 0 where it may be no more than the rounding of a sum of so many weights."""
    order, ahead = mass_ahead(where, mass)
    ahead[np.abs(ahead) < len(mass) * ULP] = 0.0
    return order, ahead
