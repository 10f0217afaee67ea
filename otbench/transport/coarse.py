"""A smaller problem that looks like a large one: one point for every cell of a balanced k-d partition."""

import numpy as np
from numpy.typing import NDArray

from otbench.types import Array


def coarsened(points: Array, weights: Array, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """One of the points of each cell of about ``size`` points, with the cell's weight.

    Cells follow the data, so that the coarse problem has the mass of the fine one in every region, up to the width of a
    cell. A random subsample would differ by its sampling error at every scale, which in the plane costs four times the
    rounds. A cell is shown by one of its points and not by their mean, which in high dimension lies where no point is.

    Args:
        points: (n, d).
        weights: positive weights (n,).
        size: points a cell, at least 2.
        rng: draws the points that stand for their cells, in proportion to their weights.

    Source: Gerber, Maggioni 2017 (multiscale transport); Bentley 1975 (k-d trees).
    """
    found = cells(points, size)
    at = np.concatenate(found)
    sizes = np.array([len(cell) for cell in found])
    starts = np.cumsum(sizes) - sizes
    mass = np.add.reduceat(weights[at], starts)
    # the first point at which a cell's running weight passes a random share of the whole
    running = np.cumsum(weights[at])
    before = running[starts] - weights[at][starts]
    picked = np.searchsorted(running, before + rng.random(len(found)) * mass)
    return points[at[np.clip(picked, starts, starts + sizes - 1)]], mass


def cells(points: Array, size: int) -> list[NDArray[np.intp]]:
    """The indices of the points in groups of at most ``size``, by splits at the median along the widest axis."""
    groups, done = [np.arange(len(points))], []
    while groups:
        halves = []
        for group in groups:
            if len(group) <= size:
                done.append(group)
                continue
            here = points[group]
            axis = int(np.argmax(np.ptp(here, axis=0)))
            middle = max(1, len(group) // (2 * size)) * size if len(group) >= 2 * size else len(group) // 2
            order = np.argpartition(here[:, axis], middle)
            halves += [group[order[:middle]], group[order[middle:]]]
        groups = halves
    return done
