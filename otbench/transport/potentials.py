"""Potentials from which the sparse route can start, and what they prove of W1 before it does anything."""

import math

import numpy as np

from otbench.memory import free_memory
from otbench.transport.pricing import PointCosts
from otbench.transport.products import multiplier
from otbench.transport.rounds import Limits
from otbench.transport.sparse import BYTES_A_PAIR, power_of_two, prove, start_of
from otbench.types import Array, SamplePair


def transformed(pair: SamplePair, u: Array, device: str = "cpu") -> tuple[Array, Array]:
    """The potentials v = min_i |x_i - y_j| - u_i (m,) that u (n,) leaves room for, and those that v leaves room for.

    The latter are at least u, up to the rounding of float32, in which both are computed on ``device``.
    """
    exponent = power_of_two(pair.x, pair.y)
    costs = PointCosts(np.ldexp(pair.x, -exponent), np.ldexp(pair.y, -exponent), multiplier(device))
    v = costs.turned.c_transform(np.ldexp(u, -exponent))
    return np.ldexp(costs.c_transform(v), exponent), np.ldexp(v, exponent)


def of_coarser_problem(pair: SamplePair) -> tuple[Array, Array]:
    """The potentials (n,), (m,) from which the sparse route starts by itself, of distinct points that all have mass."""
    exponent = power_of_two(pair.x, pair.y)
    costs = PointCosts(np.ldexp(pair.x, -exponent), np.ldexp(pair.y, -exponent))
    u, v = start_of(costs, pair.a, pair.b, Limits(math.inf, free_memory() // (2 * BYTES_A_PAIR)))
    return np.ldexp(u, exponent), np.ldexp(v, exponent)


def proved_by(pair: SamplePair, u: Array, v: Array) -> float:
    """The lower bound of W1 that any potentials u (n,), v (m,) prove, feasible or not; at least 0."""
    return prove(pair.x, pair.y, pair.a, pair.b, u, v, None)[0].lower
