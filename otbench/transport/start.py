"""Where the sparse route starts: potentials of a coarser problem, and how wrong they may be at each point."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from otbench.transport.coarse import coarsened
from otbench.transport.pot import MAX_ITERATIONS, pot
from otbench.transport.pricing import PointCosts
from otbench.types import Array

#: A coarse problem of at most this many pairs is solved with all of them.
SMALL_PROBLEM = 1000 * 1000

#: Points a cell of the next coarser problem: halving pays where problems are hard, in the plane and on the line.
CELL, CELL_IN_THE_PLANE = 4, 2

#: Up to this dimension the nearest neighbour is found by a tree, above it among this many other points.
TREE_DIM, NEIGHBOURS = 4, 512


def dense_potentials(costs: PointCosts, a: Array, b: Array) -> tuple[Array, Array]:
    """Optimal potentials u (n,), v (m,) of a small problem, from POT with all pairs."""
    _, log = pot().emd2(a, b, cdist(costs.x, costs.y), numItermax=MAX_ITERATIONS, log=True)
    return log["u"], log["v"]


def coarser(costs: PointCosts, a: Array, b: Array) -> tuple[PointCosts, Array, Array]:
    """The next coarser problem: its distances and its weights."""
    rng = np.random.default_rng(costs.shape)
    size = CELL_IN_THE_PLANE if costs.dim <= 2 else CELL
    x, ax = coarsened(costs.x, a, size, rng)
    y, by = coarsened(costs.y, b, size, rng)
    return PointCosts(x, y, costs.multiply), ax, by


def extended(costs: PointCosts, coarse: PointCosts, v: Array) -> tuple[Array, Array]:
    """Potentials u (n,), v (m,) of all points from those of the coarse problem's y, by c-transforms both ways."""
    u = PointCosts(costs.x, coarse.y, costs.multiply).c_transform(v)
    return u, costs.turned.c_transform(u)


def ways_out(points: Array, rng: np.random.Generator) -> Array:
    """Half the distance of each point to a near one of its own sample (n,).

    A potential is 1-Lipschitz: where it is right at the neighbours of a point, it is wrong there by no more than their
    distance.
    """
    if len(points) == 1:
        return np.ones(1)
    if points.shape[1] <= TREE_DIM:
        nearest = np.asarray(cKDTree(points).query(points, 2)[0])[:, 1]
    else:
        some = points[rng.choice(len(points), min(len(points), NEIGHBOURS), replace=False)]
        nearest = np.concatenate([_nearest_other(points[k : k + 4096], some) for k in range(0, len(points), 4096)])
    return 0.5 * nearest


def _nearest_other(points: Array, others: Array) -> Array:
    distances = cdist(points, others)
    distances[distances == 0] = np.inf
    nearest: Array = distances.min(axis=1)
    return nearest
