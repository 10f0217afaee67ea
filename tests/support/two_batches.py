"""Two batches with a critic's values on them, and their W1 by scipy alone."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otbench.types import Array


def w1(x: Array, y: Array) -> float:
    """W1 of two uniform batches of equal size, by scipy alone."""
    cost = cdist(x, y)
    return float(cost[linear_sum_assignment(cost)].mean())


def batch(seed: int, n: int = 30, m: int = 30, dim: int = 5) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) - 0.5
    slope = rng.standard_normal(dim)
    return np.tanh(x @ slope), np.tanh(y @ slope), x, y
